"""Writes the results into docs/explanation/serving-cost.md, between two markers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "serving-cost.md"
BEGIN = "<!-- begin: written by python -m benchmarks.serving -->"
END = "<!-- end: written by python -m benchmarks.serving -->"
GOALS = (  # case, figure, whether the goal is the least or the most, the goal, what the figure is
    ("rollout", "per_s_by_constant", "least", 0.7, "requests a second, times those of constant bytes"),
    ("rollout", "cpu_by_constant", "most", 1.6, "CPU of a request, times that of constant bytes"),
    ("rollout, labels moving", "p99_by_rollout", "most", 2.0, "p99 while labels move, times that without"),
)


def publish(rows: Sequence[Row], page: Path) -> None:
    """Rewrite the page's part between the markers. Raises ValueError without markers."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n\n{END}{after}")


def markdown(rows: Sequence[Row]) -> str:
    """One paragraph or table after the other, of what the rows hold."""
    parts = (_machine(rows), _requests(rows), goals(rows), _state(rows), _rollback(rows), _sdk(rows))
    return "\n\n".join("\n".join(part) for part in parts)


def goals(rows: Sequence[Row]) -> list[str]:
    """A line for each goal and number of connections: what was measured, and whether that reaches it."""
    lines = []
    for case, figure, bound, goal, what in GOALS:
        for row in _of(rows, "requests"):
            if row["case"] == case:
                reached = row[figure][0] >= goal if bound == "least" else row[figure][0] <= goal
                told = f"{what}, {row['connections']} connections: {_range(row, figure, 2)}"
                lines.append(f"- {told}. Goal: at {bound} {goal}. {'Reached' if reached else 'Not reached'}.")
    return lines


def _machine(rows: Sequence[Row]) -> Iterator[str]:
    for row in _of(rows, "machine"):
        yield f"{row['cpus']} CPUs, Python {row['python']}, granian {row['granian']}, Django {row['django']}."


def _requests(rows: Sequence[Row]) -> Iterator[str]:
    yield "| what | connections | requests a second | of constant's | p50 ms | p99 ms | CPU s for 10k | of constant's |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in _of(rows, "requests"):
        figures = (
            _range(row, "per_s", 0),
            _range(row, "per_s_by_constant", 2),
            _range(row, "p50_ms", 2),
            _range(row, "p99_ms", 1),
            _range(row, "cpu_s_per_10k", 2),
            _range(row, "cpu_by_constant", 2),
        )
        yield f"| {row['case']} | {row['connections']} | {' | '.join(figures)} |"


def _state(rows: Sequence[Row]) -> Iterator[str]:
    for row in _of(rows, "state"):
        yield (
            f"{row['prompts']} prompts with {row['versions_of_each']} versions each are in memory after"
            f" {row['first_load_s']:.1f} s and take {row['memory_mb']:.0f} MB of a process. A label's move takes"
            f" {row['reload_ms']:.1f} ms to read, to find that nothing has changed takes {row['poll_ms']:.1f} ms."
        )


def _rollback(rows: Sequence[Row]) -> Iterator[str]:
    for row in _of(rows, "rollback"):
        yield (
            f"After a rollback {row['processes']} web processes gave the canary for {_most(row, 'http_ms')} more, and"
            f" {row['clients']} SDK clients for {_most(row, 'sdk_ms')}: from just before it was asked for to the end of"
            f" the last wrong answer, in {row['rollbacks']} rollbacks. Goal: under 1 s."
        )


def _most(row: Row, figure: str) -> str:
    median, most = row[figure]
    return f"{median} ms (at most {most})"


def _sdk(rows: Sequence[Row]) -> Iterator[str]:
    yield "| in the app, by the SDK | median µs | p99 µs | calls a second | of one SHA-256's median |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for row in _of(rows, "sdk"):
        us = f"{row['median_ns'] / 1e3:.2f} | {row['p99_ns'] / 1e3:.2f}"
        yield f"| {row['name']} | {us} | {row['per_s']:,.0f} | {row['times_sha256']:.1f} |"


def _of(rows: Sequence[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["row"] == kind]


def _range(row: Row, figure: str, digits: int) -> str:
    middle, least, most = row[figure]
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"
