"""Burn rates and error budgets, against figures computed by hand and by their properties."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import COST_PER_CALL, INTER_TOKEN_LATENCY, SMALLEST, TTFT, log_bin
from observability.core.figures import Figures, ScoreSums
from observability.core.objectives import (
    LEAST_BAD,
    LEAST_CALLS,
    TIERS,
    WINDOWS,
    Outputs,
    Promise,
    Slot,
    badness,
    badness_of_outputs,
    budget_of,
    burning,
    factor_of,
    gone_after,
    rate_of,
    standing,
)

AT = datetime(2026, 11, 26, 12, 3, tzinfo=UTC)
BUCKET = timedelta(minutes=5)
DAYS = timedelta(days=28)
LAST = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # where the running bucket begins


def slots(*parts: tuple[int, int, float]) -> list[Slot]:
    """Of (buckets, calls in each, bad ones in each), the newest bucket, which is running, at the end."""
    counts = [(calls, bad) for n, calls, bad in parts for _ in range(n)]
    first = LAST - (len(counts) - 1) * BUCKET
    return [
        Slot(first + i * BUCKET, first + (i + 1) * BUCKET, ScoreSums(calls, bad, bad))
        for i, (calls, bad) in enumerate(counts)
    ]


def burns(*parts: tuple[int, int, float], allowed: float = 0.01, open_: bool = False) -> str | None:
    found = burning(slots(*parts), allowed, AT, open_=open_)
    return found and f"{found.tier.severity} {found.tier.factor:g}"


@pytest.mark.parametrize(
    ("promise", "allowed"),
    [
        (Promise("faithfulness", "above", 0.9), 0.1),
        (Promise("hallucination", "below", 0.02), 0.02),
        (Promise("error_rate", "below", 0.01), 0.01),
        (Promise("ttft", "below", 1000, 0.95), 0.05),
        (Promise("tokens_per_second", "above", 15, 0.9), 0.1),
    ],
)
def test_allowed__each_promise__the_mean_that_may_be_bad(promise: Promise, allowed: float) -> None:
    assert promise.allowed == pytest.approx(allowed)


def test_badness__score_promised_above__one_minus_it_from_all_sources() -> None:
    figures = Figures(
        scores={("faithfulness", "judge"): ScoreSums(3, 2.4, 1.94), ("faithfulness", "user"): ScoreSums(1, 1, 1)}
    )

    bad = badness(figures, Promise("faithfulness", "above", 0.9))

    # Scores 0.9, 0.8 and 0.7, and 1: badness 0.1, 0.2, 0.3 and 0, whose squares are 0.01, 0.04, 0.09 and 0.
    assert bad[:3] == pytest.approx((4, 0.6, 0.14))


def test_badness__score_promised_below__it_itself() -> None:
    figures = Figures(scores={("hallucination", "judge"): ScoreSums(50, 2, 2), ("tone", "judge"): ScoreSums(9, 9, 9)})

    assert badness(figures, Promise("hallucination", "below", 0.02)) == ScoreSums(50, 2, 2)


def test_badness__time__the_calls_that_took_longer() -> None:
    taken = [400, 999, 1020, 3000]
    figures = Figures(ttft=Counter(log_bin(ms, SMALLEST[TTFT]) for ms in taken))

    assert badness(figures, Promise("ttft", "below", 1000, 0.95)) == ScoreSums(4, 2, 2)


def test_badness__tokens_per_second__the_calls_that_were_slower() -> None:
    between_tokens = [20, 66, 68, 200]  # ms: 50, 15.2, 14.7 and 5 tokens a second
    figures = Figures(inter_token=Counter(log_bin(ms, SMALLEST[INTER_TOKEN_LATENCY]) for ms in between_tokens))

    assert badness(figures, Promise("tokens_per_second", "above", 15, 0.95)) == ScoreSums(4, 2, 2)


def test_badness__errors__of_all_calls() -> None:
    figures = Figures(calls=200, errors=Counter(timeout=2, other=1))

    assert badness(figures, Promise("error_rate", "below", 0.01)) == ScoreSums(200, 3, 3)


def test_badness__cost_and_validity__of_the_outputs() -> None:
    outputs = Outputs(Counter(log_bin(usd, SMALLEST[COST_PER_CALL]) for usd in (0.01, 0.04, 0.06)), 20, 17)

    assert badness_of_outputs(outputs, Promise("cost_per_call", "below", 0.05, 0.95)) == ScoreSums(3, 1, 1)
    assert badness_of_outputs(outputs, Promise("output_valid", "above", 0.99)) == ScoreSums(20, 3, 3)


def test_rate__of_a_window__mean_badness_over_what_is_allowed() -> None:
    history = slots((11, 100, 1), (2, 50, 6))  # an hour back: 11 buckets before the last two

    # 5 minutes: 12 of 100. An hour, whose first bucket is the 13th back, counts whole: 23 of 1200.
    five, hour = (rate_of(history, 0.01, AT, window) for window in (BUCKET, timedelta(hours=1)))

    assert (five.n, five.burn) == (100, pytest.approx(12.0))
    assert (hour.n, hour.burn) == (1200, pytest.approx(100 * 23 / 1200))


def test_rate__no_calls__unknown_and_not_0() -> None:
    found = rate_of(slots((3, 0, 0)), 0.01, AT, timedelta(hours=1))

    assert (found.n, found.burn, found.least) == (0, None, None)


def test_rate__few_lately__reaches_back_until_there_are_enough() -> None:
    history = slots((5, 2, 1), (3, 0, 0))

    assert rate_of(history, 0.1, AT, BUCKET).n == 0
    assert rate_of(history, 0.1, AT, BUCKET, least_n=5).n == 6


@pytest.mark.parametrize(
    ("minutes_bad", "share", "seen"),
    [
        # An hour has 13 buckets here. All bad for 10 of 65 minutes at 1 % allowed: 2/13 over 0.01 is 15.4.
        (10, 1.0, "critical 14.4"),
        (5, 1.0, None),  # 7.7 over the hour; over six, 1/73, it is 1.4, and over the day 0.3
        (360, 0.07, "critical 6"),
        (360, 0.05, "warning 1"),  # 5 over six hours; over all that there is 72 x 0.05 / 289 / 0.01 = 1.2
    ],
)
def test_burning__badness_of_so_long__the_alert_that_the_workbook_asks_for(
    minutes_bad: int, share: float, seen: str | None
) -> None:
    bad = minutes_bad // 5

    assert burns((289 - bad, 100, 0), (bad, 100, 100 * share)) == seen


def test_burning__three_times_too_fast_for_a_day__a_warning() -> None:
    assert burns((900, 100, 0), (289, 100, 3.1)) == "warning 3"


def test_burning__a_little_too_fast_for_three_days__a_warning() -> None:
    assert burns((870, 100, 1.2)) == "warning 1"
    assert burns((870, 100, 0.8)) is None


def test_burning__over_in_the_short_window__told_no_more() -> None:
    assert burns((270, 100, 0), (11, 100, 100), (2, 100, 0)) != "critical 14.4"


@pytest.mark.parametrize(("calls", "bad"), [(3, 3), (LEAST_CALLS - 1, LEAST_CALLS - 1), (100, LEAST_BAD - 1)])
def test_burning__few_calls_or_few_bad_ones__wakes_nobody(calls: int, bad: int) -> None:
    assert burns((1, calls, bad)) is None


def test_burning__few_judged_calls_that_are_bad__found() -> None:
    # 24 scores an hour, two in each bucket, all bad.
    assert burns((13, 2, 2)) == "critical 14.4"


def test_burning__chance__no_alert() -> None:
    # 6 of 500 is 1.2 times too fast, but its 95 % interval (Wilson) begins at 0.55 %.
    assert burns((1, 500, 6)) is None


def test_burning__open__holds_until_it_falls_under_four_fifths() -> None:
    history = ((270, 100, 0), (13, 100, 13))  # 13 times too fast for an hour

    assert burns(*history) != "critical 14.4"
    assert burns(*history, open_=True) == "critical 14.4"
    assert burns((270, 100, 0), (13, 100, 11), open_=True) != "critical 14.4"


def test_burning__generous_budget__all_bad_is_told_though_it_cannot_burn_14_times_too_fast() -> None:
    # With 0.10 allowed calls that are all bad burn it 10 times too fast.
    assert factor_of(TIERS[0], 0.1) == pytest.approx(8)
    assert factor_of(TIERS[0], 0.05) == 14.4
    assert factor_of(TIERS[0], 0.9) == 1
    assert burns((13, 100, 100), allowed=0.1) == "critical 14.4"
    assert burns((13, 100, 79), allowed=0.1) != "critical 14.4"


def test_budget__some_spent__by_hand() -> None:
    # 28 days with 10 000 calls, 30 bad: of the 100 that 1 % allows 30 are spent.
    found = budget_of(ScoreSums(10_000, 30, 30), 0.01)

    assert (found.n, found.attained, found.spent, found.left) == (10_000, 0.997, pytest.approx(0.3), pytest.approx(0.7))


def test_budget__more_than_all_spent__nothing_left() -> None:
    found = budget_of(ScoreSums(100, 3, 3), 0.01)

    assert (found.spent, found.left) == (pytest.approx(3.0), 0)


def test_budget__no_calls__unknown() -> None:
    found = budget_of(ScoreSums(0, 0, 0), 0.01)

    assert (found.attained, found.spent, found.left) == (None, None, None)


@pytest.mark.parametrize(
    ("spent", "burn", "covered_d", "gone_d"),
    [
        (0.0, 14.0, 28, 2.0),  # the workbook's: 28 / 14
        (0.5, 14.0, 28, 1.0),
        (0.0, 1.0, 28, None),
        (0.9, 0.5, 28, None),
        (1.2, 0.0, 28, 0.0),
        # A day old with half of its budget spent: 0.5 + 2 t = 1 + t after half a day.
        (0.5, 2.0, 1, 0.5),
        # 27 days with half spent: the day that is missing passes, then 28 = 13.5 + 2 t.
        (0.5, 2.0, 27, 7.25),
    ],
)
def test_gone_after__at_this_rate__by_hand(spent: float, burn: float, covered_d: float, gone_d: float | None) -> None:
    found = gone_after(spent, burn, covered=timedelta(days=covered_d), days=DAYS)

    assert (found and found / timedelta(days=1)) == (gone_d or (found and pytest.approx(gone_d)))


def test_standing__burning__says_when_it_is_gone() -> None:
    history = slots((13, 100, 14))

    found = standing(history=history, bad=ScoreSums(10_000, 50, 50), allowed=0.01, at=AT, covered=DAYS, days=DAYS)

    assert found.budget.left == pytest.approx(0.5)
    assert found.gone_at == AT + timedelta(days=1)  # 28 x 0.5 / 14


COUNTS = st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=1, max_size=80)


def history_of(counts: Any) -> list[Slot]:
    return slots(*((1, calls, calls * share) for calls, share in counts))


@given(COUNTS, st.floats(0.001, 0.9))
def test_budget__whatever_came__spent_is_never_negative_and_left_is_a_share(counts: Any, allowed: float) -> None:
    sums = ScoreSums(0, 0, 0)
    for slot in history_of(counts):
        sums = sums.plus(slot.bad)

    found = budget_of(sums, allowed)

    assert (found.spent is None) == (sums.n == 0)
    if found.spent is not None:
        assert found.spent >= 0
        assert found.left is not None
        assert 0 <= found.left <= 1


@given(COUNTS, st.floats(0.001, 0.9), st.data())
def test_rate__a_call_is_worse__burns_no_slower(counts: Any, allowed: float, data: Any) -> None:
    place = data.draw(st.integers(0, len(counts) - 1))
    worse = [(calls, 1.0 if i == place else share) for i, (calls, share) in enumerate(counts)]

    for window in WINDOWS:
        before, after = (rate_of(history_of(each), allowed, AT, window).burn for each in (counts, worse))
        assert before is None or (after is not None and after >= before - 1e-9)


@given(st.floats(0, 0.99), st.lists(st.floats(1.01, 100), min_size=2, max_size=5), st.floats(0.1, 28))
def test_gone_after__burns_faster__gone_no_later(spent: float, rates: list[float], covered_d: float) -> None:
    found = [gone_after(spent, burn, covered=timedelta(days=covered_d), days=DAYS) for burn in sorted(rates)]

    assert all(slow and fast and slow >= fast for slow, fast in pairwise(found))


@given(COUNTS, st.floats(0.001, 0.9))
def test_burning__not_open__is_also_while_open(counts: Any, allowed: float) -> None:
    history = history_of(counts)

    if burning(history, allowed, AT):
        assert burning(history, allowed, AT, open_=True)
