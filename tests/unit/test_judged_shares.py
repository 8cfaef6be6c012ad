"""Which share of each arm's calls is judged, and what a plan keeps of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.judged import affordable, split, split_by_step
from rollout.core.plan import Judged, Plan, PlanMetric

shares = st.floats(1e-6, 1)
weights = st.floats(1e-4, 0.9999)


@pytest.mark.parametrize(
    ("weight", "canary", "control"),
    [(0.05, 0.2, 0.01 / 0.95), (0.01, 1.0, 0.01 / 0.99), (0.5, 0.02, 0.02)],
)
def test_split__two_percent_of_all_calls__half_of_them_the_canarys(
    weight: float, canary: float, control: float
) -> None:
    judged = split(0.02, weight=weight)

    assert (judged.canary, judged.control) == pytest.approx((canary, control))


def test_split__small_canary__all_its_calls_and_the_rest_of_the_control() -> None:
    judged = split(0.02, weight=0.001)

    assert (judged.canary, judged.control) == pytest.approx((1.0, (0.02 - 0.001) / 0.999))


def test_split__less_is_wanted_of_the_canary__the_control_gets_what_is_left() -> None:
    judged = split(0.02, weight=0.05, canary_at_most=0.1)

    assert (judged.canary, judged.control) == pytest.approx((0.1, (0.02 - 0.005) / 0.95))


@pytest.mark.parametrize("weight", [0.05, 0.5, 0.9])
def test_split__all_calls__all_of_both_arms(weight: float) -> None:
    assert split(1.0, weight=weight) == Judged(control=pytest.approx(1.0), canary=pytest.approx(1.0))


@given(shares, weights, shares)
def test_split__any_share__of_each_arm_over_0_and_no_more_than_all(judged: float, weight: float, most: float) -> None:
    found = split(judged, weight=weight, canary_at_most=most)

    assert 0 < found.control <= 1
    assert 0 < found.canary <= most
    assert weight * found.canary + (1 - weight) * found.control <= judged * (1 + 1e-9)


@given(shares, weights)
def test_split__nothing_in_the_way__makes_up_the_share_of_all_calls(judged: float, weight: float) -> None:
    found = split(judged, weight=weight)

    assert weight * found.canary + (1 - weight) * found.control == pytest.approx(judged, rel=1e-6)


@pytest.mark.parametrize(("wanted", "most", "part"), [(100, None, 1), (100, 200, 1), (100, 25, 0.25), (0, 0, 1)])
def test_affordable__wanted_a_day__the_part_that_may_be_had(wanted: float, most: float | None, part: float) -> None:
    assert affordable(wanted_a_day=wanted, most_a_day=most) == part


def test_plan__with_an_evaluator__comes_back_from_json() -> None:
    metric = PlanMetric(
        "faithfulness",
        "score",
        "higher",
        evaluator="faithfulness@3",
        judged_by_step=split_by_step(0.02, weights=[0.05, 0.5]),
    )

    plan = Plan.from_json(json.loads(json.dumps(Plan((metric,)).to_json())))

    assert plan.metrics == (metric,)
    assert [plan.metrics[0].judged_on(step) for step in range(2)] == list(metric.judged_by_step)


def test_plan__without_an_evaluator__says_nothing_of_one() -> None:
    """So what was frozen and stored before there were any still follows from itself."""
    stored = Plan((PlanMetric("tone", "score", "higher"),)).to_json()["metrics"][0]

    assert not {"evaluator", "judged_by_step"} & stored.keys()
    assert PlanMetric.from_json(stored).judged_on(2) == Judged()
