"""How soon a metric is decided, foreseen within a factor of 1.5 of what the production statistics then do.

The simulations have fixed seeds; a median of 60 delays has a standard error of some 15 %, one of 200 of some 8 %.
"""

import math
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from rollout.core.plan import Plan, PlanStep
from rollout.core.stats import metric
from rollout.core.stats.evidence import histogram
from rollout.core.stats.forecast import (
    Arm,
    Leg,
    Question,
    calls_until,
    canary_calls,
    expected,
    legs_of,
    worse,
)
from rollout.core.stats.grid import Array
from rollout.core.stats.rates import FLOOR

THRESHOLD = math.log(20)
LOOK = 200
FLAT = [Leg(0, 0.05, math.inf, LOOK)]
RAMP = [Leg(0, 0.05, 4_000, LOOK), Leg(1, 0.25, 4_000, LOOK), Leg(2, 0.5, math.inf, LOOK)]


def rate(baseline: float, *, ratio: float | None = None, n: int = 10_000, **fields: Any) -> metric.Frozen:
    margin = {"ratio": ratio} if ratio else None
    given = {"direction": "lower", "margin": margin, "baseline_n": n, "baseline_total": n * baseline}
    return metric.freeze(**{"name": "rate", "kind": "rate", "role": "guardrail", "weight": 1, **given, **fields})


def score(baseline: float, *, n: int = 1000, **fields: Any) -> metric.Frozen:
    given = {"direction": "higher", "margin": None, "baseline_n": n, "baseline_total": n * baseline}
    return metric.freeze(**{"name": "score", "kind": "score", "role": "guardrail", "weight": 1, **given, **fields})


def ones(share: float) -> Array:
    values = np.zeros(1001)
    values[[0, 1000]] = 1 - share, share
    return values


def judged(mean: float, *, size: float = 1.75) -> Array:
    """Scores spread like a judge's: most near 1, some anywhere; a standard deviation of .14 at a mean of .94."""
    edges = np.clip((np.arange(1002) - 0.5) / 1000, 0, 1)
    return np.diff(beta.cdf(edges, mean * size, (1 - mean) * size))


def delays(
    asked: Question, frozen: metric.Frozen, control: Arm, canary: Arm, legs: list[Leg] = FLAT, *, seed: int = 1
) -> tuple[float, ...]:
    return calls_until(
        asked,
        frozen.process,
        control=control,
        canary=canary,
        legs=legs,
        log_threshold=THRESHOLD,
        least_batch=40,
        seed=seed,
    )


def foreseen(*asked: Any, legs: list[Leg] = FLAT, **how: Any) -> float:
    """The median of the canary's calls."""
    return canary_calls(median(delays(*asked, legs, **how)), legs)


def simulated(
    asked: Question, frozen: metric.Frozen, control: Array, canary: Array, legs: list[Leg], *, rollouts: int
) -> float:
    """The median of the canary's calls over rollouts that fold batches of LOOK calls until they report a decision."""
    rngs = np.random.default_rng(7).spawn(rollouts)
    return median(_delay(rng, asked, frozen, control, canary, legs) for rng in rngs)


def _delay(
    rng: np.random.Generator, asked: Question, frozen: metric.Frozen, control: Array, canary: Array, legs: list[Leg]
) -> float:
    state, calls, of_canary = metric.start(frozen), 0, 0
    ends = np.cumsum([leg.calls for leg in legs])
    while calls < 100_000:
        leg = legs[int(np.searchsorted(ends, calls, side="right"))]
        in_canary = int(rng.binomial(LOOK, leg.share))
        calls, of_canary = calls + LOOK, of_canary + in_canary
        arms = {
            "control": _bins(rng.multinomial(LOOK - in_canary, control)),
            "canary": _bins(rng.multinomial(in_canary, canary)),
        }
        state = metric.fold(frozen, state, step=leg.step, **arms)
        report = metric.report(frozen, state)
        if (report.log_e_harm if asked == "harm" else report.max_log_e_safe) >= THRESHOLD:
            return of_canary
    return math.inf


def _bins(counts: Any) -> dict[int, int]:
    return {int(place): int(counts[place]) for place in np.flatnonzero(counts)}


def odds(share: float, ratio: float) -> float:
    return share * ratio / (1 + share * (ratio - 1))


@pytest.mark.parametrize("legs", [FLAT, RAMP], ids=["5 %", "ramp 5-25-50 %"])
@pytest.mark.parametrize("asked", ["harm", "safe"])
@pytest.mark.parametrize(
    ("frozen", "control", "by_margin_worse", "rollouts"),
    [
        (rate(0.018, ratio=1.5), ones(0.018), ones(odds(0.018, 1.5)), 60),
        (rate(0.01, ratio=2), ones(0.01), ones(odds(0.01, 2)), 60),
        (rate(0.1, ratio=1.5), ones(0.1), ones(odds(0.1, 1.5)), 200),
        (score(0.94), judged(0.94), judged(0.91), 200),
    ],
    ids=["rate 1.8 %, x1.5", "rate 1 %, x2", "rate 10 %, x1.5", "score .94, .03"],
)
def test_calls_until__as_simulated__within_a_factor_of_one_and_a_half(
    frozen: metric.Frozen, control: Array, by_margin_worse: Array, rollouts: int, asked: Question, legs: list[Leg]
) -> None:
    truth = by_margin_worse if asked == "harm" else control
    seen = simulated(asked, frozen, control, truth, legs, rollouts=rollouts)

    canary = worse(frozen.process, control) if asked == "harm" else control
    said = foreseen(asked, frozen, Arm(control), Arm(canary), legs=legs)

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

    said = foreseen(asked, frozen, Arm(control), Arm(canary), legs=legs)

    assert 1 / 1.25 <= said / published <= 1.25, said


@pytest.mark.parametrize(("frozen", "values"), [(rate(0.018), ones(0.018)), (score(0.94), judged(0.94))])
def test_calls_until__harm_of_equal_arms__does_not_come_but_for_alpha(frozen: metric.Frozen, values: Array) -> None:
    calls = delays("harm", frozen, Arm(values), Arm(values))

    assert sum(found < 1_000_000 for found in calls) <= 0.05 * len(calls)


def test_calls_until__same_seed__same_numbers() -> None:
    asked = "harm", rate(0.018), Arm(ones(0.018)), Arm(ones(0.04))

    assert delays(*asked, seed=3) == delays(*asked, seed=3) != delays(*asked, seed=4)


def test_calls_until__a_tenth_of_the_calls_judged__ten_times_the_calls() -> None:
    control, canary = judged(0.94), judged(0.9)

    all_judged = foreseen("harm", score(0.94), Arm(control), Arm(canary))
    a_tenth = foreseen("harm", score(0.94), Arm(control, 0.1), Arm(canary, 0.1))

    assert a_tenth == pytest.approx(10 * all_judged, rel=0.15)


def test_calls_until__only_the_canary_judged_more__fewer_calls() -> None:
    control, canary = judged(0.94), judged(0.9)

    alike = foreseen("harm", score(0.94), Arm(control, 0.05), Arm(canary, 0.05))
    mostly_canary = foreseen("harm", score(0.94), Arm(control, 0.05), Arm(canary, 1))

    assert mostly_canary < alike / 5


def test_calls_until__looks_far_apart__at_a_look() -> None:
    legs = [Leg(0, 0.05, math.inf, 30_000)]

    assert foreseen("harm", rate(0.018), Arm(ones(0.018)), Arm(ones(0.08)), legs=legs) == 1500


@pytest.mark.parametrize(("direction", "share"), [("lower", 0.02), ("higher", 0.98)])
def test_worse__rate__odds_of_failing_by_the_ratio(direction: str, share: float) -> None:
    frozen = rate(share, ratio=1.5, direction=direction)

    found = worse(frozen.process, ones(share))

    assert found[1000 if direction == "lower" else 0] / found.sum() == pytest.approx(odds(0.02, 1.5))


def test_worse__rate_under_the_floor__at_the_floor() -> None:
    found = worse(rate(0.0001).process, ones(0.0001))

    assert found[1000] / found.sum() == pytest.approx(FLOOR)


@given(
    st.dictionaries(st.integers(0, 1000), st.integers(1, 100), min_size=1),
    st.sampled_from(["lower", "higher"]),
    st.floats(0.001, 0.3),
)
def test_worse__score__its_mean_is_worse_by_the_margin_as_far_as_there_is_room(
    bins: dict[int, int], direction: str, margin: float
) -> None:
    process = score(0.5, direction=direction, margin={"absolute": margin}).process
    values = expected(process, histogram(bins))

    found = worse(process, values)

    bad = np.arange(1001) / 1000 if direction == "lower" else 1 - np.arange(1001) / 1000
    before, after = (float(arm @ bad / arm.sum()) for arm in (values, found))
    assert after - before == pytest.approx(min(margin, (1 - before) / 2), abs=1e-6)


@pytest.mark.parametrize(
    ("frozen", "bins", "failing"),
    [
        (rate(0.5, n=0), {}, 0.05),
        (rate(0.5, n=0, direction="higher"), {}, 0.05),
        (rate(0, n=400), {0: 400}, 0.5 / 401),
        (rate(0.1), {0: 900, 600: 50, 1000: 50}, 100.5 / 1001),
    ],
    ids=["no baseline", "no baseline, higher is better", "no failure yet", "values of half and more fail"],
)
def test_expected__rate__its_baseline_smoothed_or_a_guess(
    frozen: metric.Frozen, bins: dict[int, int], failing: float
) -> None:
    values = expected(frozen.process, histogram(bins))

    found = values[500:] if frozen.direction == "lower" else values[:500]
    assert found.sum() / values.sum() == pytest.approx(failing)


@pytest.mark.parametrize(("direction", "mean"), [("lower", 0.05), ("higher", 0.95)])
def test_expected__score_without_a_baseline__a_guess_that_is_mostly_good(direction: str, mean: float) -> None:
    values = expected(score(0, n=0, direction=direction).process, histogram({}))

    assert values @ np.arange(1001) / 1000 / values.sum() == pytest.approx(mean)


def test_legs__of_a_plan__holds_in_calls() -> None:
    plan = Plan((), steps=(PlanStep(500, 3600), PlanStep(5000, 60)), min_units=0, look_every_s=30)

    assert legs_of(plan, calls_per_s=2) == [Leg(0, 0.05, 7200, 60), Leg(1, 0.5, 120, 60)]


def test_legs__little_traffic__a_step_lasts_until_its_units_have_come() -> None:
    plan = Plan((), steps=(PlanStep(500, 3600), PlanStep(5000, 60)), min_units=100)

    assert [leg.calls for leg in legs_of(plan, calls_per_s=0)] == [2000, 0]


def test_canary_calls__over_the_legs__the_last_without_end() -> None:
    assert [canary_calls(calls, RAMP) for calls in (0, 2_000, 6_000, 10_000)] == [0, 100, 700, 2_200]
