"""Reading a plan: what silence means, and that every wrong field is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid
from observability.core.shares import read_share_bp
from rollout.core.plan import Judged, Plan, PlanMetric, PlanStep, read_duration_s, usual_kind
from rollout.plans import Judges, Seen, read_plan

HOUR = 3600


NOTHING = Seen()


def problems(written: Any, seen: Seen = NOTHING) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        read_plan(written, seen=seen)
    assert refusal.value.code == "invalid_plan"
    return {error.field: error.message for error in refusal.value.errors}


def test_read_plan__silent__the_defaults_of_the_product_page() -> None:
    plan = read_plan({}, seen=Seen(scores={"faithfulness": "score", "hallucination": "rate"}))

    assert plan.steps == (PlanStep(500, 24 * HOUR), PlanStep(2500, 12 * HOUR), PlanStep(5000, 12 * HOUR))
    assert plan.metrics == (
        PlanMetric("error_rate", "rate", "lower"),
        PlanMetric("faithfulness", "score", "higher"),
        PlanMetric("hallucination", "rate", "lower"),
    )
    assert (plan.alpha, plan.promote_when, plan.on_inconclusive) == (0.05, "proven_safe", "hold")
    assert (plan.max_duration_s, plan.min_units, plan.look_every_s) == (7 * 24 * HOUR, 100, 60)
    assert (plan.auto_promote, plan.auto_rollback, plan.warm_up_s) == (True, True, 0)


def test_read_plan__silent__judges_what_was_measured_lately() -> None:
    seen = Seen(
        scores={"thumbs_down": "complaint"},
        measured=frozenset({"latency", "ttft", "cost_per_call", "tokens", "inter_token_latency", "output_valid"}),
        has_response_schema=True,
    )

    plan = read_plan({}, seen=seen)

    assert plan.metrics == (
        PlanMetric("error_rate", "rate", "lower"),
        PlanMetric("latency", "latency", "lower"),
        PlanMetric("ttft", "latency", "lower"),
        PlanMetric("cost_per_call", "cost", "lower"),
        PlanMetric("output_valid", "rate", "higher"),
        PlanMetric("thumbs_down", "complaint", "lower"),
    )


def test_read_plan__silent_about_what_is_measured_from_calls__its_kind_and_direction_are_known() -> None:
    names = ["latency", "ttft", "inter_token_latency", "tokens", "cost_per_call", "output_valid", "thumbs_down"]

    plan = read_plan({"metrics": [{"name": name} for name in names]}, seen=Seen(has_response_schema=True))

    assert [(metric.kind, metric.direction) for metric in plan.metrics] == [
        ("latency", "lower"),
        ("latency", "lower"),
        ("latency", "lower"),
        ("cost", "lower"),
        ("cost", "lower"),
        ("rate", "higher"),
        ("complaint", "lower"),
    ]


def test_read_plan__a_complaint_of_another_name__is_worse_when_there_are_more() -> None:
    plan = read_plan({"metrics": [{"name": "user_report", "kind": "complaint"}]}, seen=NOTHING)

    assert plan.metrics == (PlanMetric("user_report", "complaint", "lower"),)


def test_read_plan__two_metrics_of_one_measure__a_comparison_and_a_limit() -> None:
    written = [{"name": "latency"}, {"name": "latency-objective", "measure": "latency", "limit": 2000}]

    plan = read_plan({"metrics": written}, seen=NOTHING)

    comparison, objective = plan.metrics
    assert (comparison.measure, comparison.limit, comparison.unit) == ("latency", None, "ms")
    assert (objective.kind, objective.measure, objective.limit, objective.unit) == (
        "latency",
        "latency",
        2000.0,
        "share",
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_read_plan__judged_on_a_budget__shares_of_both_arms() -> None:
    written = [{"name": "faithfulness", "kind": "score", "judged": {"control": "5%"}}]

    plan = read_plan({"metrics": written, "warm_up": "5m"}, seen=NOTHING)

    assert plan.metrics[0].judged == Judged(control=0.05, canary=1.0)
    assert plan.warm_up_s == 300
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


JUDGED_BY = Seen(
    scores={"tone": "score", "faithfulness": "rate"},
    judges=(
        Judges("faithfulness", "faithfulness", "score", newest=3, by_default=True),
        Judges("faithfulness-2", "faithfulness", "score", newest=1, by_default=True),
        Judges("schema", "well_formed", "rate", newest=1, by_default=True),
        Judges("relevance", "relevance", "score", newest=2, by_default=False),
    ),
)


def test_read_plan__silent_on_metrics__the_scores_of_the_prompts_evaluators_too() -> None:
    plan = read_plan({}, seen=JUDGED_BY)

    assert {metric.name: (metric.kind, metric.role, metric.evaluator) for metric in plan.metrics} == {
        "error_rate": ("rate", "guardrail", ""),
        "tone": ("score", "guardrail", ""),
        "faithfulness": ("rate", "guardrail", "faithfulness"),
        "well_formed": ("rate", "guardrail", "schema"),
    }


@pytest.mark.parametrize(
    ("written", "evaluator"),
    [
        ({"name": "faithfulness"}, "faithfulness"),
        ({"name": "faithfulness", "evaluator": "faithfulness-2"}, "faithfulness-2"),
        ({"name": "faithfulness", "evaluator": "faithfulness@2"}, "faithfulness@2"),
        ({"name": "faithfulness", "evaluator": None}, ""),
        ({"name": "faithfulness", "judged": {"canary": 1, "control": 0.1}}, ""),
        ({"name": "relevance", "evaluator": "relevance"}, "relevance"),
        ({"name": "how_relevant", "evaluator": "relevance"}, "relevance"),
        ({"name": "tone"}, ""),
    ],
)
def test_read_plan__metric_of_a_score__by_whom_it_is_judged(written: dict[str, Any], evaluator: str) -> None:
    (metric,) = read_plan({"metrics": [written]}, seen=JUDGED_BY).metrics

    assert metric.evaluator == evaluator
    assert metric.judged_by_step == ()
    assert metric.measure == ("relevance" if "relevan" in metric.name else metric.name)


def test_read_plan__evaluator_and_judged__as_written_on_every_step() -> None:
    written = {"name": "relevance", "evaluator": "relevance", "judged": {"canary": 1, "control": 1}}

    (metric,) = read_plan(
        {"metrics": [written], "steps": [{"weight": "5%"}, {"weight": "50%"}]}, seen=JUDGED_BY
    ).metrics

    assert metric.judged_by_step == (Judged(), Judged())


@pytest.mark.parametrize(
    ("metrics", "field"),
    [
        ([{"name": "a", "kind": "score", "evaluator": "nobody"}], "plan.metrics[0].evaluator"),
        ([{"name": "a", "evaluator": "relevance@3"}], "plan.metrics[0].evaluator"),
        ([{"name": "a", "evaluator": "relevance@x"}], "plan.metrics[0].evaluator"),
        ([{"name": "a", "measure": "tone", "evaluator": "relevance"}], "plan.metrics[0].evaluator"),
        ([{"name": "a", "kind": "complaint", "evaluator": "relevance"}], "plan.metrics[0].evaluator"),
        ([{"name": "error_rate", "evaluator": "relevance"}], "plan.metrics[0].evaluator"),
        ([{"name": "a", "evaluator": "relevance@1"}, {"name": "b", "evaluator": "relevance@2"}], "plan.metrics"),
        ([{"name": "faithfulness"}, {"name": "b", "measure": "faithfulness", "evaluator": None}], "plan.metrics"),
    ],
)
def test_read_plan__wrong_evaluator__named(metrics: list[dict[str, Any]], field: str) -> None:
    assert [*problems({"metrics": metrics}, JUDGED_BY)] == [field]


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        (PlanMetric("m", "rate", "lower"), "share"),
        (PlanMetric("m", "complaint", "lower"), "share"),
        (PlanMetric("m", "score", "higher"), "score"),
        (PlanMetric("cost_per_call", "cost", "lower"), "USD"),
        (PlanMetric("budget", "cost", "lower", measure="tokens"), "tokens"),
        (PlanMetric("latency", "latency", "lower"), "ms"),
        (PlanMetric("latency", "latency", "lower", limit=2000.0), "share"),
    ],
)
def test_unit__of_each_kind(metric: PlanMetric, unit: str) -> None:
    assert metric.unit == unit


@pytest.mark.parametrize(
    ("name", "only_zero_or_one", "kind"),
    [("thumbs_down", True, "complaint"), ("hallucination", True, "rate"), ("faithfulness", False, "score")],
)
def test_usual_kind__of_a_score__by_its_name_and_what_was_seen(name: str, only_zero_or_one: bool, kind: str) -> None:
    assert usual_kind(name, only_zero_or_one=only_zero_or_one) == kind


def test_read_plan__written_out__is_followed_and_survives_json() -> None:
    metric = {"name": "hallucination", "kind": "rate", "direction": "lower", "margin": {"ratio": 2}, "weight": 3}
    written = {
        "steps": [{"weight": "5%", "hold": "10s"}, {"weight": 0.5, "hold": "1m"}],
        "metrics": [metric, {"name": "faithfulness", "kind": "score", "role": "observed"}],
        "alpha": 0.01,
        "max_duration": "2h",
        "look_every": "1s",
        "min_units": 0,
        "auto_promote": False,
    }

    plan = read_plan(written, seen=NOTHING)

    assert plan.steps == (PlanStep(500, 10), PlanStep(5000, 60))
    assert plan.metrics[0] == PlanMetric("hallucination", "rate", "lower", margin={"ratio": 2.0}, weight=3.0)
    assert plan.metrics[1].role == "observed"
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ([], "plan"),
        ({"alfa": 1}, "plan.alfa"),
        ({"alpha": 2}, "plan.alpha"),
        ({"alpha": "much"}, "plan.alpha"),
        ({"steps": []}, "plan.steps"),
        ({"steps": [{"weight": "5%"}, {"weight": "5%"}]}, "plan.steps"),
        ({"steps": [{"weight": "five"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "1e999999"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "0%"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "100%"}]}, "plan.steps[0].weight"),
        ({"steps": [{"weight": "5%"}, {"weight": "6%", "hold": "soon"}]}, "plan.steps[1].hold"),
        ({"steps": [{"hold": "1h"}]}, "plan.steps[0].weight"),
        ({"metrics": []}, "plan.metrics"),
        ({"metrics": [{"name": "unseen"}]}, "plan.metrics[0].kind"),
        ({"metrics": [{"name": "latency", "kind": "score"}]}, "plan.metrics[0]"),
        ({"metrics": [{"name": "p95", "measure": "latency", "direction": "higher"}]}, "plan.metrics[0]"),
        ({"metrics": [{"name": "faithfulness", "kind": "latency"}]}, "plan.metrics[0].kind"),
        ({"metrics": [{"name": "faithfulness", "kind": "cost"}]}, "plan.metrics[0].kind"),
        ({"metrics": [{"name": "output_valid"}]}, "plan.metrics[0].name"),
        ({"metrics": [{"name": "a", "kind": "complaint", "direction": "higher"}]}, "plan.metrics[0].direction"),
        ({"metrics": [{"name": "a", "kind": "rate"}, {"name": "a", "kind": "rate"}]}, "plan.metrics"),
        ({"metrics": [{"name": "a", "kind": "rate", "role": "observed"}]}, "plan.metrics"),
        ({"metrics": [{"name": "a", "kind": "score", "margin": {"ratio": 2}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "a", "kind": "rate", "margin": {}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "latency", "margin": {"absolute": 0.1}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "cost_per_call", "margin": {"absolute": 0.1}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "cost_per_call", "margin": {"ratio": 50}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "a", "kind": "complaint", "margin": {"absolute": 0.1}}]}, "plan.metrics[0].margin"),
        ({"metrics": [{"name": "a", "kind": "rate", "limit": 1.5}]}, "plan.metrics[0].limit"),
        ({"metrics": [{"name": "a", "kind": "score", "limit": 0}]}, "plan.metrics[0].limit"),
        ({"metrics": [{"name": "latency", "limit": -1}]}, "plan.metrics[0].limit"),
        ({"metrics": [{"name": "latency", "limit": 9, "margin": {"ratio": 2}}]}, "plan.metrics[0].limit"),
        ({"metrics": [{"name": "a", "kind": "complaint", "limit": 0.1}]}, "plan.metrics[0].limit"),
        ({"metrics": [{"name": "thumbs_down", "limit": 0.1}]}, "plan.metrics[0].limit"),
        (
            {"metrics": [{"name": "thumbs_down"}, {"name": "td", "measure": "thumbs_down", "kind": "rate"}]},
            "plan.metrics",
        ),
        ({"metrics": [{"name": "latency", "judged": {"canary": 1}}]}, "plan.metrics[0].judged"),
        ({"metrics": [{"name": "a", "kind": "score", "judged": {"canary": 0}}]}, "plan.metrics[0].judged.canary"),
        ({"metrics": [{"name": "a", "kind": "score", "judged": {"canary": 2}}]}, "plan.metrics[0].judged.canary"),
        (
            {"metrics": [{"name": "a", "kind": "complaint"}, {"name": "b", "measure": "a", "kind": "complaint"}]},
            "plan.metrics",
        ),
        ({"warm_up": "soon"}, "plan.warm_up"),
        ({"metrics": [{"name": "error_rate", "kind": "score"}]}, "plan.metrics[0]"),
        ({"look_every": "0s"}, "plan.look_every"),
        ({"promote_when": "lucky"}, "plan.promote_when"),
    ],
)
def test_read_plan__a_wrong_field__is_named(written: Any, field: str) -> None:
    assert list(problems(written)) == [field]


def test_read_plan__a_limit_of_what_was_seen_as_complaints__is_named() -> None:
    seen = Seen(scores={"flagged": "complaint"})

    assert list(problems({"metrics": [{"name": "flagged", "limit": 0.1}]}, seen)) == ["plan.metrics[0].limit"]


def test_read_plan__two_wrong_fields__both_are_named() -> None:
    assert set(problems({"alpha": 7, "look_every": "x"})) == {"plan.alpha", "plan.look_every"}


@pytest.mark.parametrize(
    ("written", "bp"), [("5%", 500), (0.05, 500), ("0.1%", 10), ("0.01 %", 1), (1, 10_000), ("0", 0)]
)
def test_read_share__as_people_write_it(written: Any, bp: int) -> None:
    assert read_share_bp(written) == bp


@pytest.mark.parametrize("written", ["", "5 percent", "0.001%", "101%", -0.1, True, None, "nan", float("inf")])
def test_read_share__anything_else__refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_share_bp(written)


@given(st.integers(0, 10_000))
def test_read_share__every_basis_point__comes_back(bp: int) -> None:
    assert read_share_bp(f"{bp / 100:.2f}%") == bp


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("0s", 0)]
)
def test_read_duration__as_people_write_it(written: str, seconds: int) -> None:
    assert read_duration_s(written) == seconds


@pytest.mark.parametrize("written", ["", "90", "1.5h", "-1s", "1w", 60, None, "٣s"])
def test_read_duration__anything_else__refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        read_duration_s(written)
