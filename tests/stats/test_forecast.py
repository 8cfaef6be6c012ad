"""How soon a metric is decided, foreseen within a factor of 1.5 of what the production statistics then do.

The simulations have fixed seeds; a median of 40 delays has a standard error of some 15 %, one of 200 of some 7 %.
"""

import math
from statistics import median
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, norm

from observability.core.evidence import LOG_STEP
from rollout.core.plan import Plan, PlanMetric, PlanStep
from rollout.core.stats import metric
from rollout.core.stats.behaviour import Behaviour, worse
from rollout.core.stats.evidence import Bins
from rollout.core.stats.forecast import (
    Leg,
    Question,
    calls_of_a_batch,
    calls_until,
    canary_calls,
    legs_of,
)
from rollout.core.stats.grid import Array

THRESHOLD = math.log(20)
LOOK = 200
FLAT = [Leg(0, 0.05, math.inf, LOOK)]
RAMP = [Leg(0, 0.05, 4_000, LOOK), Leg(1, 0.25, 4_000, LOOK), Leg(2, 0.5, math.inf, LOOK)]


def frozen(baseline: Bins, **fields: Any) -> metric.Frozen:
    planned = PlanMetric(**{"name": "metric", "direction": "lower", **fields})
    return metric.freeze(planned, baseline=baseline, shares=[leg.share for leg in RAMP])


def rate(baseline: float, *, ratio: float | None = None, n: int = 10_000, **fields: Any) -> metric.Frozen:
    margin = {"ratio": ratio} if ratio else None
    ones = round(n * baseline)
    return frozen({0: n - ones, 1000: ones}, **{"kind": "rate", "margin": margin, **fields})


def complaint(baseline: float) -> metric.Frozen:
    return rate(baseline, kind="complaint")


def score(baseline: float, *, n: int = 1000, **fields: Any) -> metric.Frozen:
    return frozen({round(1000 * baseline): n}, **{"kind": "score", "direction": "higher", **fields})


def amounts(width: float, **fields: Any) -> metric.Frozen:
    """A cost or a time whose baseline is log-normal."""
    return frozen(counted(log_normal(width)), **fields)


def counted(values: Array, n: int = 20_000) -> dict[int, int]:
    counts = np.rint(n * values / values.sum()).astype(int)
    return {int(place): int(counts[place]) for place in np.flatnonzero(counts)}


def ones(share: float) -> Array:
    values = np.zeros(1001)
    values[[0, 1000]] = 1 - share, share
    return values


def judged(mean: float, *, size: float = 1.75) -> Array:
    """Scores spread like a judge's: most near 1, some anywhere; a standard deviation of .14 at a mean of .94."""
    edges = np.clip((np.arange(1002) - 0.5) / 1000, 0, 1)
    return np.diff(beta.cdf(edges, mean * size, (1 - mean) * size))


def log_normal(width: float, *, factor: float = 1.0) -> Array:
    """By bins of 1 %; the median is the lower edge of bin 2000 times the factor."""
    edges = (np.arange(4002) - 2000) * math.log(LOG_STEP) - math.log(factor)
    return np.diff(norm.cdf(edges / width))


def delays(
    asked: Question,
    frozen: metric.Frozen,
    control: Behaviour,
    canary: Behaviour,
    legs: list[Leg] = FLAT,
    *,
    uncounted: float = 0,
    seed: int = 1,
) -> tuple[float, ...]:
    return calls_until(
        asked,
        frozen.process,
        control=control,
        canary=canary,
        legs=legs,
        log_threshold=THRESHOLD,
        least_batch=40,
        uncounted=uncounted,
        seed=seed,
    )


def foreseen(*asked: Any, legs: list[Leg] = FLAT, **how: Any) -> float:
    """The median of the canary's calls."""
    return canary_calls(median(delays(*asked, legs, **how)), legs)


def simulated(
    asked: Question, frozen: metric.Frozen, control: Array, canary: Array, legs: list[Leg], *, rollouts: int
) -> float:
    """The median of the canary's calls over rollouts that fold batches of LOOK calls until they report a decision.

    They go on side by side, and no longer than the median takes: until more than half of them have.
    """
    going = [(rng, metric.start(frozen)) for rng in np.random.default_rng(7).spawn(rollouts)]
    control, canary = control / control.sum(), canary / canary.sum()
    ends, reached = np.cumsum([leg.calls for leg in legs]), list[float]()
    for calls in range(0, 100_000, LOOK):
        leg, looked, going = legs[int(np.searchsorted(ends, calls, side="right"))], going, []
        for rng, before in looked:
            of_canary = int(rng.binomial(LOOK, leg.share))
            arms = {
                "control": _bins(rng.multinomial(LOOK - of_canary, control)),
                "canary": _bins(rng.multinomial(of_canary, canary)),
            }
            state = metric.fold(frozen, before, step=leg.step, **arms)
            if (metric.log_e_harm(frozen, state) if asked == "harm" else state.max_log_e_safe) >= THRESHOLD:
                reached.append(calls + LOOK)
            else:
                going.append((rng, state))
        if len(reached) > rollouts / 2:
            break
    return canary_calls(median([*reached, *[math.inf] * len(going)]), legs)


def _bins(counts: Any) -> dict[int, int]:
    places = np.flatnonzero(counts)
    return dict(zip(places.tolist(), counts[places].tolist(), strict=True))


def odds(share: float, ratio: float) -> float:
    return share * ratio / (1 + share * (ratio - 1))


@pytest.mark.parametrize(("legs", "times"), [(FLAT, 1), (RAMP, 2)], ids=["5 %", "ramp 5-25-50 %"])
@pytest.mark.parametrize("asked", ["harm", "safe"])
@pytest.mark.parametrize(
    ("frozen", "control", "by_margin_worse", "rollouts"),
    [
        (rate(0.018, ratio=1.5), ones(0.018), ones(odds(0.018, 1.5)), 40),
        (rate(0.01, ratio=2), ones(0.01), ones(odds(0.01, 2)), 40),
        (rate(0.1, ratio=1.5), ones(0.1), ones(odds(0.1, 1.5)), 100),
        (score(0.94), judged(0.94), judged(0.91), 200),
        (amounts(0.9, kind="cost", measure="cost_per_call"), log_normal(0.9), log_normal(0.9, factor=1.1), 40),
        (amounts(0.6, kind="latency", measure="ttft"), log_normal(0.6), log_normal(0.6, factor=1.1), 40),
        (complaint(0.005), ones(0.005), ones(0.01), 60),
        (rate(0.01, limit=0.02), ones(0.01), ones(odds(0.02, 1.5)), 60),
    ],
    ids=[
        "rate 1.8 %, x1.5",
        "rate 1 %, x2",
        "rate 10 %, x1.5",
        "score .94, .03",
        "cost, x1.1",
        "ttft, x1.1",
        "complaint .5 %, x2",
        "rate 1 %, limit 2 %",
    ],
)
def test_calls_until__as_simulated__within_a_factor_of_one_and_a_half(
    frozen: metric.Frozen,
    control: Array,
    by_margin_worse: Array,
    rollouts: int,
    asked: Question,
    legs: list[Leg],
    times: int,
) -> None:
    truth = by_margin_worse if asked == "harm" else control
    seen = simulated(asked, frozen, control, truth, legs, rollouts=times * rollouts)

    canary = worse(frozen.process, control) if asked == "harm" else control
    said = foreseen(asked, frozen, Behaviour(control), Behaviour(canary), legs=legs)

    assert 1 / 1.5 <= said / seen <= 1.5, (said, seen)


@pytest.mark.parametrize(
    ("asked", "frozen", "control", "canary", "share", "published"),
    [
        ("harm", rate(0.018), ones(0.018), ones(0.041), 0.05, 294),
        ("harm", rate(0.01), ones(0.01), ones(0.02), 0.05, 794),
        ("harm", rate(0.1), ones(0.1), ones(0.12), 0.05, 1506),
        ("harm", rate(0.3), ones(0.3), ones(0.36), 0.05, 363),
        ("harm", score(0.94), judged(0.94), judged(0.87), 0.05, 44),
        ("safe", rate(0.018), ones(0.018), ones(0.018), 0.05, 1718),
        ("safe", rate(0.018), ones(0.018), ones(0.018), 0.25, 2484),
        ("safe", rate(0.018), ones(0.018), ones(0.018), 0.5, 4169),
        ("safe", rate(0.01, ratio=2), ones(0.01), ones(0.01), 0.05, 971),
        ("safe", rate(0.01, ratio=2), ones(0.01), ones(0.01), 0.5, 2740),
        ("safe", rate(0, ratio=2), ones(0), ones(0), 0.05, 5122),
        ("safe", rate(0.0003, ratio=2), ones(0.0003), ones(0.0003), 0.05, 12_536),
        ("safe", score(0.94), judged(0.94), judged(0.94), 0.05, 208),
    ],
)
def test_calls_until__as_published__within_a_quarter(
    asked: Question, frozen: metric.Frozen, control: Array, canary: Array, share: float, published: float
) -> None:
    """docs/explanation/statistics.md: medians of 150 to 400 rollouts."""
    legs = [Leg(0, share, math.inf, LOOK)]

    said = foreseen(asked, frozen, Behaviour(control), Behaviour(canary), legs=legs)

    assert 1 / 1.25 <= said / published <= 1.25, said


@pytest.mark.parametrize(("frozen", "values"), [(rate(0.018), ones(0.018)), (score(0.94), judged(0.94))])
def test_calls_until__harm_of_equal_arms__does_not_come_but_for_alpha(frozen: metric.Frozen, values: Array) -> None:
    calls = delays("harm", frozen, Behaviour(values), Behaviour(values))

    assert sum(found < 1_000_000 for found in calls) <= 0.05 * len(calls)


def test_calls_until__same_seed__same_numbers() -> None:
    asked = "harm", rate(0.018), Behaviour(ones(0.018)), Behaviour(ones(0.04))

    assert delays(*asked, seed=3) == delays(*asked, seed=3) != delays(*asked, seed=4)


def test_calls_until__a_tenth_of_the_calls_judged__ten_times_the_calls() -> None:
    control, canary = judged(0.94), judged(0.9)
    legs = [Leg(0, 0.05, math.inf, look=1)]

    all_judged = foreseen("harm", score(0.94), Behaviour(control), Behaviour(canary), legs=legs)
    a_tenth = foreseen("harm", score(0.94), Behaviour(control, 0.1), Behaviour(canary, 0.1), legs=legs)

    assert a_tenth == pytest.approx(10 * all_judged, rel=0.15)


def test_calls_until__only_the_canary_judged_more__fewer_calls() -> None:
    control, canary = judged(0.94), judged(0.9)

    alike = foreseen("harm", score(0.94), Behaviour(control, 0.05), Behaviour(canary, 0.05))
    mostly_canary = foreseen("harm", score(0.94), Behaviour(control, 0.05), Behaviour(canary, 1))

    assert mostly_canary < alike / 5


def test_calls_until__calls_that_are_no_evidence__so_many_later() -> None:
    asked = "harm", rate(0.018), Behaviour(ones(0.018)), Behaviour(ones(0.04))
    ramp = [Leg(0, 0.05, 10_000, LOOK), Leg(1, 0.5, math.inf, LOOK)]

    at_once, late, on_the_next_step = (
        median(delays(*asked, legs, uncounted=n)) for legs, n in ((FLAT, 0), (FLAT, 5_000), (ramp, 12_000))
    )

    assert late == pytest.approx(at_once + 5_000, rel=0.05)
    assert 12_000 < on_the_next_step < 12_000 + at_once / 2


def test_calls_until__looks_far_apart__at_a_look() -> None:
    legs = [Leg(0, 0.05, math.inf, 30_000)]

    assert foreseen("harm", rate(0.018), Behaviour(ones(0.018)), Behaviour(ones(0.08)), legs=legs) == 1500


def test_legs__of_a_plan__holds_in_calls() -> None:
    plan = Plan((), steps=(PlanStep(500, 3600), PlanStep(5000, 60)), min_units=0, look_every_s=30)

    assert legs_of(plan, calls_per_s=2, first_evidence=(0, 0)) == [Leg(0, 0.05, 7200, 60), Leg(1, 0.5, 120, 60)]


def test_legs__little_traffic__a_step_lasts_until_its_units_have_come() -> None:
    plan = Plan((), steps=(PlanStep(500, 3600), PlanStep(5000, 60)), min_units=100)

    assert [leg.calls for leg in legs_of(plan, calls_per_s=0, first_evidence=(0, 0))] == [2000, 0]


def test_legs__little_evidence__a_step_lasts_until_there_is_some() -> None:
    plan = Plan((), steps=(PlanStep(500, 3600), PlanStep(5000, 60)), min_units=0)

    assert [leg.calls for leg in legs_of(plan, calls_per_s=1, first_evidence=(4000, 800))] == [4000, 800]


@pytest.mark.parametrize(
    ("control", "canary", "calls"),
    [(1.0, 1.0, 40), (0.01, 0.01, 4_000), (1.0, 0.001, 20_000)],
    ids=["40 calls", "40 of a hundredth", "one of the canary's"],
)
def test_calls_of_a_batch__what_is_observed__until_there_is_enough_of_both_arms(
    control: float, canary: float, calls: float
) -> None:
    assert calls_of_a_batch(0.05, control=control, canary=canary, least=40) == pytest.approx(calls)


def test_canary_calls__over_the_legs__the_last_without_end() -> None:
    assert [canary_calls(calls, RAMP) for calls in (0, 2_000, 6_000, 10_000)] == [0, 100, 700, 2_200]
