"""Writes the results into docs/explanation/baselines.md, between two markers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "baselines.md"
BEGIN = "<!-- begin: written by python -m benchmarks.baselines -->"
END = "<!-- end: written by python -m benchmarks.baselines -->"
MINUTES = "median, 90 %, 99 %, longest (minutes)"

Row = Mapping[str, Any]


def publish(rows: Sequence[Row], page: Path) -> None:
    """Rewrite the page's part between the markers. Raises ValueError without markers."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n{END}{after}")


def markdown(rows: Sequence[Row]) -> str:
    return "\n".join([*_healthy(rows), "", *_changes(rows), "", *_returns(rows), ""])


def _healthy(rows: Sequence[Row]) -> Iterator[str]:
    yield "| healthy metric | log-sd from day to day | days with an alert | share [95 %] |"
    yield "|---|---|---|---|"
    for row in rows:
        if row["about"] in ("healthy", "together"):
            name = "together, at 0.2" if row["about"] == "together" else row["name"]
            share, low, high = (f"{100 * row[of]:.2g}" for of in ("share", "low", "high"))
            yield f"| {name} | {row['sd']} | {row['days_with_an_alert']} of {row['days']} | {share} % [{low}, {high}] |"


def _changes(rows: Sequence[Row]) -> Iterator[str]:
    yield f"| change | log-sd from day to day | found within two hours | within a day | {MINUTES} |"
    yield "|---|---|---|---|---|"
    for row in rows:
        if row["about"] == "change":
            yield (
                f"| {row['name']} | {row['sd']} | {row['in_two_hours']} of {row['runs']} | {row['in_a_day']} "
                f"| {_minutes(row)} |"
            )


def _returns(rows: Sequence[Row]) -> Iterator[str]:
    yield f"| return, log-sd from day to day 0.1 | ended before it, in six hours | after it, within a day | {MINUTES} |"
    yield "|---|---|---|---|"
    for row in rows:
        if row["about"] == "return":
            yield f"| {row['name']} | {row['too_early']} | {row['in_a_day']} of {row['runs']} | {_minutes(row)} |"


def _minutes(row: Row) -> str:
    return ", ".join("-" if of is None else f"{of:.0f}" for of in row["minutes"].values())
