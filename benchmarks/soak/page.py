"""Writes what a soak found into docs/explanation/soak.md, between two markers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.soak.memory import Growth

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "soak.md"
BEGIN = "<!-- begin: written by python -m benchmarks.soak -->"
END = "<!-- end: written by python -m benchmarks.soak -->"


def publish(told: Mapping[str, Any], growth: Sequence[Growth], losses: Sequence[str], page: Path) -> None:
    """Rewrite the page's part between the markers. Raises ValueError without markers."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    written = "\n".join([*_figures(told, losses), "", *_memory(growth)])
    page.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}")


def _figures(told: Mapping[str, Any], losses: Sequence[str]) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    for name, value in told.items():
        many = isinstance(value, dict)
        yield f"| {name} | {', '.join(f'{k}: {n:,}' for k, n in value.items()) if many else value} |"
    yield f"| lost, doubled or grown | {'; '.join(losses) or 'nothing'} |"


def _memory(growth: Sequence[Growth]) -> Iterator[str]:
    yield "| process | how many | MB, mean | MB, rise of the fitted line, most | over s |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for role in dict.fromkeys(each.role for each in growth):
        same = [each for each in growth if each.role == role]
        mean = sum(each.mean_mb for each in same) / len(same)
        most = max(same, key=lambda each: each.rise_mb)
        yield f"| {role} | {len(same)} | {mean:.1f} | {most.rise_mb:+.2f} | {most.seconds:.0f} |"
