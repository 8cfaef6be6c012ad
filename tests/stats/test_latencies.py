"""The process of times: three questions for harm, two proofs for safety, and the P95 that is frozen."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import TOP_LOG_BIN, log_bin, value_of_log_bin
from rollout.core.plan import PlanMetric
from rollout.core.stats.costs import Cost
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.grid import Grid
from rollout.core.stats.latencies import HARM_OF_LOGS, TAIL_MARGIN, Latency
from rollout.core.stats.rates import log_increments
from rollout.core.stats.values import CLIP

SECOND = log_bin(1000.0, 1e-3)
# A lognormal time of 1 s with a deviation of .5 in its logarithm (50 bins), from its quantiles.
QUANTILES = np.random.default_rng(5).normal(SECOND, 50, 2000).round().astype(int)
USUAL = {int(place): int(n) for place, n in zip(*np.unique(QUANTILES, return_counts=True), strict=True)}


def latency(baseline: dict[int, int] | None = None, *, margin: dict[str, float] | None = None) -> Latency:
    metric = PlanMetric("latency", "latency", "lower", margin=margin)
    return Latency.freeze(metric, baseline=USUAL if baseline is None else baseline, shares=())


def batch_of(control: dict[int, int], canary: dict[int, int]) -> Batch:
    return Batch(0, arm(control, top=TOP_LOG_BIN), arm(canary, top=TOP_LOG_BIN))


def weighed(process: Latency, batch: Batch) -> Any:
    return process.weigh(batch, process.memory)


def shifted(bins: dict[int, int], by: int) -> dict[int, int]:
    return {place + by: n for place, n in bins.items()}


def some(n: int, *, slower: int = 0, tail: float = 0.0, seed: int = 7) -> dict[int, int]:
    """n usual times, all `slower` bins slower, and of the share `tail` three times as long (110 bins)."""
    rng = np.random.default_rng(seed)
    places = rng.normal(SECOND, 50, n).round().astype(int) + slower + 110 * (rng.random(n) < tail)
    return {int(place): int(count) for place, count in zip(*np.unique(places, return_counts=True), strict=True)}


@given(st.dictionaries(st.integers(1, TOP_LOG_BIN), st.integers(1, 40), min_size=1, max_size=30))
def test_frozen_p95__any_baseline__at_most_a_twentieth_above_it_and_more_from_its_bin_on(
    baseline: dict[int, int],
) -> None:
    first = latency(baseline).tail.first

    n = sum(baseline.values())
    above = sum(count for place, count in baseline.items() if place >= first)
    with_it = above + baseline[first - 1]
    assert 20 * above <= n
    assert 20 * with_it >= n


def test_frozen_p95__a_hundred_different_times__five_take_longer() -> None:
    process = latency({SECOND + k: 1 for k in range(100)})

    assert process.tail.first == SECOND + 95
    assert process.tail.totals(arm({SECOND + k: 1 for k in range(100)}, top=TOP_LOG_BIN)).mean == 0.05


def test_frozen_p95__reference_times__within_the_bins_of_both_sketches(vectors: dict[str, dict[str, Any]]) -> None:
    ddsketch = vectors["V64"]["output"]["0.95"]  # seconds, within 1 % of the sample's own
    times = np.random.default_rng(12345).lognormal(-0.95, 0.6, vectors["V64"]["inputs"]["n"])  # as V22 says
    places, counts = np.unique([log_bin(1000 * time, 1e-3) for time in times], return_counts=True)

    first = latency(dict(zip(places.tolist(), counts.tolist(), strict=True))).tail.first

    p95 = value_of_log_bin(first - 1, 1e-3) / 1000
    assert p95 == pytest.approx(np.quantile(times, 0.95), rel=0.005)
    assert p95 == pytest.approx(ddsketch, rel=0.015)


def test_freeze__logarithms__standardised_by_the_baseline() -> None:
    process = latency()

    logs = np.repeat(list(USUAL), list(USUAL.values())) * math.log(1.01)
    assert process.logs.width == pytest.approx(logs.std())
    assert process.logs.centre == pytest.approx(math.log(1e-3) + logs.mean() - 0.5 * math.log(1.01))
    # statistics.md, formulae: .28 x 2^(-j/2), j < 8, on z in [-3.5, 3.5]
    assert process.log.harm == HARM_OF_LOGS == Grid.uniform([0.28 * 2 ** (-k / 2) for k in range(8)])
    assert (process.logs.low, process.logs.high) == (-CLIP, CLIP) == (-3.5, 3.5)


def test_freeze__baseline_of_one_value__logarithms_have_a_width_all_the_same() -> None:
    assert latency({SECOND: 500}).logs.width == 0.01


def test_weigh__three_parts__mean_as_a_cost_then_logarithm_then_tail() -> None:
    process, batch = latency(), batch_of(some(200), some(40, slower=20))

    found = weighed(process, batch)

    mean, log, tail = np.split(found.harm, [8, 16])
    as_cost = Cost.freeze(PlanMetric("latency", "cost", "lower"), baseline=USUAL, shares=())
    assert mean == pytest.approx(as_cost.weigh(batch, as_cost.memory).harm)
    assert log == pytest.approx(process.log.weigh(process.logs, batch, process.memory[2:]).harm)
    longer = [of.at_least(process.tail.first) for of in (batch.control, batch.canary)]
    assert tail == pytest.approx(
        log_increments(
            control=200,
            canary=40,
            control_failures=longer[0],
            canary_failures=longer[1],
            log_odds=np.array(process.tail.harm.points),
            nulls=np.zeros(24),
        )
    )
    assert (len(found.harm), len(found.safe)) == process.sizes


def test_log_e_harm__is_the_mean_of_the_three_e_values() -> None:
    process = latency()

    found = process.log_e_harm(np.concatenate([np.full(8, math.log(10)), np.full(8, math.log(4)), np.zeros(24)]))

    assert found == pytest.approx(math.log((10 + 4 + 1) / 3))


def test_log_e_safe__is_the_smaller_of_the_two_proofs() -> None:
    process = latency()
    proven, not_yet = np.full(8, 5.0), np.full(25, 1.0)

    assert process.log_e_safe(np.concatenate([proven, not_yet])) == pytest.approx(1.0)
    assert process.log_e_safe(np.concatenate([not_yet[:8] - 3, proven[:1].repeat(25)])) == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("slower", "tail", "sees"),
    [(22, 0.0, "logarithm"), (0, 0.2, "tail")],
    ids=["every call a quarter slower", "a fifth of the calls three times as long"],
)
def test_harm__each_way_to_be_slower__seen_by_the_part_that_is_made_for_it(slower: int, tail: float, sees: str) -> None:
    process = latency()

    found = weighed(process, batch_of(some(4000), some(200, slower=slower, tail=tail, seed=8)))

    _, log, above = np.split(found.harm, [8, 16])
    parts = {"logarithm": process.log.harm.log_e(log), "tail": process.tail.harm.log_e(above)}
    assert max(parts, key=lambda name: parts[name]) == sees
    assert process.log_e_harm(found.harm) > math.log(20)


def test_safe__same_times_in_both_arms__comes() -> None:
    process = latency()

    found = weighed(process, batch_of(some(20_000), some(20_000, seed=8)))

    assert process.log_e_safe(found.safe) > math.log(20)


def test_safe__only_the_tail_worse__is_not_proven_though_the_mean_is() -> None:
    process = latency(margin={"ratio": 1.4})

    found = weighed(process, batch_of(some(5000), some(5000, tail=0.06, seed=8)))

    mean, tail = np.split(found.safe, [8])
    assert process.mean.safe.log_e(mean) > math.log(20)
    assert process.tail.safe.log_e(tail) < 0
    assert process.log_e_safe(found.safe) < 0


def test_tail__margin__odds_of_one_and_a_half_without_a_floor() -> None:
    tail = latency(margin={"ratio": 3.0}).tail

    assert TAIL_MARGIN == 1.5
    assert tail.log_margin == pytest.approx(math.log(1.5))  # the plan's margin is the mean's
    assert (tail.floor, len(tail.safe.points), tail.failure) == (0.0, 25, 1)
    assert tail.harm.points[-1] == pytest.approx(0.8 * 2.3109, rel=1e-3)  # .8 is the scale for rates under 8 %


def test_weigh__all_times_scaled__the_same_evidence() -> None:
    process, slow = latency(), latency(shifted(USUAL, 694))
    control, canary = some(300), some(60, slower=15)

    found, scaled = (
        weighed(process, batch_of(control, canary)),
        weighed(slow, batch_of(shifted(control, 694), shifted(canary, 694))),
    )

    assert scaled.harm == pytest.approx(found.harm, abs=1e-9)
    assert scaled.safe == pytest.approx(found.safe, abs=1e-9)


def test_memory__mean_and_logarithm__each_learn_from_the_control() -> None:
    process = latency()

    learned = weighed(process, batch_of({SECOND: 100}, {SECOND: 5})).memory

    assert process.memory[1] == process.memory[3] == 200
    assert learned[1] == learned[3] == 300
    one = np.array([SECOND])
    assert learned[0] == pytest.approx(process.memory[0] + 100 * process.means.of(one)[0])
    assert learned[2] == pytest.approx(process.memory[2] + 100 * process.logs.of(one)[0])


def test_memory__after_a_batch__the_next_is_centred_on_it() -> None:
    process, batch = latency(), batch_of(some(400), some(40))

    first = weighed(process, batch)
    second = process.weigh(batch, first.memory)

    assert second.memory[1] == second.memory[3] == 200 + 800
    assert not np.allclose(first.harm[:16], second.harm[:16], rtol=1e-6)
    assert (first.harm[16:] == second.harm[16:]).all()  # the tail needs no centre
