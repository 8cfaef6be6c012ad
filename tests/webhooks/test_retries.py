from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.webhooks.retries import BACK_OFF_S, retry_after_s, wait_after

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_back_off__about_three_days_together() -> None:
    assert timedelta(hours=71) < timedelta(seconds=sum(BACK_OFF_S)) < timedelta(hours=73)


@pytest.mark.parametrize(("failures", "planned_s"), list(enumerate(BACK_OFF_S, start=1)))
def test_wait_after__each_failure__the_planned_wait_with_a_tenth_of_jitter(failures: int, planned_s: int) -> None:
    waits_s = {wait.total_seconds() for _ in range(20) if (wait := wait_after(failures))}

    assert len(waits_s) > 1
    assert all(0.9 * planned_s <= wait_s <= 1.1 * planned_s for wait_s in waits_s)


def test_wait_after__the_last_failure__none() -> None:
    assert wait_after(len(BACK_OFF_S) + 1) is None


@pytest.mark.parametrize(
    ("asked_s", "waits_s"),
    [
        (1, 5),  # never shorter than the back-off of 5 s
        (120, 120),
        (10**9, 12 * 3600),  # never longer than 12 hours
        (float("inf"), 12 * 3600),
    ],
)
def test_wait_after__the_receiver_asked_for_a_wait__honoured_within_bounds(asked_s: float, waits_s: float) -> None:
    wait = wait_after(1, retry_after_s=asked_s)

    assert wait is not None
    assert wait.total_seconds() == pytest.approx(waits_s, rel=0.1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("²", 0),
        ("9" * 5000, float("inf")),
    ],
)
def test_retry_after__seconds_a_date_or_nonsense(header: str, seconds: float) -> None:
    assert retry_after_s(header, at=NOON) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ (Jan|Feb) \d+ \d+:\d+:\d+ ([+-]\d+|GMT|EST)", fullmatch=True))
def test_retry_after__anything__a_number_of_seconds(header: str) -> None:
    assert retry_after_s(header, at=NOON) >= 0
