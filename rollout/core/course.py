"""How the evidence of harm has gone since a rollout's start, in few points, so that a list of rollouts can show it."""

from collections.abc import Sequence
from datetime import UTC, datetime

MOST = 40

Stored = Sequence[Sequence[float]]  # seconds since 1970 and natural log of the e-value, oldest first


def longer(course: Stored, at: datetime, log_e: float) -> list[Sequence[float]]:
    """With one more point, in the place of the last where that is close to the one before; the first and newest stay.

    Of too many every second goes: so they are spread over the whole life, however long it is.
    """
    now = round(at.timestamp())
    close = len(course) > 2 and course[-1][0] - course[-2][0] < (now - course[0][0]) / MOST
    points = [*(course[:-1] if close else course), [now, round(log_e, 3)]]
    return points if len(points) <= MOST else points[::2]


def points(course: Stored) -> list[tuple[datetime, float]]:
    return [(datetime.fromtimestamp(seconds, UTC), log_e) for seconds, log_e in course]
