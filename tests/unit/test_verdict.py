"""The rules of the decision, in their order (rollout.core.verdict), on situations made by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from rollout.core.plan import Plan, PlanMetric, PlanStep
from rollout.core.stats.metric import Report
from rollout.core.verdict import Situation, decide, guilty, log_threshold

PLAN = Plan(
    metrics=(PlanMetric("error_rate", "rate", "lower"), PlanMetric("hallucination", "rate", "lower")),
    steps=(PlanStep(500, 60), PlanStep(5000, 60)),
)
LIMIT = log_threshold(0.05)  # ln 20
LAST = 1


def report(name: str = "error_rate", **changes: Any) -> Report:
    healthy = Report(
        name=name,
        kind="rate",
        role="guardrail",
        direction="lower",
        margin={"ratio": 1.5},
        weight=1.0,
        control_n=9_500,
        control_estimate=0.018,
        canary_n=500,
        canary_estimate=0.018,
        difference=0.0,
        interval=(-0.01, 0.01),
        log_e_harm=-1.0,
        log_e_safe=1.0,
        max_log_e_safe=1.0,
        steps=(0, 1),
    )
    return replace(healthy, **changes)


PROVEN = (report("error_rate", max_log_e_safe=3.1), report("hallucination", max_log_e_safe=4.0))


def situation(**changes: Any) -> Situation:
    """Everything waited for is there, on the first step; nothing is proven yet."""
    calm = Situation(
        reports=(report("error_rate"), report("hallucination")),
        log_e_harm=-1.0,
        log_e_sample_ratio=-3.0,
        canary_units=500,
        step=0,
        hold_served=True,
        time_is_up=False,
        paused=False,
        hold_reason="",
    )
    return replace(calm, **changes)


def test_harm__over_the_threshold__rolls_back_and_names_the_guilty() -> None:
    bad = report("hallucination", log_e_harm=4.5, canary_estimate=0.041)

    finding = decide(situation(reports=(report(), bad), log_e_harm=LIMIT), PLAN)

    assert (finding.kind, finding.act, finding.guilty) == ("harmful", "rollback", ("hallucination",))
    assert finding.cause == "guardrail:hallucination"
    assert "4.10%" in finding.reasons[0]


@pytest.mark.parametrize(
    "changes", [{"paused": True}, {"hold_served": False}, {"canary_units": 1}, {"time_is_up": True}]
)
def test_harm__is_never_waited_for(changes: dict[str, Any]) -> None:
    assert decide(situation(log_e_harm=LIMIT, **changes), PLAN).act == "rollback"


def test_harm__just_under_the_threshold__nothing_happens() -> None:
    assert decide(situation(log_e_harm=LIMIT - 1e-9), PLAN).act is None


def test_harm__rollback_is_left_to_a_person__holds_once_and_stays_harmful() -> None:
    plan = replace(PLAN, auto_rollback=False)

    first = decide(situation(log_e_harm=LIMIT), plan)
    later = decide(situation(log_e_harm=-2.0, hold_reason="harm_found"), plan)

    assert (first.kind, first.act, first.hold_reason) == ("harmful", "hold", "harm_found")
    assert (later.kind, later.act) == ("harmful", None)


def test_sample_ratio__broken__nothing_else_is_decided_any_more() -> None:
    broken = situation(log_e_sample_ratio=math.log(1000), log_e_harm=9.0)

    first = decide(broken, PLAN)
    later = decide(replace(broken, log_e_sample_ratio=-1.0, hold_reason="sample_ratio"), PLAN)

    assert (first.kind, first.act, first.hold_reason) == ("invalid", "hold", "sample_ratio")
    assert (later.kind, later.act) == ("invalid", None)


def test_step__nothing_left_to_wait_for__advances() -> None:
    finding = decide(situation(), PLAN)

    assert (finding.kind, finding.act, finding.cause) == ("undecided", "advance_step", "hold_served")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"paused": True}, "paused"),
        ({"hold_served": False}, "hold of step 1 of 2"),
        ({"canary_units": 99.9}, "99 of at least 100 units"),
        ({"log_e_harm": math.log(3)}, "e-value of harm"),
        ({"reports": (report("hallucination", steps=()),)}, "no evidence of hallucination"),
        ({"reports": (report("hallucination", steps=(1,)),)}, "no evidence of hallucination"),
    ],
)
def test_step__something_is_missing__waits_and_says_for_what(changes: dict[str, Any], sentence: str) -> None:
    finding = decide(situation(**changes), PLAN)

    assert finding.act is None
    assert any(sentence in reason for reason in finding.reasons)


def test_observed_metric__never_decides() -> None:
    observed = report("hallucination", role="observed", steps=(), log_e_harm=50.0)

    finding = decide(situation(reports=(*PROVEN[:1], observed), step=LAST), PLAN)

    assert (finding.kind, finding.act) == ("safe", "promote")


def test_last_step__not_proven_safe__waits() -> None:
    finding = decide(situation(step=LAST), PLAN)

    assert (finding.kind, finding.act) == ("undecided", None)
    assert "hallucination is not proven safe yet." in finding.reasons


def test_last_step__proven_safe__promotes() -> None:
    assert decide(situation(step=LAST, reports=PROVEN), PLAN).act == "promote"


def test_last_step__proven_once__counts_though_the_e_value_fell() -> None:
    fallen = tuple(replace(proven, log_e_safe=0.0) for proven in PROVEN)

    assert decide(situation(step=LAST, reports=fallen), PLAN).act == "promote"


def test_last_step__no_harm_found_is_enough_for_the_plan__promotes() -> None:
    plan = replace(PLAN, promote_when="no_harm_found")

    finding = decide(situation(step=LAST), plan)

    assert (finding.kind, finding.act, finding.cause) == ("undecided", "promote", "no_harm_found")


def test_last_step__promotion_is_left_to_a_person__holds_once() -> None:
    plan = replace(PLAN, auto_promote=False)
    ready = situation(step=LAST, reports=PROVEN)

    first, later = decide(ready, plan), decide(replace(ready, hold_reason="proven_safe"), plan)

    assert (first.kind, first.act, first.hold_reason) == ("safe", "hold", "proven_safe")
    assert (later.kind, later.act) == ("safe", None)


@pytest.mark.parametrize(
    ("on_inconclusive", "changes", "act"),
    [
        ("hold", {}, "hold"),
        ("hold", {"hold_reason": "inconclusive"}, None),
        ("rollback", {}, "rollback"),
        ("promote", {}, "promote"),
        ("promote", {"reports": (report(canary_estimate=0.028),)}, "hold"),  # 1.8 % x 1.5 = 2.7 %
        ("promote", {"reports": (report(log_e_harm=math.log(3)),)}, "hold"),
        ("promote", {"reports": (report(canary_n=0, canary_estimate=None),)}, "hold"),
    ],
)
def test_time_is_up__the_plan_says_what_becomes_of_it(on_inconclusive: Any, changes: Any, act: str | None) -> None:
    plan = replace(PLAN, on_inconclusive=on_inconclusive)

    finding = decide(situation(**{"step": LAST, "time_is_up": True, **changes}), plan)

    assert (finding.kind, finding.act) == ("inconclusive", act)


def test_guilty__by_e_bh_worst_first() -> None:
    """With 3 guardrails e-BH blames the best k when their least e-value is 3/(k x 0.05) or more: 60, 30, 20."""
    three = [report("a", log_e_harm=math.log(70)), report("b", log_e_harm=math.log(31)), report("c", log_e_harm=0.0)]

    assert guilty(three, 0.05) == ("a", "b")
    assert guilty([replace(three[0], log_e_harm=math.log(25)), *three[2:]], 0.05) == ("a",)
    assert guilty([report("a", log_e_harm=1.0), report("b", log_e_harm=2.0)], 0.05) == ("b",)
