"""Writes the results into docs/explanation/statistics.md, between two markers, with the two charts beside it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.operating_characteristics.charts import CALLS, SHARES, Axis, Group, Mark, chart
from benchmarks.operating_characteristics.running import Row
from benchmarks.operating_characteristics.scenarios import Scenario, scenarios

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "statistics.md"
BEGIN = "<!-- begin: written by python -m benchmarks.operating_characteristics -->"
END = "<!-- end: written by python -m benchmarks.operating_characteristics -->"
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Picture:
    """How a section's rows are drawn, and into which file."""

    file: str
    axis: Axis
    mark: Callable[[Row], Mark | None]


@dataclass(frozen=True, slots=True)
class Section:
    """A table of some scenarios, a column for each method, and where there is one a picture of the same."""

    heading: str
    holds: Callable[[Scenario], bool]
    cell: Callable[[Row], str]
    picture: Picture | None = None


def publish(rows: Sequence[Row], page: Path) -> None:
    """Rewrite the page's part between the markers, and the charts beside it. Raises ValueError without markers."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"expected the markers {BEGIN} and {END} in {page}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n{END}{after}")
    for name, drawn in drawings(rows).items():
        page.with_name(name).write_text(drawn)


def drawings(rows: Sequence[Row]) -> dict[str, str]:
    """The charts by the names of their files."""
    return {section.picture.file: _chart(section, section.picture, rows) for section in SECTIONS if section.picture}


def markdown(rows: Sequence[Row]) -> str:
    """All sections' tables, each with its chart."""
    return "\n".join(line for section in SECTIONS for line in (*_table(section, rows), ""))


def _table(section: Section, rows: Sequence[Row]) -> Iterator[str]:
    shown = _rows_of(section, rows)
    methods = list(dict.fromkeys(row["method"] for _, of_scenario in shown for row in of_scenario))
    yield f"| {section.heading} | rollouts | {' | '.join(methods)} | to reach |"
    yield "|---" * (len(methods) + 3) + "|"
    for scenario, of_scenario in shown:
        cells = {row["method"]: section.cell(row) for row in of_scenario}
        columns = (cells.get(method, "") for method in methods)
        yield f"| {scenario.name} | {of_scenario[0]['replications']} | {' | '.join(columns)} | {_reach(scenario)} |"
    if section.picture:
        yield ""
        yield f"![{section.heading}]({section.picture.file})"


def _chart(section: Section, picture: Picture, rows: Sequence[Row]) -> str:
    groups = [
        Group(scenario.name, {row["method"]: mark for row in of_scenario if (mark := picture.mark(row))})
        for scenario, of_scenario in _rows_of(section, rows)
    ]
    return chart(section.heading, groups, picture.axis)


def _rows_of(section: Section, rows: Sequence[Row]) -> list[tuple[Scenario, list[Row]]]:
    found = ((s, [row for row in rows if row["scenario"] == s.name]) for s in scenarios() if section.holds(s))
    return [(scenario, of_scenario) for scenario, of_scenario in found if of_scenario]


def _share(row: Row) -> str:
    return f"{_percent(row[row['about']])} % [{_percent(row['ci_low'])}, {_percent(row['ci_high'])}]"


def _canary_calls(row: Row) -> str:
    return _calls(row["median_canary_calls"], row["p90_canary_calls"])


def _all_calls(row: Row) -> str:
    return _calls(row["median_calls"], None)


def _calls(median: float | None, p90: float | None) -> str:
    if median is None:
        return NOTHING
    return f"{median:.0f} ({p90:.0f})" if p90 is not None else f"{median:.0f}"


def _reach(scenario: Scenario) -> str:
    if scenario.reach is None:
        return ""
    limit = scenario.reach.limit
    return f"<= {_percent(limit)} %" if scenario.reach.column.startswith("share") else f"<= {limit:.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}"


def _mark_of_share(row: Row) -> Mark:
    return Mark(row["ci_low"], row[row["about"]], row["ci_high"])


def _mark_of_calls(row: Row) -> Mark | None:
    median, p90 = row["median_canary_calls"], row["p90_canary_calls"]
    return None if median is None else Mark(median, median, p90 or median)


SECTIONS = (
    Section(
        "wrong decisions: share, 95 % interval",
        lambda scenario: scenario.is_wrong_end and scenario.about != "invalid",
        _share,
        Picture("wrong-decisions.svg", SHARES, _mark_of_share),
    ),
    Section(
        "canary calls to a rollback: median (of 90 % of rollouts)",
        lambda scenario: not scenario.is_wrong_end and scenario.about != "invalid",
        _canary_calls,
        Picture("calls-to-rollback.svg", CALLS, _mark_of_calls),
    ),
    Section(
        "a right assignment called broken: share, 95 % interval",
        lambda scenario: scenario.is_wrong_end and scenario.about == "invalid",
        _share,
    ),
    Section(
        "calls until a wrong assignment is called broken: median",
        lambda scenario: not scenario.is_wrong_end and scenario.about == "invalid",
        _all_calls,
    ),
)
