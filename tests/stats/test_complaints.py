"""The process of complaints: reference values, exact by enumeration of who gets them, whenever they come."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from rollout.core.plan import PlanMetric
from rollout.core.stats.complaints import Complaint, log_increments
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.metric import fold, freeze, report, start

Vectors = dict[str, dict[str, Any]]

SHARES = (0.05, 0.5)
shares = st.floats(0.0001, 0.9999)
log_ratios = st.floats(-2, 2)


def complaint(*, calls: int = 0, complaints: int = 0, margin: dict[str, float] | None = None) -> Complaint:
    metric = PlanMetric("thumbs_down", "complaint", "lower", margin=margin)
    return Complaint.freeze(metric, baseline={0: calls - complaints, 1000: complaints}, shares=SHARES)


def batch_of(control: dict[int, int], canary: dict[int, int], *, step: int = 0) -> Batch:
    return Batch(step, arm(control, top=1000), arm(canary, top=1000))


@pytest.mark.parametrize("vector_id", ["V46", "V47"])
def test_increment__reference_counts__agrees_with_scipy(vectors: Vectors, vector_id: str) -> None:
    counts = vectors[vector_id]["inputs"]

    (found,) = log_increments(
        canary=counts["fail_canary"],
        both=counts["fail_canary"] + counts["fail_control"],
        share=counts["w"],
        log_ratios=np.array([math.log(counts["r"])]),
        null=0.0,
    )

    assert found == pytest.approx(vectors[vector_id]["output"], rel=1e-10)


def expectation(*, both: int, share: float, real: float, null: float, alternative: float) -> float:
    """Of one e-value, over who of both arms got the complaints, when the real rate ratio is e^real."""
    odds = share / (1 - share) * math.exp(real)
    chances = binom.pmf(range(both + 1), both, odds / (1 + odds))
    logs = [
        log_increments(canary=j, both=both, share=share, log_ratios=np.array([alternative]), null=null)[0]
        for j in range(both + 1)
    ]
    return float(chances @ np.exp(logs))


@given(both=st.integers(0, 8), share=shares, null=log_ratios, alternative=log_ratios)
def test_e_value__every_assignment_at_the_planned_share__expectation_is_exactly_one(
    both: int, share: float, null: float, alternative: float
) -> None:
    found = expectation(both=both, share=share, real=null, null=null, alternative=alternative)

    assert found == pytest.approx(1, rel=1e-9)


@given(both=st.integers(1, 8), share=shares, further=st.floats(0, 3))
def test_e_value__inside_the_null__expectation_is_at_most_one(both: int, share: float, further: float) -> None:
    """Harm is weighed against a canary that gets no more, safety against one that gets at least the margin's."""
    process = complaint(margin={"ratio": 1.5})
    null = process.log_margin

    for point in process.harm.points:
        assert expectation(both=both, share=share, real=-further, null=0.0, alternative=point) <= 1 + 1e-9
    for point in process.safe.points:
        assert expectation(both=both, share=share, real=null + further, null=null, alternative=point) <= 1 + 1e-9


def test_weigh__harm_and_safety__of_the_complaints_of_both_arms_by_the_planned_share() -> None:
    process = complaint(margin={"ratio": 1.5})

    found = process.weigh(batch_of({0: 950, 1000: 10}, {0: 50, 800: 3}), ())

    counts = {"canary": 3, "both": 13, "share": 0.05}
    assert found.harm == pytest.approx(log_increments(**counts, log_ratios=np.array(process.harm.points), null=0.0))
    assert found.safe == pytest.approx(
        log_increments(**counts, log_ratios=np.array(process.safe.points), null=math.log(1.5))
    )


def test_weigh__late_complaints_about_an_earlier_step__by_that_steps_share() -> None:
    process = complaint()
    late = {"control": {1000: 10}, "canary": {1000: 10}}

    at_first, now = (process.weigh(batch_of(**late, step=step), ()) for step in (0, 1))

    assert process.log_e_harm(at_first.harm) > math.log(20)  # 10 of 20, where 1 was its share
    assert process.log_e_harm(now.harm) < 0  # 10 of 20, where 10 are


def test_fold__calls_without_complaints__change_the_estimates_and_nothing_else() -> None:
    frozen = freeze(PlanMetric("thumbs_down", "complaint", "lower"), baseline={0: 995, 1000: 5}, shares=SHARES)
    complaints = {"control": {1000: 4}, "canary": {1000: 2}}
    calls = {"control": {0: 950}, "canary": {0: 50}}
    few = fold(frozen, start(frozen), step=0, **{name: {**complaints[name], 0: 10} for name in complaints})

    many = fold(frozen, few, step=0, **calls)

    assert (many.harm, many.safe) == (few.harm, few.safe)
    assert report(frozen, few).canary_estimate == 0.2
    assert report(frozen, many).canary_estimate == pytest.approx(2 / 60)
    assert report(frozen, many).control_estimate == pytest.approx(4 / 960)


def test_report__more_complaints_than_calls_known__has_numbers() -> None:
    """An app may report complaints about calls that it sent no trace of."""
    frozen = freeze(PlanMetric("thumbs_down", "complaint", "lower"), baseline={}, shares=SHARES)

    state = fold(frozen, start(frozen), step=1, control={0: 30, 1000: 90}, canary={0: 30, 1000: 120})
    found = report(frozen, state)

    assert (found.control_estimate, found.canary_estimate, found.difference) == (3.0, 4.0, 1.0)
    assert found.interval is not None


def test_report__complaints_only__no_estimate_but_evidence() -> None:
    frozen = freeze(PlanMetric("thumbs_down", "complaint", "lower"), baseline={}, shares=SHARES)

    found = report(frozen, fold(frozen, start(frozen), step=0, control={1000: 10}, canary={1000: 10}))

    assert (found.canary_estimate, found.difference, found.interval) == (None, None, None)
    assert found.log_e_harm > math.log(20)


@pytest.mark.parametrize(
    ("calls", "complaints", "ratio"), [(0, 0, 1.5), (1000, 5, 2.0), (1000, 30, 1.5)], ids=["none", "rare", "usual"]
)
def test_margin__none_given__doubles_where_complaints_are_rare(calls: int, complaints: int, ratio: float) -> None:
    process = complaint(calls=calls, complaints=complaints)

    assert process.margin == {"ratio": ratio}
    assert process.log_margin == pytest.approx(math.log(ratio))
