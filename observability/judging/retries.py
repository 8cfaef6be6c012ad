"""When is a question to a judge asked again? Five attempts within about an hour, or as many as JUDGE_RETRY_FOR has room
for, then its score is missing."""

import random
from datetime import timedelta

from django.conf import settings

from observability.core.back_off import BACK_OFF_S, JITTER

MOST_ATTEMPTS = len(BACK_OFF_S) + 1
LONGEST_RETRY_AFTER_S = 3_600


def wait_after(attempts: int, *, retry_after_s: float | None = None) -> timedelta | None:
    """How long to wait after that many attempts (>= 1), or None when it was the last.

    Spread by ±20 %, so that what failed together does not come back together. retry_after_s: what the judge asked for;
    it makes the wait longer, never shorter, and at most an hour.
    """
    if attempts >= MOST_ATTEMPTS or sum(BACK_OFF_S[:attempts]) > settings.JUDGE_RETRY_FOR.total_seconds():
        return None
    back_off_s = BACK_OFF_S[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return timedelta(seconds=max(back_off_s, min(retry_after_s or 0, LONGEST_RETRY_AFTER_S)))
