"""The steps of a page's window, the points that they have, and the words of its numbers."""

from datetime import UTC, datetime, timedelta

import pytest

from observability.core.figures import Figures
from rollout.charts import Mark
from rollout.formats import DASH, between, milliseconds, money, plain
from rollout.pages.version_chart import from_the_first, line_of, of_enough
from rollout.pages.versions_parts import Track
from rollout.pages.windows import window

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
UNTIL = datetime(2026, 1, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize(("days", "steps", "hours"), [(1, 24, 1), (7, 27, 6), (28, 28, 24)])
def test_window__days__whole_steps_up_to_the_hour_that_runs(days: int, steps: int, hours: int) -> None:
    shown = window(days, NOW)

    assert shown.until == UNTIL
    starts = shown.axis.starts
    assert (len(starts), shown.step) == (steps, hours)
    assert starts[-1] < shown.until <= starts[-1] + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("busiest", "calls", "drawn"), [(1000, 19, False), (1000, 20, True), (10, 1, False), (10, 2, True), (1, 1, True)]
)
def test_line__step_with_few_calls__no_point(busiest: int, calls: int, drawn: bool) -> None:
    shown = window(7, NOW).axis
    first, second = shown.starts[:2]
    steps = {first: Figures(calls=busiest), second: Figures(calls=calls)}
    track = Track("v1.0", None, [], canary=False, steps=steps)

    value = of_enough(track, lambda figures: 0.5, lambda figures: figures.calls)
    points = dict(line_of(track, shown, value).points)

    assert points[second + timedelta(hours=3)] == (0.5 if drawn else None)
    assert {shown.since, shown.until} <= points.keys()


@pytest.mark.parametrize(("mark_h", "begins_h"), [(None, 12), (3, 12), (20, 24)])
def test_chart__begins_with_the_step_of_the_first_call_or_mark(mark_h: int | None, begins_h: int) -> None:
    shown = window(7, NOW).axis
    steps = {UNTIL - timedelta(hours=hours): Figures(calls=5) for hours in (3, 9)}  # 12:00 and 06:00
    track = Track("v1.0", None, [], canary=False, total=Figures(calls=10), steps=steps)
    marks = [Mark(UNTIL - timedelta(hours=mark_h), "moved")] if mark_h else []

    begins = from_the_first([track], marks, shown).since

    assert begins == datetime(2026, 1, 31, 18, tzinfo=UTC) - timedelta(hours=begins_h)


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        *[(None, DASH), (0, "$0.00"), (1234.5, "$1 234.50"), (1, "$1.00"), (0.0021, "$0.00210"), (0.999, "$0.999")],
        *[(0.9999999, "$1.00"), (0.09999, "$0.100"), (-3.2, "-$3.20"), (-0.0021, "-$0.00210")],
    ],
)
def test_money__in_words(usd: float | None, words: str) -> None:
    assert plain(money(usd)) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, DASH),
        (0, "0 ms"),
        (0.04, "0.04 ms"),
        (1.26, "1.3 ms"),
        (84.4, "84 ms"),
        (1424, "1.42 s"),
        (14240, "14.2 s"),
        (200_000, "3 min 20 s"),
        *[(0.999, "1.0 ms"), (9.97, "10 ms"), (999.7, "1.00 s"), (9999, "10.0 s"), (99_990, "1 min 40 s")],
    ],
)
def test_milliseconds__in_words(ms: float | None, words: str) -> None:
    assert plain(milliseconds(ms)) == words


@pytest.mark.parametrize(
    ("bounds", "unit", "words"),
    [
        (None, "share", DASH),
        ((0.012, 0.034), "share", "1.2 to 3.4 %"),
        ((0.5, 0.75), "score", "0.500 to 0.750"),
        ((0.01, 2), "USD", "$0.0100 to $2.00"),
    ],
)
def test_between__in_words(bounds: tuple[float, float] | None, unit: str, words: str) -> None:
    assert plain(between(bounds, unit)) == words
