"""A rollout's course in few points, and when so many canary calls will have come."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rollout.core.course import MOST, longer, points
from rollout.core.pace import seconds_until
from rollout.core.plan import PlanStep

NINE = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
HOUR = 3600


def test_course__a_month_of_looks__few_points_over_all_of_it_with_the_newest() -> None:
    course: list[object] = []
    for minute in range(30 * 24 * 60):
        course = longer(course, NINE + timedelta(minutes=minute), minute / 1000)  # type: ignore[arg-type, assignment]

    drawn = points(course)  # type: ignore[arg-type]
    assert MOST / 2 < len(drawn) <= MOST
    assert drawn[0] == (NINE, 0.0)
    assert drawn[-1] == (NINE + timedelta(minutes=43_199), 43.199)
    assert max(after[0] - before[0] for before, after in pairwise(drawn)) < timedelta(days=4)


@pytest.mark.parametrize(
    ("calls", "left_s", "seconds"),
    [
        (90, HOUR, 0.5 * HOUR),  # 180 an hour on the first step
        (180, HOUR, HOUR),
        (180 + 450, HOUR, 1.5 * HOUR),  # 900 an hour on the second
        (450, -5.0, 0.5 * HOUR),  # whose hold is served already
        (180 + 900 + 3600, HOUR, 4 * HOUR),  # the last goes on without end
    ],
)
def test_seconds_until__calls_of_the_steps_to_come(calls: int, left_s: float, seconds: float) -> None:
    steps = (PlanStep(500, 9 * HOUR), PlanStep(2500, HOUR), PlanStep(5000, HOUR))

    assert seconds_until(calls, calls_per_s=1.0, steps=steps, left_s=left_s) == pytest.approx(seconds)
