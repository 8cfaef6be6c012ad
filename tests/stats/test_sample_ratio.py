"""The sample ratio test: reference values, design effects of crowds, and how often it is wrong and how soon right."""

import math
from statistics import median
from typing import Any

import numpy as np
import pytest

from benchmarks.operating_characteristics.crowds import CROWDS, Crowd, one_call_a_unit
from benchmarks.operating_characteristics.driving import Outcome, drive
from benchmarks.operating_characteristics.traffic import draw_calls, steady
from rollout.core.plan import Plan, PlanStep
from rollout.core.stats.design_effect import BUCKETS
from rollout.core.stats.grid import Array
from rollout.core.stats.sample_ratio import (
    LOG_THRESHOLD,
    Counted,
    StepUnits,
    count,
    effective_units,
    log_bayes_factor,
    log_dirichlet_multinomial,
    mean_log_bayes_factor,
    planned_share,
    splitting,
)

Vectors = dict[str, dict[str, Any]]


@pytest.mark.parametrize("vector_id", ["V38", "V40", "V41"])
def test_bayes_factor__reference_counts__agrees_with_savvi(vectors: Vectors, vector_id: str) -> None:
    (control, canary), k = vectors[vector_id]["inputs"]["counts"], vectors[vector_id]["inputs"]["k"]

    found = log_dirichlet_multinomial(control, canary, weight=0.05, concentration=k)

    assert math.exp(found) == pytest.approx(vectors[vector_id]["output"]["odds"], rel=1e-9)


@pytest.mark.parametrize("vector_id", ["V43", "V44"])
def test_bayes_factor__counts_too_large_for_odds__agrees_with_scipy_in_logs(vectors: Vectors, vector_id: str) -> None:
    given = vectors[vector_id]["inputs"]
    (control, canary), (_, weight) = given["counts"], given["w"]

    found = log_dirichlet_multinomial(control, canary, weight=weight, concentration=given["k"])

    assert found == pytest.approx(vectors[vector_id]["output"], rel=1e-9)


def calls(buckets: dict[int, int]) -> Array:
    """By bucket (256,)."""
    of_all = np.zeros(BUCKETS)
    of_all[list(buckets)] = list(buckets.values())
    return of_all


def step(weight: float, control: dict[int, int], canary: dict[int, int]) -> StepUnits:
    return StepUnits(weight, calls(control), calls(canary))


def test_count__two_steps_of_one_weight__are_one_step() -> None:
    halves = [step(0.05, {1: 40, 2: 40}, {3: 4}), step(0.05, {1: 10, 7: 35}, {3: 6})]
    whole = [step(0.05, {1: 50, 2: 40, 7: 35}, {3: 10})]

    assert count(halves) == count(whole)
    assert len(count(halves)) == 1


def test_log_bayes_factor__steps_of_different_weights__add() -> None:
    first = StepUnits(0.05, np.full(256, 19.0), np.full(256, 2.0))
    second = StepUnits(0.25, np.full(256, 15.0), np.full(256, 5.0))

    both = log_bayes_factor(count([first, second]))

    assert both == pytest.approx(log_bayes_factor(count([first])) + log_bayes_factor(count([second])))


def test_log_bayes_factor__counted_units__the_number_behind_the_stored_ones() -> None:
    """A verdict keeps what was counted, so that a reader can compute it again."""
    counted = [Counted(0.05, control=940.0, canary=61.5), Counted(0.5, control=100.0, canary=90.0)]

    expected = [
        log_dirichlet_multinomial(one.control, one.canary, weight=one.share, concentration=1000) for one in counted
    ]
    assert log_bayes_factor(counted) == pytest.approx(sum(expected))


@pytest.mark.parametrize(
    "steps",
    [[], [step(0.05, {}, {})], [step(1.0, {3: 2}, {4: 900})], [step(0.0, {3: 2}, {4: 900})]],
    ids=["no step", "no calls", "everything to the canary", "nothing to the canary"],
)
def test_log_bayes_factor__nothing_to_compare__zero(steps: list[StepUnits]) -> None:
    assert log_bayes_factor(count(steps)) == 0


@pytest.mark.parametrize("impossible", [np.zeros(257), np.zeros(255), calls({0: -1})])
def test_count__impossible_counts__refused(impossible: Array) -> None:
    for arms in ((impossible, calls({})), (calls({}), impossible)):
        with pytest.raises(ValueError, match="expected calls of 0 or more in buckets 0 to 255"):
            count([StepUnits(0.05, *arms)])


def test_log_bayes_factor__ten_million_calls_of_one_arm__finite() -> None:
    everything, nothing = np.full(256, 40_000.0), np.zeros(256)

    assert math.isfinite(log_bayes_factor(count([StepUnits(0.05, everything, nothing)])))
    assert math.isfinite(log_bayes_factor(count([StepUnits(0.05, nothing, everything)])))


@pytest.mark.parametrize(
    "units",
    [
        step(0.05, {1: 1000, 2: 1000, 3: 1000}, {}),
        step(0.05, {}, {9: 1000}),
        step(0.01, dict.fromkeys(range(256), 115), {**dict.fromkeys(range(256), 1), 7: 300}),
    ],
    ids=["three units, none in the canary", "one unit, in the canary", "one heavy unit among many, in the canary"],
)
def test_log_bayes_factor__luck_of_few_units__no_evidence_though_the_calls_look_like_it(units: StepUnits) -> None:
    control, canary = float(units.control.sum()), float(units.canary.sum())
    as_if_independent = log_dirichlet_multinomial(control, canary, weight=units.weight, concentration=1000)

    found = log_bayes_factor(count([units]))

    assert found < 1 < LOG_THRESHOLD < as_if_independent


def test_splitting__one_heavy_unit_in_the_canary__seen_and_only_in_both_arms() -> None:
    spread, heavy = np.full(256, 100.0), np.where(np.arange(256) == 7, 300.0, 1.0)

    assert splitting(spread, heavy) > 10
    assert splitting(spread, spread) == 1
    assert splitting(spread, np.zeros(256)) == splitting(np.zeros(256), spread) == 1


@pytest.mark.parametrize(
    ("control", "canary", "share"),
    [(1.0, 1.0, 0.05), (0.1, 0.1, 0.05), (0.05, 1.0, 0.05 / (0.05 + 0.95 * 0.05)), (1.0, 0.5, 0.025 / 0.975)],
    ids=["every call", "the same share of both", "few of control", "half of the canary"],
)
def test_planned_share__judged_shares_of_both_arms__the_canarys_share_of_what_is_judged(
    control: float, canary: float, share: float
) -> None:
    assert planned_share(0.05, control=control, canary=canary) == pytest.approx(share)


def test_planned_share__judged_as_planned__is_not_evidence() -> None:
    """Of 19 000 and 1000 calls every one of the canary is judged, and 5 % of the control's."""
    share = planned_share(0.05, control=0.05, canary=1.0)

    as_planned = [Counted(share, control=950.0, canary=1000.0)]
    by_weight = [Counted(0.05, control=950.0, canary=1000.0)]

    assert log_bayes_factor(as_planned) < 0
    assert log_bayes_factor(by_weight) > LOG_THRESHOLD


def test_mean_log_bayes_factor__several_metrics__mean_of_the_numbers_not_of_their_logs() -> None:
    fine, broken = [Counted(0.5, 100.0, 100.0)], [Counted(0.5, 100.0, 160.0)]

    found = mean_log_bayes_factor([fine, broken])

    factors = [math.exp(log_bayes_factor(of)) for of in (fine, broken)]
    assert math.exp(found) == pytest.approx(sum(factors) / 2)
    assert mean_log_bayes_factor([broken]) == pytest.approx(log_bayes_factor(broken))


def test_mean_log_bayes_factor__no_metric_that_judges_or_none_judged_yet__zero() -> None:
    assert mean_log_bayes_factor([]) == 0
    assert mean_log_bayes_factor([[], []]) == pytest.approx(0)


def test_mean_log_bayes_factor__beyond_floats__no_overflow() -> None:
    broken = [Counted(0.05, control=0.0, canary=10_000.0)]

    assert mean_log_bayes_factor([broken, []]) == pytest.approx(log_bayes_factor(broken) - math.log(2))
    assert log_bayes_factor(broken) > 1000


def test_effective_units__every_call_another_unit__as_many_as_calls() -> None:
    rng = np.random.default_rng(1)
    control, canary = (rng.multinomial(n, [1 / 256] * 256).astype(float) for n in (9500, 500))

    units = effective_units(control, canary)

    assert units == pytest.approx((9500, 500), rel=0.25)  # deviation of a chi-square / 255 is .09


def test_effective_units__twenty_calls_a_unit__a_twentieth_of_the_calls() -> None:
    rng = np.random.default_rng(1)
    control, canary = (20.0 * rng.multinomial(n, [1 / 256] * 256) for n in (9500, 500))

    units = effective_units(control, canary)

    assert units == pytest.approx((9500, 500), rel=0.25)


def test_effective_units__one_unit_makes_all_calls__one() -> None:
    assert effective_units(calls({}), calls({17: 1000})) == pytest.approx((0, 1))


@pytest.mark.parametrize("crowd", [one_call_a_unit, *CROWDS.values()], ids=["1 call a unit", *CROWDS])
@pytest.mark.parametrize("weight", [0.01, 0.05, 0.25])
def test_sample_ratio__right_shares__does_not_fire(crowd: Crowd, weight: float) -> None:
    rngs = np.random.default_rng(6).spawn(8)

    ended = [rollout_of(crowd, rng, calls=4000, planned=weight, real=weight) for rng in rngs]

    assert [outcome.calls for outcome in ended if outcome.end == "invalid"] == []  # of 192 rollouts .2 would be


def test_sample_ratio__six_instead_of_five_per_cent__found_within_10500_calls() -> None:
    rngs = np.random.default_rng(7).spawn(25)

    ended = [rollout_of(one_call_a_unit, rng, calls=20_000, planned=0.05, real=0.06) for rng in rngs]

    found = [outcome.calls if outcome.end == "invalid" else math.inf for outcome in ended]
    assert median(found) <= 10_500  # statistics.md, what the implementation must show


def rollout_of(crowd: Crowd, rng: np.random.Generator, *, calls: int, planned: float, real: float) -> Outcome:
    """A rollout of one step without metrics, at the end of which it is promoted."""
    plan = Plan(metrics=(), steps=(PlanStep(round(planned * 10_000), calls),), max_duration_s=calls)
    drawn = draw_calls(rng, (), calls, crowd=crowd, drift=steady, skew=real / planned)
    return drive(plan, drawn, {})
