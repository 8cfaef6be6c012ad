"""How often a judge is asked again."""

from datetime import timedelta
from typing import Any

import pytest

from observability.judging.retries import MOST_ATTEMPTS, wait_after


@pytest.mark.parametrize(("retry_for_s", "asked"), [(1, 1), (60, 2), (600, 3), (3600, MOST_ATTEMPTS), (86_400, 5)])
def test_wait_after__as_long_as_is_set__asked_as_often_as_there_is_room_for(
    settings: Any, retry_for_s: int, asked: int
) -> None:
    settings.JUDGE_RETRY_FOR = timedelta(seconds=retry_for_s)

    attempts = next(attempts for attempts in range(1, 99) if wait_after(attempts) is None)

    assert attempts == asked
