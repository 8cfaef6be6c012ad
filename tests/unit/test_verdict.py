"""The rules of the decision, in their order (rollout.core.verdict), on situations made by hand, and what is stored."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rollout.core.plan import Plan, PlanMetric, PlanStep
from rollout.core.stats.metric import Report, nothing_yet
from rollout.core.stats.sample_ratio import Counted, log_bayes_factor
from rollout.core.verdict import Situation, decide, guilty, log_threshold
from rollout.core.verdict_body import Inputs, inputs_of, verdict_body
from rollout.core.verdict_body import situation as situation_of

PLAN = Plan(
    metrics=(PlanMetric("error_rate", "rate", "lower"), PlanMetric("hallucination", "rate", "lower")),
    steps=(PlanStep(500, 60), PlanStep(5000, 60)),
)
LIMIT = log_threshold(0.05)  # ln 20
LAST = 1


def report(name: str = "error_rate", **changes: Any) -> Report:
    healthy = Report(
        name=name,
        measure=name,
        kind="rate",
        role="guardrail",
        direction="lower",
        margin={"ratio": 1.5},
        limit=None,
        weight=1.0,
        unit="share",
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
        log_e_judged_ratio=-3.0,
        canary_units=500,
        fresh=True,
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
    "changes", [{"paused": True}, {"hold_served": False}, {"canary_units": 1}, {"time_is_up": True}, {"fresh": False}]
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


def test_judged_ratio__broken__says_that_it_is_that_of_the_scores() -> None:
    units = decide(situation(log_e_sample_ratio=math.log(1000)), PLAN)

    scores = decide(situation(log_e_judged_ratio=math.log(1000), log_e_harm=9.0), PLAN)
    later = decide(situation(log_e_judged_ratio=math.log(1000), hold_reason="sample_ratio"), PLAN)

    assert (scores.kind, scores.act, scores.hold_reason) == ("invalid", "hold", "sample_ratio")
    assert (scores.cause, units.cause) == ("judged_ratio", "sample_ratio")
    assert scores.reasons == (
        "The sample ratio of scores is broken: the arms' calls do not get scores in the plan's shares.",
    )
    assert scores.reasons != units.reasons
    assert (later.kind, later.act, later.reasons) == ("invalid", None, scores.reasons)


@pytest.mark.parametrize("ratio", ["log_e_sample_ratio", "log_e_judged_ratio"])
def test_sample_ratio__just_under_the_threshold__is_not_broken(ratio: str) -> None:
    assert decide(situation(**{ratio: math.log(1000) - 1e-9}), PLAN).kind != "invalid"


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
        ({"fresh": False}, "No evidence has come since the last look."),
        (
            {"reports": (nothing_yet(PlanMetric("latency", "latency", "lower")),)},
            "There is no evidence of latency from this step yet.",
        ),
    ],
)
def test_step__something_is_missing__waits_and_says_for_what(changes: dict[str, Any], sentence: str) -> None:
    finding = decide(situation(**changes), PLAN)

    assert finding.act is None
    assert any(sentence in reason for reason in finding.reasons)


@pytest.mark.parametrize("promote_when", ["proven_safe", "no_harm_found"])
def test_last_step__everything_proven_but_no_traffic_any_more__waits(promote_when: Any) -> None:
    plan = replace(PLAN, promote_when=promote_when)

    finding = decide(situation(step=LAST, reports=PROVEN, fresh=False), plan)

    assert (finding.kind, finding.act) == ("safe", None)
    assert finding.reasons == ("No evidence has come since the last look.",)


def test_last_step__a_guardrail_without_a_scale_yet__is_not_proven() -> None:
    learning = nothing_yet(PlanMetric("latency", "latency", "lower"))

    finding = decide(situation(step=LAST, reports=(*PROVEN, learning)), PLAN)

    assert (finding.kind, finding.act) == ("undecided", None)
    assert "latency is not proven safe yet." in finding.reasons


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


SLOW = PlanMetric("p95", "latency", "lower", measure="latency", limit=2000.0)
LIMITS = {
    "rate": (PlanMetric("m", "rate", "lower", limit=0.02), 0.019, 0.021),
    "rate, higher is better": (PlanMetric("m", "rate", "higher", limit=0.95), 0.96, 0.94),
    "score": (PlanMetric("m", "score", "higher", limit=0.9), 0.91, 0.89),
    "cost": (PlanMetric("cost_per_call", "cost", "lower", limit=0.02), 0.019, 0.021),
    "latency": (SLOW, 0.049, 0.051),  # of the calls take longer, a twentieth may
}


def limited(metric: PlanMetric, **changes: Any) -> Report:
    """Of a limit, with calls of the canary on every step and no evidence either way."""
    seen = replace(nothing_yet(metric), canary_n=500, control_n=9_500, control_estimate=0.5, steps=(0, 1))
    return replace(seen, **{"log_e_harm": -0.1, **changes})


def test_limit__broken__names_it_and_not_the_control() -> None:
    bad = limited(LIMITS["rate"][0], log_e_harm=4.5, canary_estimate=0.041)

    finding = decide(situation(reports=(report(), bad), log_e_harm=LIMIT), PLAN)

    assert finding.guilty == ("m",)
    assert finding.reasons == ("m: 4.10% of 500 canary calls against a limit of 2.00%.",)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "m: 4.10% of 500 canary calls against 1.80% of 9500 control calls."),
        (
            {"kind": "score", "unit": "score", "canary_estimate": 0.87, "control_estimate": 0.94},
            "m: 0.870 on average of 500 canary calls against 0.940 on average of 9500 control calls.",
        ),
        (
            {"kind": "cost", "unit": "USD", "canary_estimate": 0.0123, "control_estimate": 0.01},
            "m: 0.0123 USD on average of 500 canary calls against 0.01 USD on average of 9500 control calls.",
        ),
        (
            {"kind": "latency", "unit": "ms", "canary_estimate": 1512.4, "control_estimate": 998.0},
            "m: 1512 ms on average of 500 canary calls against 998 ms on average of 9500 control calls.",
        ),
        (
            {"kind": "complaint", "control_n": 0, "control_estimate": None},
            "m: 4.10% of 500 canary calls against nothing of 0 control calls.",
        ),
    ],
    ids=["rate", "score", "cost", "latency", "complaint"],
)
def test_harm__of_each_kind__said_in_its_unit(changes: dict[str, Any], sentence: str) -> None:
    bad = report("m", log_e_harm=4.5, **{"canary_estimate": 0.041, **changes})

    assert decide(situation(reports=(bad,), log_e_harm=LIMIT), PLAN).reasons == (sentence,)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("kept", [True, False])
def test_time_is_up__promotion_of_what_looks_safe__a_limit_is_kept_by_the_estimate(kind: str, kept: bool) -> None:
    """Little evidence of harm is not enough: a few calls beyond the limit are never much evidence."""
    metric, inside, beyond = LIMITS[kind]
    plan = replace(PLAN, on_inconclusive="promote")

    found = limited(metric, canary_estimate=inside if kept else beyond)
    finding = decide(situation(step=LAST, time_is_up=True, reports=(found,)), plan)

    assert finding.act == ("promote" if kept else "hold")


def test_time_is_up__promotion_of_what_looks_safe__a_limit_needs_no_control() -> None:
    plan = replace(PLAN, on_inconclusive="promote")
    alone = limited(LIMITS["rate"][0], canary_estimate=0.01, control_n=0, control_estimate=None)

    assert decide(situation(step=LAST, time_is_up=True, reports=(alone,)), plan).act == "promote"


@pytest.mark.parametrize(
    ("kind", "margin", "inside", "beyond"),
    [
        ("cost", {"ratio": 1.1}, 1.09, 1.11),
        ("latency", {"ratio": 1.1}, 1.09, 1.11),
        ("complaint", {"ratio": 2.0}, 1.9, 2.1),
        ("score", {"absolute": 0.03}, 1.02, 1.04),
    ],
)
def test_time_is_up__promotion_of_what_looks_safe__each_kind_by_its_margin(
    kind: Any, margin: dict[str, float], inside: float, beyond: float
) -> None:
    plan = replace(PLAN, on_inconclusive="promote")

    acts = [
        decide(
            situation(
                step=LAST,
                time_is_up=True,
                reports=(report(kind=kind, margin=margin, control_estimate=1.0, canary_estimate=estimate),),
            ),
            plan,
        ).act
        for estimate in (inside, beyond)
    ]

    assert acts == ["promote", "hold"]


def test_time_is_up__no_scale_yet__is_not_promoted() -> None:
    plan = replace(PLAN, on_inconclusive="promote")
    learning = nothing_yet(PlanMetric("latency", "latency", "lower"))

    assert decide(situation(step=LAST, time_is_up=True, reports=(report(), learning)), plan).act == "hold"


def test_guilty__by_e_bh_worst_first() -> None:
    """With 3 guardrails e-BH blames the best k when their least e-value is 3/(k x 0.05) or more: 60, 30, 20."""
    three = [report("a", log_e_harm=math.log(70)), report("b", log_e_harm=math.log(31)), report("c", log_e_harm=0.0)]

    assert guilty(three, 0.05) == ("a", "b")
    assert guilty([replace(three[0], log_e_harm=math.log(25)), *three[2:]], 0.05) == ("a",)
    assert guilty([report("a", log_e_harm=1.0), report("b", log_e_harm=2.0)], 0.05) == ("b",)


INPUTS = Inputs(
    batches={"error_rate": 7, "hallucination": 3, "p95": 2},
    units={"error_rate": (9_100.4, 480.6)},
    sample_ratio=[Counted(0.05, 9_100.0, 480.0)],
    judged_ratio={"hallucination": [Counted(0.5, 50.0, 51.0)]},
    canary_units=480.6,
    fresh=True,
    step=0,
    hold_served=True,
    time_is_up=False,
    paused=False,
    hold_reason="",
    at=datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC),
)
REPORTS = (
    report("error_rate", log_e_harm=4.5),
    report("hallucination", weight=3.0),
    limited(SLOW, canary_estimate=0.04, max_log_e_safe=3.5, design_effect=2.5),
)


def test_situation__of_reports_and_inputs__weighs_the_guardrails_and_the_ratios() -> None:
    found = situation_of(REPORTS, INPUTS)

    # guardrails of weights 1, 3 and 1
    assert found.log_e_harm == pytest.approx(math.log((math.exp(4.5) + 3 * math.exp(-1.0) + math.exp(-0.1)) / 5))
    assert found.log_e_sample_ratio == pytest.approx(log_bayes_factor(INPUTS.sample_ratio))
    assert found.log_e_judged_ratio == pytest.approx(log_bayes_factor(INPUTS.judged_ratio["hallucination"]))
    assert (found.reports, found.canary_units, found.fresh, found.hold_served) == (REPORTS, 480.6, True, True)


def test_body__holds_every_number_that_the_decision_was_made_of() -> None:
    found = situation(reports=REPORTS, log_e_harm=LIMIT)

    body = verdict_body(found, replace(decide(found, PLAN), guilty=("error_rate",)), PLAN, INPUTS)

    assert json.loads(json.dumps(body)) == body
    assert (body["kind"], body["guilty"], body["at"]) == ("harmful", ["error_rate"], "2026-03-14T09:26:53Z")
    assert (body["log_e_harm"], body["log_threshold"]) == (LIMIT, LIMIT)
    assert (body["fresh"], body["hold_served"], body["paused"], body["canary_units"]) == (True, True, False, 500)
    assert body["sample_ratio"]["log_e"] == body["judged_ratio"]["log_e"] == -3.0
    assert body["sample_ratio"]["counted"] == [{"share": 0.05, "control": 9_100.0, "canary": 480.0}]
    assert body["judged_ratio"]["counted"] == {"hallucination": [{"share": 0.5, "control": 50.0, "canary": 51.0}]}
    error_rate, hallucination, p95 = body["metrics"]
    assert [metric["verdict"] for metric in body["metrics"]] == ["harmful", "undecided", "safe"]
    assert [metric["batches"] for metric in body["metrics"]] == [7, 3, 2]
    assert error_rate["control"] == {"n": 9_500, "units": 9_100, "estimate": 0.018}
    assert (hallucination["canary"]["units"], hallucination["margin"]) == (0, {"ratio": 1.5})
    assert (hallucination["limit"], hallucination["weight"]) == (None, 3.0)
    assert (p95["measure"], p95["limit"], p95["margin"], p95["unit"]) == ("latency", 2000.0, None, "share")
    assert (p95["design_effect"], p95["max_log_e_safe"], p95["interval"]) == (2.5, 3.5, None)


def test_body__read_back_and_decided_again__the_same_to_the_last_digit() -> None:
    found = situation_of(REPORTS, INPUTS)
    body = verdict_body(found, decide(found, PLAN), PLAN, INPUTS)

    inputs = inputs_of(json.loads(json.dumps(body)), step=0)

    again = situation_of(REPORTS, inputs)
    assert again == found
    assert verdict_body(again, decide(again, PLAN), PLAN, inputs) == body


def test_time_is_up__promotion_of_what_looks_safe__a_rate_stays_inside_an_odds_ratio() -> None:
    """14 of 20 against 10 of 20 are odds of 2.33 to 1, far beyond a margin of 1.5."""
    high = report("error_rate", control_estimate=0.5, canary_estimate=0.7, log_e_harm=0.56)

    finding = decide(situation(step=LAST, time_is_up=True, reports=(high,)), replace(PLAN, on_inconclusive="promote"))

    assert finding.act == "hold"
