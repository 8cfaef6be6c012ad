"""How did the versions do over time, and what was done meanwhile? The prompt page's chart, and its numbers.

Operation and quality stand below each other on one axis, so that what changed together is seen to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils.safestring import SafeString

from observability.core.evidence import COST_PER_CALL, ERROR_RATE, LATENCY, TTFT
from observability.core.figures import Figures, ScoreKey, mean_with_interval, percentile
from rollout.charts import Line, Mark, Panel, Stretch, series_chart
from rollout.core.plan import usual_direction
from rollout.formats import DASH, count, estimate, milliseconds, moment, money
from rollout.pages.version_levels import Levels
from rollout.pages.versions_parts import Track, cost_per_call, score_keys, unit_of
from rollout.pages.windows import Axis

LINES = 4
SCORES = 12
P95 = 0.95
FEWEST = 20  # calls of a point, or a fifth of the busiest point: the step that has just begun tells nothing yet
HOUR = timedelta(hours=1)
SHORTEST = timedelta(minutes=5)  # of a step that calls per hour are told of

Value = Callable[[Figures], float | None]
Counted = Callable[[Figures], int]


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A version in a step: what the chart draws of it, panel by panel."""

    at: SafeString
    version: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Numbers:
    names: list[str]
    rows: list[NumberRow]


def panels(tracks: Sequence[Track], axis: Axis, *, levels: Levels, now: datetime) -> list[Panel]:
    """Of the versions with most calls, without panels of which nothing is known; none where no call came."""
    drawn = [track for track in tracks if track.total.calls][:LINES]
    found = [
        Panel("Calls per hour", [_calls(track, axis, now) for track in drawn], _whole),
        _panel("Error rate", ERROR_RATE, drawn, axis, _error_rate, _share, levels),
        _panel("P95 latency", LATENCY, drawn, axis, lambda f: percentile(f.latency, P95, LATENCY), _time, levels),
        _panel("P95 time to first token", TTFT, drawn, axis, lambda f: percentile(f.ttft, P95, TTFT), _time, levels),
        _panel("Cost per call", COST_PER_CALL, drawn, axis, cost_per_call, money, levels),
        *(_score_panel(key, drawn, axis, levels) for key in score_keys(drawn)[:SCORES]),
    ]
    return [panel for panel in found if any(value is not None for line in panel.lines for _, value in line.points)]


def chart(shown: Sequence[Panel], axis: Axis, *, marks: Sequence[Mark], stretches: Sequence[Stretch]) -> SafeString:
    """shown: of `panels`."""
    names = ", ".join(dict.fromkeys(line.name for panel in shown for line in panel.lines))
    return series_chart(
        shown,
        marks=marks,
        stretches=stretches,
        title=f"Figures of {names} over time",
        description=f"A point for every {pace_words(axis)}. Marked: {_told(marks)}.",
    )


def numbers(shown: Sequence[Panel], now: datetime) -> Numbers:
    """What the chart draws, the newest step first: for those who do not see it, and who want to know exactly."""
    found: dict[tuple[datetime, str], list[tuple[str, str]]] = {}
    for place, panel in enumerate(shown):
        for line in panel.lines:
            for number, (at, value) in enumerate(line.points):
                if value is not None:
                    bounds = line.bounds[number] if line.bounds else None
                    cells = found.setdefault((at, line.name), [(each.name, DASH) for each in shown])
                    cells[place] = panel.name, _written(value, bounds, panel)
    rows = [NumberRow(moment(at, now), name, found[at, name]) for at, name in sorted(found, reverse=True)]
    return Numbers([panel.name for panel in shown], rows)


def from_the_first(tracks: Sequence[Track], marks: Sequence[Mark], axis: Axis) -> Axis:
    """The axis from the step on that the first call or mark is in: before it there is nothing to see."""
    first = min([*(min(track.steps) for track in tracks if track.steps), *(mark.at for mark in marks)])
    return replace(axis, since=max((start for start in axis.starts if start <= first), default=axis.since))


def pace_words(axis: Axis) -> str:
    hours = axis.pace // HOUR
    return {0: "five minutes", 1: "hour", 24: "day"}.get(hours, f"{hours} hours")


def _calls(track: Track, axis: Axis, now: datetime) -> Line:
    """Of the step that is not over by the time that has passed of it."""

    def per_hour(start: datetime, figures: Figures) -> float:
        passed = min(axis.pace, max(now - start, SHORTEST))
        return figures.calls * HOUR / passed

    return line_of(track, axis, per_hour)


def _panel(
    name: str,
    metric: str,
    tracks: Sequence[Track],
    axis: Axis,
    value: Value,
    written: Callable[[float], str],
    levels: Levels,
) -> Panel:
    lines = [line_of(track, axis, of_enough(track, value, _calls_of)) for track in tracks]
    return Panel(name, lines, written, levels.get(metric, ()))


def of_enough(track: Track, value: Value, counted: Counted) -> Callable[[datetime, Figures], float | None]:
    """counted: how many there are behind a value; of too few there is no point."""
    fewest = min(FEWEST, max(map(counted, track.steps.values()), default=0) / 5)
    return lambda _, figures: value(figures) if counted(figures) >= fewest else None


def _score_panel(key: ScoreKey, tracks: Sequence[Track], axis: Axis, levels: Levels) -> Panel:
    """With the intervals of the means. A rate that is better lower begins at 0, other scores move far from it."""

    def mean(figures: Figures) -> float | None:
        sums = figures.scores.get(key)
        return sums.mean if sums else None

    def given(figures: Figures) -> int:
        return figures.scores[key].n if key in figures.scores else 0

    units = {unit_of(track.total.scores[key]) for track in tracks if key in track.total.scores}
    lines = [_with_bounds(line_of(track, axis, of_enough(track, mean, given)), track, key, axis) for track in tracks]
    return Panel(
        f"{key[0]} by {key[1]}",
        lines,
        _share if units == {"share"} else _score,
        levels.get(key[0], ()),
        from_zero=usual_direction(key[0]) == "lower",
    )


def _with_bounds(line: Line, track: Track, key: ScoreKey, axis: Axis) -> Line:
    bounds: list[tuple[float, float] | None] = [None]
    for start, (_, value) in zip(axis.starts, line.points[1:], strict=False):
        bounds.append(None if value is None else mean_with_interval(track.steps[start].scores[key])[1:])
    return replace(line, bounds=[*bounds, None])


def line_of(track: Track, axis: Axis, value: Callable[[datetime, Figures], float | None]) -> Line:
    """A point in the middle of each step; the axis goes from the beginning to the end of the time."""
    points = [
        (min(start + axis.pace / 2, axis.until), value(start, track.steps[start]) if start in track.steps else None)
        for start in axis.starts
    ]
    return Line(
        track.name,
        [(axis.since, None), *points, (axis.until, None)],
        "canary" if track.canary else "all" if track.production else "plain",
    )


def _calls_of(figures: Figures) -> int:
    return figures.calls


def _error_rate(figures: Figures) -> float | None:
    return figures.errors.total() / figures.calls if figures.calls else None


def _written(value: float, bounds: tuple[float, float] | None, panel: Panel) -> str:
    told = panel.format(value)
    return f"{told} ({panel.format(bounds[0])} to {panel.format(bounds[1])})" if bounds else told


def _told(marks: Sequence[Mark]) -> str:
    return "; ".join(f"{mark.words} at {mark.at:%Y-%m-%d %H:%M}" for mark in marks if mark.words) or "nothing"


def _whole(value: float) -> str:
    return count(round(value)) if value >= 10 else f"{value:.3g}"


def _time(value: float) -> str:
    return milliseconds(value)


def _share(value: float) -> str:
    return estimate(value, "share")


def _score(value: float) -> str:
    return f"{round(value, 3):g}"
