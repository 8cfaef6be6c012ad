"""The process of costs and tokens: its scale, its cap, and that it does not care in what currency it is asked."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import TOP_LOG_BIN, log_bin
from rollout.core.plan import PlanMetric
from rollout.core.stats.costs import HARM, SAFE, Cost
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.grid import Grid
from rollout.core.stats.margins import LARGEST_OF_MEANS
from rollout.core.stats.values import CAP

TEN_MILLI_USD = log_bin(0.010, 1e-9)
USUAL = {TEN_MILLI_USD - 40: 300, TEN_MILLI_USD: 400, TEN_MILLI_USD + 40: 300}
spread = st.dictionaries(st.integers(-150, 330), st.integers(1, 60), min_size=1, max_size=6)


def cost(
    baseline: dict[int, int] | None = None, *, margin: dict[str, float] | None = None, name: str = "cost_per_call"
) -> Cost:
    return Cost.freeze(PlanMetric(name, "cost", "lower", margin=margin), baseline=baseline or USUAL, shares=())


def batch_of(control: dict[int, int], canary: dict[int, int]) -> Batch:
    return Batch(0, arm(control, top=TOP_LOG_BIN), arm(canary, top=TOP_LOG_BIN))


def around(offsets: dict[int, int], *, middle: int = TEN_MILLI_USD) -> dict[int, int]:
    return {middle + offset: n for offset, n in offsets.items()}


def test_freeze__unit__is_the_mean_of_the_baseline() -> None:
    process = cost()

    mean = sum(n * 1e-9 * 1.01 ** (place - 0.5) for place, n in USUAL.items()) / 1000
    assert process.values.unit == pytest.approx(mean)
    assert process.memory == pytest.approx((200.0, 200.0))  # in baseline means; counts for 200 calls at most
    assert cost({TEN_MILLI_USD: 50}).memory == pytest.approx((50.0, 50.0))


def test_freeze__grids__are_those_of_the_design() -> None:
    process = cost(margin={"ratio": 1.25})

    assert (process.contrast.worse, process.contrast.margin) == (1, pytest.approx(0.25))  # in baseline means
    assert process.contrast.harm == HARM == Grid.uniform([2 ** (-k / 2) for k in range(8)])
    assert process.contrast.safe.points == SAFE == tuple(pytest.approx(2 ** (-k / 2)) for k in range(8))


def test_cap__call_of_a_thousand_times_the_mean__counts_as_one_of_twenty() -> None:
    process = cost()
    at_cap, beyond = log_bin(CAP * process.values.unit, 1e-9) + 1, log_bin(1000 * process.values.unit, 1e-9)
    usual = {TEN_MILLI_USD: 95}

    found, larger = (
        process.weigh(batch_of(usual, {TEN_MILLI_USD: 4, one: 1}), process.memory) for one in (at_cap, beyond)
    )

    assert (larger.harm == found.harm).all()
    assert (larger.safe == found.safe).all()
    assert process.totals(arm({beyond: 2}, top=TOP_LOG_BIN)).mean == pytest.approx(CAP * process.values.unit)


@given(control=spread, canary=spread, before=spread, shift=st.sampled_from([-694, 694]))
def test_weigh__everything_about_a_thousand_times_as_dear__the_same_evidence(
    control: dict[int, int], canary: dict[int, int], before: dict[int, int], shift: int
) -> None:
    """1.01^694 is 998, a whole number of bins."""
    here, there = (
        process.weigh(batch_of(around(control, middle=middle), around(canary, middle=middle)), process.memory)
        for middle in (TEN_MILLI_USD, TEN_MILLI_USD + shift)
        for process in [cost(around(before, middle=middle))]
    )

    assert there.harm == pytest.approx(here.harm, rel=1e-9, abs=1e-9)
    assert there.safe == pytest.approx(here.safe, rel=1e-9, abs=1e-9)


def test_weigh__cost_and_tokens_of_the_same_shape__the_same_evidence() -> None:
    """Only the bins' smallest value differs, and that is in the scale."""
    batch = batch_of({600: 80, 700: 15}, {650: 3, 720: 2})
    costs, tokens = cost({600: 500, 700: 500}), cost({600: 500, 700: 500}, name="tokens")

    found, of_tokens = (process.weigh(batch, process.memory) for process in (costs, tokens))

    assert of_tokens.harm == pytest.approx(found.harm)
    assert of_tokens.safe == pytest.approx(found.safe)


def test_margin__ratio__tells_a_proof_from_none() -> None:
    """A canary 15 % dearer is proven to stay within 40 %, and not within 10 %."""
    dearer = {place + 14: n for place, n in USUAL.items()}  # 1.01^14 = 1.149
    strict, loose = cost(margin={"ratio": 1.1}), cost(margin={"ratio": 1.4})

    proofs = [
        process.log_e_safe(process.weigh(batch_of(USUAL, dearer), process.memory).safe) for process in (strict, loose)
    ]

    assert proofs[0] < 0
    assert proofs[1] > math.log(20)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_margin__largest_that_is_allowed__within_what_capped_means_can_show(share: float) -> None:
    process = cost(margin={"ratio": LARGEST_OF_MEANS})
    canary = round(1000 * share)

    found = process.weigh(batch_of({TEN_MILLI_USD: 1000 - canary}, {TEN_MILLI_USD: canary}), process.memory)

    assert LARGEST_OF_MEANS - 1 < CAP
    assert math.isfinite(process.log_e_safe(found.safe))
    assert process.log_e_safe(found.safe) > 0


@pytest.mark.parametrize(
    "margin", [{"ratio": 1.0}, {"ratio": 10.5}, {"ratio": math.nan}, {"absolute": 0.01}, {"ratio": 1.1, "absolute": 1}]
)
def test_margin__not_one_of_a_cost__refused_with_what_was_expected(margin: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r'expected {"ratio": r} with r from 1.01 to 10, the margin of a cost, got'):
        cost(margin=margin)


def test_margin__none_given__ten_per_cent() -> None:
    assert cost().margin == {"ratio": 1.1}


def test_totals__mean_in_the_metrics_own_unit() -> None:
    assert cost().totals(arm({TEN_MILLI_USD: 7}, top=TOP_LOG_BIN)).mean == pytest.approx(0.010, rel=0.01)
    tokens = cost({log_bin(1000, 1.0): 500}, name="tokens")
    assert tokens.totals(arm({log_bin(1200, 1.0): 3}, top=TOP_LOG_BIN)).mean == pytest.approx(1200, rel=0.01)
