"""How did the versions do over time, and what was done meanwhile? The lines and marks of the prompt page's chart."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.utils.safestring import SafeString

from observability.core.evidence import LATENCY, TTFT
from observability.core.figures import Figures, ScoreKey, percentile
from registry.models import LabelMove
from rollout.charts import Line, Mark, Panel, series_chart
from rollout.formats import count, estimate, milliseconds, money
from rollout.models import Rollout, Status
from rollout.pages.versions_parts import Track, cost_per_call, score_keys, unit_of
from rollout.pages.windows import Window

LINES = 4
SCORES = 4
MARKS = 8
ENDS = {Status.PROMOTED: "promoted", Status.ROLLED_BACK: "rolled back", Status.CANCELLED: "cancelled"}
P95 = 0.95
FEWEST = 20  # calls of a point, or a fifth of the busiest point: the step that has just begun tells nothing yet
ONE_TRANSACTION = timedelta(seconds=5)
SHORTEST = timedelta(minutes=5)  # of a step that calls per hour are told of


def chart(
    tracks: Sequence[Track],
    window: Window,
    *,
    moves: Sequence[LabelMove],
    rollouts: Sequence[Rollout],
    now: datetime,
) -> SafeString:
    """None where no call came. The axis begins with the first call or mark: before it there is nothing to see."""
    drawn = [track for track in tracks if track.total.calls][:LINES]
    if not drawn:
        return SafeString("")
    marks = marks_of(window, moves=moves, rollouts=rollouts)
    window = from_the_first(drawn, marks, window)
    panels = [
        Panel("Calls per hour", [_calls(track, window, now) for track in drawn], _whole),
        _panel("Error rate", drawn, window, _error_rate, _share),
        _panel("P95 latency", drawn, window, lambda figures: percentile(figures.latency, P95, LATENCY), milliseconds),
        _panel(
            "P95 time to first token", drawn, window, lambda figures: percentile(figures.ttft, P95, TTFT), milliseconds
        ),
        _panel("Cost per call", drawn, window, cost_per_call, money),
        *(_score_panel(key, drawn, window) for key in score_keys(drawn)[:SCORES]),
    ]
    names = ", ".join(track.name for track in drawn)
    return series_chart(
        [panel for panel in panels if any(value is not None for line in panel.lines for _, value in line.points)],
        marks=marks,
        title=f"Figures of {names} over time",
        description=f"A point for every {_pace(window)}. Marked: {_told(marks)}.",
    )


def marks_of(window: Window, *, moves: Sequence[LabelMove], rollouts: Sequence[Rollout]) -> list[Mark]:
    """Starts and ends of rollouts and moves of labels, but for those that a promotion made; the newest, in order."""
    found = []
    for rollout in rollouts:
        canary = rollout.canary.number
        if rollout.started_at:
            found.append(Mark(rollout.started_at, f"{canary} starts", canary=True))
        if rollout.started_at and rollout.ended_at:
            found.append(Mark(rollout.ended_at, f"{canary} {ENDS[Status(rollout.status)]}", canary=True))
    found += [
        Mark(move.moved_at, f"{move.label.name} {move.to_version.number}")
        for move in moves
        if not any(_is_promotion(move, rollout) for rollout in rollouts)
    ]
    inside = sorted((mark for mark in found if window.since <= mark.at <= window.until), key=lambda mark: mark.at)
    return inside[-MARKS:]


def from_the_first(tracks: Sequence[Track], marks: Sequence[Mark], window: Window) -> Window:
    """The window from the step on that the first call or mark is in."""
    first = min([*(min(track.steps) for track in tracks), *(mark.at for mark in marks)])
    return replace(window, since=max((start for start in window.starts if start <= first), default=window.since))


def _is_promotion(move: LabelMove, rollout: Rollout) -> bool:
    """Whether the move is what the rollout ended with."""
    return (
        rollout.status == Status.PROMOTED
        and rollout.ended_at is not None
        and (rollout.label_id, rollout.canary_id) == (move.label_id, move.to_version_id)
        and abs(rollout.ended_at - move.moved_at) < ONE_TRANSACTION
    )


def _calls(track: Track, window: Window, now: datetime) -> Line:
    """Of the step that is not over by the time that has passed of it."""
    pace = timedelta(hours=window.step)

    def per_hour(start: datetime, figures: Figures) -> float:
        passed = min(pace, max(now - start, SHORTEST))
        return figures.calls * timedelta(hours=1) / passed

    return line_of(track, window, per_hour)


def _panel(
    name: str,
    tracks: Sequence[Track],
    window: Window,
    value: Callable[[Figures], float | None],
    written: Callable[[float], str],
    counted: Callable[[Figures], int] = lambda figures: figures.calls,
) -> Panel:
    """counted: how many there are behind a value; of too few there is no point."""
    return Panel(name, [line_of(track, window, of_enough(track, value, counted)) for track in tracks], written)


def of_enough(
    track: Track, value: Callable[[Figures], float | None], counted: Callable[[Figures], int]
) -> Callable[[datetime, Figures], float | None]:
    fewest = min(FEWEST, max(map(counted, track.steps.values()), default=0) / 5)
    return lambda _, figures: value(figures) if counted(figures) >= fewest else None


def _score_panel(key: ScoreKey, tracks: Sequence[Track], window: Window) -> Panel:
    def mean(figures: Figures) -> float | None:
        sums = figures.scores.get(key)
        return sums.mean if sums else None

    def given(figures: Figures) -> int:
        return figures.scores[key].n if key in figures.scores else 0

    units = {unit_of(track.total.scores[key]) for track in tracks if key in track.total.scores}
    written = _share if units == {"share"} else _score
    return _panel(f"{key[0]} by {key[1]}", tracks, window, mean, written, given)


def line_of(track: Track, window: Window, value: Callable[[datetime, Figures], float | None]) -> Line:
    """A point in the middle of each step; the axis goes from the beginning to the end of the window."""
    half = timedelta(hours=window.step) / 2
    points = [
        (min(start + half, window.until), value(start, track.steps[start]) if start in track.steps else None)
        for start in window.starts
    ]
    return Line(
        track.name,
        [(window.since, None), *points, (window.until, None)],
        "canary" if track.canary else "all" if track.production else "plain",
    )


def _error_rate(figures: Figures) -> float | None:
    return figures.errors.total() / figures.calls if figures.calls else None


def _told(marks: Sequence[Mark]) -> str:
    return "; ".join(f"{mark.words} at {mark.at:%Y-%m-%d %H:%M}" for mark in marks) or "nothing"


def _pace(window: Window) -> str:
    return {1: "hour", 24: "day"}.get(window.step, f"{window.step} hours")


def _whole(value: float) -> str:
    return count(round(value)) if value >= 10 else f"{value:g}"


def _share(value: float) -> str:
    return estimate(value, "share")


def _score(value: float) -> str:
    return f"{value:g}"
