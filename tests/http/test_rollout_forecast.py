"""`POST /api/v1/rollouts/plan`: what a plan would come to, asked before anything is started."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.scores import record_scores
from registry.models import Event, Prompt
from rollout.models import Metric, Rollout
from tests import make, traces
from tests import rollouts as given

pytestmark = pytest.mark.django_db

DAY_S = 86_400
ASKED = {"prompt": "order-extractor", "canary": "1.1"}
DELAYS = ("canary_calls_to_find_harm", "find_harm_s", "canary_calls_to_prove_safe", "prove_safe_s")


def ask(body: Any, path: str = "rollouts/plan", scope: str = "read") -> Any:
    return Client().post(
        f"/api/v1/{path}",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {make.key(scope)}"},
    )


def traffic(calls: int, *, failing: int = 0, judged: int = 0, age_days: float = 10) -> None:
    """A prompt of that age with calls of its control version over its last days, the first ones failing or judged."""
    given.prompt()
    Prompt.objects.update(created_at=now() - timedelta(days=age_days))
    stamp = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v1.0"}
    window_s = min(age_days, 7) * DAY_S
    spans = [
        traces.span(
            stamp,
            number=number,
            ms=100 * 1.02 ** (number % 40),
            age_s=60 + number * (window_s - 3600) / calls,
            failed=number < failing,
        )
        for number in range(calls)
    ]
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)
    record_scores(
        scores=[
            NewScore("faithfulness", 1.0 if number % 4 else 0.75, "judge", span_id=traces.span_id(number).hex())
            for number in range(judged)
        ]
    )


def test_plan__with_traffic__says_what_each_metric_and_all_together_take() -> None:
    traffic(2_800, failing=56, judged=700)

    answer = ask(ASKED)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["prompt"], body["label"], body["control"], body["canary"]) == (
        "order-extractor",
        "production",
        "v1.0",
        "v1.1",
    )
    assert (body["traffic"]["calls"], body["traffic"]["calls_per_day"]) == (2_800, pytest.approx(400, abs=0.1))
    errors, latency, faithfulness = body["metrics"]
    assert errors == {
        "name": "error_rate",
        "measure": "error_rate",
        "kind": "rate",
        "role": "guardrail",
        "direction": "lower",
        "margin": {"ratio": 1.5},
        "limit": None,
        "unit": "share",
        "weight": 1.0,
        "evaluator": None,
        "baseline": {"n": 2_800, "estimate": 0.02},
        "observed_calls": 2_800,
        **{name: errors[name] for name in DELAYS},
    }
    assert (latency["unit"], latency["baseline"]) == ("ms", {"n": 2_744, "estimate": pytest.approx(151, rel=0.01)})
    assert latency["observed_calls"] == 2_744  # of calls that did not fail
    assert (faithfulness["name"], faithfulness["observed_calls"]) == ("faithfulness", 700)
    assert faithfulness["baseline"] == {"n": 700, "estimate": pytest.approx(0.9375)}
    for metric in body["metrics"]:
        assert all(metric[name] > 0 for name in DELAYS)
    assert body["overall"]["find_harm_s"] == max(metric["find_harm_s"] for metric in body["metrics"])
    assert body["overall"]["prove_safe_s"] >= max(metric["prove_safe_s"] for metric in body["metrics"])


def test_plan__silent__is_answered_with_nothing_silent() -> None:
    traffic(10, judged=1)

    plan = ask(ASKED).json()["plan"]

    assert plan["steps"][0] == {"weight_bp": 500, "hold_s": DAY_S}
    assert (plan["max_duration_s"], plan["promote_when"]) == (7 * DAY_S, "proven_safe")
    assert [(metric["name"], metric["margin"]) for metric in plan["metrics"]] == [
        ("error_rate", {"ratio": 1.5}),
        ("latency", {"ratio": 1.1}),
        ("faithfulness", {"absolute": 0.03}),
    ]


def test_plan__too_little_traffic_for_max_duration__warns_and_expects_no_decision() -> None:
    traffic(2_800, failing=56)

    body = ask(ASKED).json()

    assert body["overall"]["find_harm_s"] > 7 * DAY_S
    assert body["overall"]["if_worse"] == {"decision": "inconclusive", "after_s": 7 * DAY_S}
    assert body["overall"]["if_equal"] == {"decision": "inconclusive", "after_s": 7 * DAY_S}
    assert any("max_duration, 7 d, is too short" in warning for warning in body["warnings"])


def test_plan__more_time__is_expected_to_decide() -> None:
    traffic(2_800, failing=56)

    body = ask(ASKED | {"plan": {"max_duration": "300d"}}).json()

    overall = body["overall"]
    assert overall["if_worse"] == {"decision": "rollback", "after_s": overall["find_harm_s"]}
    assert overall["if_equal"] == {"decision": "promote", "after_s": overall["prove_safe_s"]}
    assert body["warnings"] == []


def test_plan__young_prompt__traffic_by_its_age() -> None:
    traffic(100, age_days=0.5)

    assert ask(ASKED).json()["traffic"]["calls_per_day"] == pytest.approx(200, rel=0.01)


def test_plan__nothing_known__a_guess_that_is_called_one() -> None:
    given.prompt()

    body = ask({"prompt": "order-extractor"}).json()

    assert body["canary"] is None
    assert body["traffic"]["calls"] == 0
    assert body["metrics"][0]["canary_calls_to_find_harm"] > 0
    assert body["metrics"][0]["baseline"] == {"n": 0, "estimate": None}
    assert body["overall"]["find_harm_s"] is None
    assert [warning.split(":")[0] for warning in body["warnings"]] == ["The prompt had no calls lately", "error_rate"]


def test_plan__misspelled_metric__warns() -> None:
    """Fault 20."""
    traffic(500, failing=10, judged=5)
    metrics = [{"name": "error_rate"}, {"name": "faithfullness", "kind": "score"}]

    body = ask(ASKED | {"plan": {"metrics": metrics, "max_duration": "900d"}}).json()

    assert any(warning.startswith("faithfullness was not seen lately") for warning in body["warnings"])


def test_plan__limit_and_complaint__as_they_would_start() -> None:
    traffic(500, failing=10)
    metrics = [
        {"name": "latency_objective", "measure": "latency", "limit": 300},
        {"name": "thumbs_down", "margin": {"ratio": 3}},
    ]

    limit, complaint = ask(ASKED | {"plan": {"metrics": metrics, "max_duration": "900d"}}).json()["metrics"]

    assert (limit["measure"], limit["limit"], limit["margin"], limit["unit"]) == ("latency", 300, None, "share")
    assert limit["baseline"] == {"n": 490, "estimate": 0}  # none took longer
    assert (complaint["kind"], complaint["margin"], complaint["observed_calls"]) == ("complaint", {"ratio": 3}, 0)
    assert complaint["baseline"] == {"n": 500, "estimate": 0}


def test_plan__no_scale_yet__warns() -> None:
    traffic(100)

    warnings = ask(ASKED).json()["warnings"]

    assert any(warning.startswith("latency has no scale yet: the control's first 100 obs") for warning in warnings)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"metrics": [{"name": f"score_{n}", "kind": "score"} for n in range(21)]}, "plan.metrics"),
        ({"steps": [{"weight": 0.01 * n} for n in range(1, 22)]}, "plan.steps"),
    ],
)
def test_plan__more_than_anybody_needs__is_refused(plan: Any, field: str) -> None:
    """What a plan costs to look at, and to foresee, is bounded."""
    given.prompt()

    answer = ask(ASKED | {"plan": plan})

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert "expected at most" in answer.json()["errors"][0]["message"]


def test_plan__observed_metric__never_decides() -> None:
    traffic(500, failing=10, judged=500)
    metrics = [{"name": "error_rate"}, {"name": "faithfulness", "role": "observed"}]

    body = ask(ASKED | {"plan": {"metrics": metrics}}).json()

    assert [body["metrics"][1][name] for name in DELAYS] == [None] * 4


def test_plan__asked__nothing_is_written() -> None:
    traffic(100)
    events = Event.objects.count()

    ask(ASKED)

    assert (Rollout.objects.count(), Metric.objects.count(), Event.objects.count()) == (0, 0, events)


def test_plan__label_that_is_being_rolled_out__is_answered_all_the_same() -> None:
    given.rollout()

    assert ask(ASKED).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"canary": "1.1"},
        {"prompt": "nothing", "canary": "1.1"},
        {"prompt": "order-extractor", "canary": "7.7"},
        {"prompt": "order-extractor", "canary": "1.1", "label": "nowhere"},
        {"prompt": "order-extractor", "canary": "1.1", "label": "latest"},
        {"prompt": "order-extractor", "canary": "1.1", "plan": {"steps": [{"weight": "never"}], "alpha": 3}},
        {"prompt": "order-extractor", "canary": "1.1", "plan": {"metrics": [{"name": "unseen"}]}},
        {
            "prompt": "order-extractor",
            "canary": "1.1",
            "plan": {"metrics": [{"name": "unseen", "kind": "rate", "margin": {"absolute": 0.1}}]},
        },
    ],
)
def test_plan__something_wrong__is_refused_as_the_start_would_be(body: Any) -> None:
    given.prompt()

    asked, started = ask(body), ask(body, "rollouts", "write")

    assert asked.status_code in {404, 422}
    assert (asked.status_code, asked.json()["code"], asked.json()["errors"]) == (
        started.status_code,
        started.json()["code"],
        started.json()["errors"],
    )


def test_plan__unknown_field__is_named() -> None:
    answer = ask(ASKED | {"start": True})

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["start"])


@pytest.mark.parametrize(("scope", "status"), [("ingest", 403), ("read", 404)])
def test_plan__scope__read_is_enough(scope: str, status: int) -> None:
    assert ask(ASKED, scope=scope).status_code == status
