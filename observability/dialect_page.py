"""Writes the dialects' tables into docs/reference/otlp.md: `python -m observability.dialect_page`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from observability.core.dialects import DIALECTS
from observability.core.dialects.table import RESOURCE, SPAN, Dialect, Source

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "otlp.md"
BEGIN = "<!-- begin: written by python -m observability.dialect_page -->"
END = "<!-- end: written by python -m observability.dialect_page -->"


def markdown() -> str:
    """A section for each dialect."""
    return "\n".join(line for dialect in DIALECTS for line in _section(dialect))


def publish(page: Path) -> None:
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}")


def _section(dialect: Dialect) -> Iterator[str]:
    yield f"### {dialect.name}"
    yield ""
    if dialect.kinds:
        yield f"Tells what a span is by {_listed(dialect.kinds)}."
        yield ""
    yield "| field | sources, in order |"
    yield "|---|---|"
    for field, sources in dialect.fields.items():
        yield f"| {field} | {', '.join(map(_described, sources))} |"
    for field in dict.fromkeys([*dialect.content, *(family.field for family in dialect.families)]):
        prefixes = [f"`{family.prefix}*`" for family in dialect.families if family.field == field]
        yield f"| {field} | {', '.join([*map(_described, dialect.content.get(field, ())), *prefixes])} |"
    if dialect.first_token_events:
        yield f"| first token | span event {_listed(dialect.first_token_events)} |"
    yield ""


def _described(source: Source) -> str:
    key = f"`{source.key}`"
    if source.path:
        key += " → " + ".".join(map(str, source.path))
    return (
        key if source.at == SPAN else f"{key} of the {'resource' if source.at == RESOURCE else f'event `{source.at}`'}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    publish(PAGE)
