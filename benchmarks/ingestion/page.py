"""Writes the results into docs/explanation/ingest-cost.md, between two markers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "ingest-cost.md"
BEGIN = "<!-- begin: written by python -m benchmarks.ingest -->"
END = "<!-- end: written by python -m benchmarks.ingest -->"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def publish(rows: Sequence[dict[str, Any]], page: Path) -> None:
    """Rewrite the page's part between the markers. Raises ValueError without markers."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n\n{END}{after}")


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    return "\n".join([*_comparison([row for row in rows if "growth" not in row]), *_growth(rows)])


def _comparison(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| bodies | server | spans a second | CPU s for 100 000 | of the database | p50 ms | p99 ms | web MB |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in rows:
        exposed = "exposed" if row["exposed"] else "not exposed"
        bodies = f"{NAMES[row['database']]}, {row['encoding']}, {row['spans_a_request']} spans, {exposed}"
        database = _range(row, "database_cpu_s_per_100k", 1) if row["database"] == "postgresql" else "inside"
        figures = (
            _range(row, "spans_per_s", 0),
            _range(row, "cpu_s_per_100k", 1),
            database,
            _range(row, "p50_ms", 0),
            _range(row, "p99_ms", 0),
            _range(row, "web_mb", 0),
        )
        yield f"| {bodies} | {row['server']} | {' | '.join(figures)} |"


def _range(row: dict[str, Any], figure: str, digits: int) -> str:
    middle, least, most = row[figure]
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"


def _growth(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        if "growth" in row:
            costs = ", ".join(f"{cost[0]:.1f} s at {int(at):,} spans" for at, cost in row["cpu_s_per_100k_at"].items())
            memory = row["web_mb_each_100k"]
            yield ""
            yield (
                f"{NAMES[row['database']]}, as it grows: {costs} for 100 000 more. A web process had {min(memory):.0f}"
                f" to {max(memory):.0f} MB on the way."
            )
