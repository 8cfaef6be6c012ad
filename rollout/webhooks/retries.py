"""When a failed delivery is tried again: 15 attempts over about three days, then it is dead."""

import random
from datetime import datetime, timedelta

from django.utils.http import parse_http_date_safe

MINUTE, HOUR = 60, 3600
# Waits after the first, second, … failed attempt, in seconds: 71 h 43 min together.
BACK_OFF_S = (
    *(5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE),
    *(1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 8 * HOUR),
    *(12 * HOUR, 12 * HOUR, 12 * HOUR, 12 * HOUR),
)
JITTER = 0.1
LONGEST_RETRY_AFTER_S = 12 * HOUR
SHORTEST_LIFE = timedelta(seconds=sum(BACK_OFF_S) * (1 - JITTER))  # of a delivery that nobody takes


def wait_after(failures: int, *, retry_after_s: float = 0) -> timedelta | None:
    """How long to wait after that many failed attempts (>= 1), or None when it was the last.

    The back-off is spread by ±10 %, so that what failed together does not come back together. retry_after_s: what the
    receiver asked for; it makes the wait longer, never shorter, and at most 12 hours.
    """
    if failures > len(BACK_OFF_S):
        return None
    back_off_s = BACK_OFF_S[failures - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return timedelta(seconds=max(back_off_s, min(retry_after_s, LONGEST_RETRY_AFTER_S)))


def retry_after_s(header: str, *, at: datetime) -> float:
    """The seconds from `at` that a Retry-After header asks for (RFC 9110, 10.2.3); 0 for none or nonsense."""
    if header.isascii() and header.isdigit():
        return float(header)
    moment = parse_http_date_safe(header)
    return max(0, moment - at.timestamp()) if moment else 0
