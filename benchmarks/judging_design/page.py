"""Writes the results into docs/explanation/judging-on-a-budget.md, between two markers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "judging-on-a-budget.md"
BEGIN = "<!-- begin: written by python -m benchmarks.judging_design -->"
END = "<!-- end: written by python -m benchmarks.judging_design -->"
ENDS = {"share_rollback": "rolled back", "share_invalid": "held as invalid"}

Row = Mapping[str, Any]


def publish(rows: Sequence[Row], page: Path) -> None:
    """Rewrite the page's part between the markers. Raises ValueError without markers."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n{END}{after}")


def markdown(rows: Sequence[Row]) -> str:
    return "\n".join([*_means(rows), "", *_rollouts(rows), ""])


def _means(rows: Sequence[Row]) -> Iterator[str]:
    columns = ("scores, worth", "truth", "bias [95 %]", "bias of the plain mean", "interval holds it", "its width")
    yield f"| means of versions | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for row in rows:
        if row["about"] == "means":
            yield (
                f"| {row['name']} | {row['scores']:.0f}, {row['effective']:.0f} | {row['truth']:.4f} "
                f"| {row['bias']:+.4f} [{row['bias_low']:+.4f}, {row['bias_high']:+.4f}] | {row['plain_bias']:+.3f} "
                f"| {_percent(row['coverage'])} % [{_percent(row['coverage_low'])}, {_percent(row['coverage_high'])}] "
                f"| {row['width']:.3f} |"
            )


def _rollouts(rows: Sequence[Row]) -> Iterator[str]:
    yield "| rollouts | how many | end | share [95 %] | median judged canary calls | median calls |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        if row["about"] in ENDS:
            yield (
                f"| {row['name']} | {row['replications']} | {ENDS[row['about']]} "
                f"| {_percent(row['share'])} % [{_percent(row['low'])}, {_percent(row['high'])}] "
                f"| {_number(row['median_judged_of_canary'])} | {_number(row['median_calls'])} |"
            )


def _percent(share: float) -> str:
    return f"{100 * share:.3g}"


def _number(calls: float | None) -> str:
    return "-" if calls is None else f"{calls:.0f}"
