"""Keys that reach only some prompts or labels: of all others no address tells anything, and nothing comes of them."""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from common.clock import now
from observability.models import Alert, AlertKind, Call, Objective, RefusedHour, Score, Severity, SpendBudget
from observability.services import alerts
from observability.services.budgets import add_budget
from observability.services.objectives import create_objective
from registry import services
from registry.models import ApiKey, Event, Prompt
from rollout.models import Rollout
from rollout.services import create_rollout, rollback
from rollout.serving import snapshot_cache
from tests import access, make, traces

pytestmark = pytest.mark.django_db

INSIDE, OUTSIDE = "orders-extractor", "billing-summary"
SECRET = "hidden-from-others"
PLAN = {"metrics": [{"name": "error_rate"}]}
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class App:
    """Who asks with a key."""

    key: str

    def ask(self, method: str, path: str, body: Any = None, content_type: str = JSON_TYPE) -> Any:
        sent = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        headers = {"Authorization": f"Bearer {self.key}"}
        return Client().generic(method, path, sent, content_type=content_type, headers=headers)

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.ask("POST", path, body)


@pytest.fixture
def world() -> dict[str, Rollout]:
    """Two prompts alike; each: production v1.0 with a rollout to v1.1, staging v1.2, a call and an alert of each."""
    found = {}
    sender = App(make.key("ingest"))
    for number, name in enumerate((INSIDE, OUTSIDE), start=1):
        prompt = make.prompt(name)
        hidden = SECRET if name == OUTSIDE else "seen"
        for minor in range(3):
            version = make.version(prompt, template=f"{hidden} {minor} {{{{ name }}}}", notes=hidden)
            make.label(version, ("production", "scratch", "staging")[minor])
        make.draft(prompt, f"{hidden} {{{{ name }}}}")
        found[name] = create_rollout(prompt_name=name, canary="1.1", plan=PLAN, actor=make.ANNA)
        for place, label in enumerate(("production", "staging")):
            call = {"trace_id": "a" * 32, "span_id": f"{number}{place}" * 8, "prompt": name, "label": label}
            call |= {"version": "1.0", "feature": hidden, "request_model": f"{hidden}-{label}", "input_tokens": 7}
            assert sender.post("/api/v1/calls", call).status_code == 200
            score = {"trace_id": "a" * 32, "span_id": f"{number}{place}" * 8, "name": f"{hidden}-{label}", "value": 1}
            assert sender.post("/api/v1/scores", score | {"source": "judge"}).status_code == 200
            alerts.fire(
                kind=AlertKind.BASELINE,
                cause=f"baseline:{name}:{label}:error_rate",
                severity=Severity.WARNING,
                summary=f"{hidden}-{label}",
                data={"at": hidden},
                prompt=name,
                label=label,
            )
        create_objective(
            prompt_name=name, name=hidden, metric=hidden, comparison="above", threshold=0.9, actor=make.ANNA
        )
        judge = make.judge_version(f"tone-{number}", f"{hidden} {{{{ output }}}}")
        make.judging(prompt, judge)
    make.evaluator_version(check="length", most=9)
    add_budget(dimension="prompt", value=OUTSIDE, period="daily", usd=Decimal(5), actor=make.ANNA)
    snapshot_cache.cache.refresh()
    return found


def app(*scopes: str, **limits: Any) -> App:
    key = make.restricted_key(*scopes, **limits)
    snapshot_cache.cache.refresh()
    return App(key)


def values(prompt: str, world: dict[str, Rollout]) -> dict[str, Any]:
    about = {"name": prompt, "key": prompt, "version": "1.0", "label": "production", "rollout_id": world[prompt].pk}
    event = Event.objects.filter(prompt=prompt).order_by("sequence").last()
    return about | {
        "trace_id": "a" * 32,
        "action": "pause",
        "event_id": event and event.id,
        "alert_id": Alert.objects.get(prompt=prompt, label="production").pk,
        "evaluator": "brevity",
        "ordinal": 1,
        "budget_id": SpendBudget.objects.get().pk,
        "objective_id": Objective.objects.get(prompt__name=prompt).pk,
    }


QUERIES = {
    "api/v1/prompts/<str:name>/diff": "?from=1.0&to=1.1",
    "api/v1/spend": "?by=prompt",
    "api/v1/baselines": "?prompt={name}",
}
BODIES: dict[str, Any] = {
    "ofrep/v1/evaluate/flags": {"context": {"targetingKey": "u"}},
    "ofrep/v1/evaluate/flags/<flag:key>": {"context": {"targetingKey": "u"}},
    "api/v1/prompts/<str:name>/render": {"variables": {"name": "x"}, "version": "1.0"},
}


OF_EVERYTHING = ("api/v1/data-quality", "api/v1/spend-budgets")
"""What tells of all prompts together."""


def readable() -> dict[str, str]:
    """Route → the method that reads it."""
    return {
        route: method
        for route, needs in access.api().items()
        for method, need in needs.items()
        if need == "read" and method != "HEAD" and not route.endswith(("/plan", "/prompts/import"))
    }


def ask(asker: App, route: str, method: str, about: dict[str, Any]) -> HttpResponse:
    path = access.path_of(route, about) + QUERIES.get(route, "").format_map(about)
    answer: HttpResponse = asker.ask(method, path, BODIES.get(route))
    return answer


def test_prefix__every_address_that_is_read__tells_nothing_of_other_prompts(world: dict[str, Rollout]) -> None:
    asker = app("read", prompt_prefix="orders-")
    for route, method in readable().items():
        answer = ask(asker, route, method, values(OUTSIDE, world))
        names_it = "<str:name>" in route or "rollout_id" in route or "<flag:key>" in route or "event_id" in route
        told = answer.content.decode()
        assert SECRET not in told, route
        if names_it:
            assert answer.status_code == 404, route
        else:
            assert OUTSIDE not in told, route
            assert world[OUTSIDE].pk not in told, route


def test_prefix__every_address_that_is_read__tells_of_its_own(world: dict[str, Rollout]) -> None:
    asker = app("read", prompt_prefix="orders-")
    for route, method in readable().items():
        answer = ask(asker, route, method, values(INSIDE, world))
        assert answer.status_code == (403 if route.startswith(OF_EVERYTHING) else 200), route
    for path in ("api/v1/prompts", "api/v1/calls", "api/v1/rollouts", "ruleset", "api/v1/spend?by=prompt"):
        assert INSIDE in asker.get(f"/{path}").content.decode(), path


def test_everything__every_address_that_is_read__tells_of_both(world: dict[str, Rollout]) -> None:
    """That the tests above can fail."""
    asker = app("read")
    for route, method in readable().items():
        assert ask(asker, route, method, values(OUTSIDE, world)).status_code == 200, route
    told = "".join(asker.get(f"/api/v1/{path}").content.decode() for path in ("prompts", "calls", "scores", "events"))
    assert OUTSIDE in told
    assert SECRET in told


def rows() -> dict[str, int]:
    """How many of everything there are, and where everything points."""
    ours = [apps.get_app_config(name) for name in ("registry", "observability", "rollout")]
    counts = {model._meta.label: model._default_manager.count() for app in ours for model in app.get_models()}
    return counts | {f"{r.pk} {r.status}": 1 for r in Rollout.objects.all()}


VERSION = {"type": "text", "template": "x", "notes": "n"}
SCORE = {"name": "s", "value": 1, "source": "user"}


WRITES_OUTSIDE: list[tuple[str, str, Any, int]] = [
    ("POST", "/api/v1/prompts", {"name": "billing-new"}, 403),
    ("POST", f"/api/v1/prompts/{OUTSIDE}/versions", VERSION, 404),
    ("PUT", f"/api/v1/prompts/{OUTSIDE}/labels/staging", {"version": "1.0", "reason": "r"}, 404),
    ("PUT", f"/api/v1/prompts/{OUTSIDE}/labels/own", {"version": "1.0", "reason": "r"}, 404),
    ("POST", "/api/v1/rollouts", {"prompt": OUTSIDE, "canary": "1.1", "label": "staging"}, 404),
    ("POST", "/api/v1/rollouts/plan", {"prompt": OUTSIDE, "canary": "1.1"}, 404),
    *(
        ("POST", f"/api/v1/rollouts/ROLLOUT/{action}", {"reason": "r"}, 404)
        for action in ("start", "pause", "resume", "promote", "rollback", "cancel")
    ),
    ("PUT", f"/api/v1/prompts/{OUTSIDE}/judgings/brevity", {}, 404),
    ("DELETE", f"/api/v1/prompts/{OUTSIDE}/judgings/tone-2", None, 404),
    ("PUT", f"/api/v1/prompts/{OUTSIDE}/judging-budget", {"calls_a_day": 9, "usd_a_day": None}, 404),
    ("POST", "/api/v1/evaluators", {"name": "n", "score": "n"}, 403),
    ("POST", "/api/v1/evaluators/brevity/versions", {"kind": "external", "notes": "n"}, 403),
    ("POST", "/api/v1/evaluators/tone-2/try", {"output": "x"}, 403),
    ("POST", "/api/v1/keys", {"name": "n", "scopes": ["read"]}, 403),
    ("POST", "/api/v1/calls", {"prompt": OUTSIDE, "version": "1.0"}, 422),
    ("POST", "/api/v1/calls", [{"prompt": INSIDE}, {"exposure": "ROLLOUT:0:canary:1"}], 422),
    ("POST", "/api/v1/scores", {"exposure": "ROLLOUT:0:canary:1"} | SCORE, 422),
    ("POST", "/api/v1/scores", {"trace_id": "a" * 32, "span_id": "20" * 8} | SCORE, 422),
]  # ROLLOUT: the id of the rollout outside


def test_prefix__write_outside__refused_and_nothing_written(world: dict[str, Rollout]) -> None:
    asker = app("read", "write", "ingest", prompt_prefix="orders-")
    rollout, before = world[OUTSIDE].pk, rows()
    for method, path, body, status in WRITES_OUTSIDE:
        sent = json.loads(json.dumps(body).replace("ROLLOUT", rollout))

        answer = asker.ask(method, path.replace("ROLLOUT", rollout), sent)

        assert answer.status_code == status, (path, answer.content)
        assert rows() == before, path


def test_prefix__write_inside__done(world: dict[str, Rollout]) -> None:
    asker = app("write", "ingest", prompt_prefix="orders-")

    answers = [
        asker.post("/api/v1/prompts", {"name": "orders-new"}),
        asker.post("/api/v1/prompts/orders-new/versions", VERSION),
        asker.ask("PUT", "/api/v1/prompts/orders-new/labels/own", {"version": "1.0", "reason": "r"}),
        asker.post(f"/api/v1/rollouts/{world[INSIDE].pk}/pause", {"reason": "r"}),
        asker.post("/api/v1/calls", [{"prompt": INSIDE}, {"prompt": None}]),
        asker.post("/api/v1/scores", {"span_id": "10" * 8} | SCORE),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 200, 200, 200, 200]


def span(number: int, **named: Any) -> Any:
    attributes = {"gen_ai.operation.name": "chat"} | {key.replace("__", "."): value for key, value in named.items()}
    parent = attributes.pop("parent", None)
    return traces.span(attributes, number=number, parent=parent)


def test_prefix__spans_of_other_prompts__rejected_with_those_below_them(world: dict[str, Rollout]) -> None:
    asker = app("ingest", prompt_prefix="orders-")
    outer = traces.span({"gen_ai.prompt.name": OUTSIDE}, number=3, name="request")
    body = traces.request_as_json(
        traces.request(span(1, gen_ai__prompt__name=INSIDE), span(2), outer, span(4, parent=3))
    )

    answer = asker.ask("POST", "/v1/traces", body)

    partial = answer.json()["partialSuccess"]
    assert answer.status_code == 200
    assert (partial["rejectedSpans"], "does not reach" in partial["errorMessage"]) == ("2", True)
    stored = Call.objects.filter(trace_id=traces.TRACE_ID).order_by("id").values_list("prompt_name", flat=True)
    assert sorted(stored, key=str) == [None, INSIDE]
    assert RefusedHour.objects.get(reason__contains="does not reach").n == 2


def test_prefix__langfuse_score_of_another_prompts_call__told_and_not_recorded(world: dict[str, Rollout]) -> None:
    asker = app("ingest", prompt_prefix="orders-")
    before = Score.objects.count()

    sent = [{"traceId": "a" * 32, "observationId": f"{n}0" * 8, "name": "s", "value": 1} for n in (1, 2)]
    answer = asker.post("/api/public/scores", sent)

    assert (answer.status_code, answer.json()["rejected"]) == (207, 1)
    assert Score.objects.count() == before + 1


def test_trace__of_several_prompts__shows_only_its_own_calls(world: dict[str, Rollout]) -> None:
    whole, own = (
        a.get(f"/api/v1/traces/{'a' * 32}").json() for a in (app("read"), app("read", prompt_prefix="orders-"))
    )

    assert (whole["spans"], own["spans"]) == (4, 2)
    assert {node["call"]["prompt"] for node in own["tree"]} == {INSIDE}


def test_label__serving__other_labels_do_not_exist(world: dict[str, Rollout]) -> None:
    asker = app("read", labels=["staging"])
    path = f"/prompts/{INSIDE}"

    assert asker.get(f"{path}?label=staging").json()["version"] == "v1.2"
    assert asker.get(f"{path}?version=1.2").json()["version"] == "v1.2"
    for query, code in (
        ("", "unknown_label"),
        ("?label=scratch", "unknown_label"),
        ("?version=1.0", "unknown_version"),
    ):
        assert (answer := asker.get(path + query)).status_code == 404
        assert answer.json()["code"] == code
    for query in ("", "?label=production", "?label=staging&label=production"):
        rules = asker.get(f"/ruleset{query}").json()["prompts"][INSIDE]
        wanted = {"staging"} if query[1:] != "label=production" else set()
        assert (set(rules["labels"]), set(rules["versions"])) == (wanted, {"v1.2"} if wanted else set())
    assert asker.post("/ofrep/v1/evaluate/flags", {"context": {}}).json()["flags"] == []
    assert len(asker.post("/ofrep/v1/evaluate/flags", {"context": {"label": "staging"}}).json()["flags"]) == 2


def test_label__rest__sees_the_versions_calls_and_rollouts_of_its_labels(world: dict[str, Rollout]) -> None:
    asker = app("write", labels=["staging"])
    prompt = f"/api/v1/prompts/{INSIDE}"

    assert asker.get(prompt).json()["labels"] == {"staging": "v1.2"}
    assert [item["label"] for item in asker.get(f"{prompt}/labels").json()["items"]] == ["staging"]
    assert [item["version"] for item in asker.get(f"{prompt}/versions").json()["items"]] == ["v1.2"]
    assert {call["label"] for call in asker.get("/api/v1/calls").json()["items"]} == {"staging"}
    assert {score["name"] for score in asker.get("/api/v1/scores").json()["items"]} == {
        "seen-staging",
        f"{SECRET}-staging",
    }
    assert asker.get("/api/v1/rollouts").json()["items"] == []
    assert [item["calls"] for item in asker.get("/api/v1/metrics/versions").json()["items"]] == [1, 1]
    for path in ("versions/1.0", "labels/production", "labels/production/history", "diff?from=1.0&to=1.2"):
        assert asker.get(f"{prompt}/{path}").status_code == 404, path
    assert asker.get("/api/v1/spend?by=prompt").status_code == 403


def test_label__write__only_its_own_and_only_to_versions_that_it_sees(world: dict[str, Rollout]) -> None:
    asker = app("write", labels=["staging", "own"])
    labels = f"/api/v1/prompts/{INSIDE}/labels"
    before = rows()

    refused = [
        asker.ask("PUT", f"{labels}/production", {"version": "1.2", "reason": "r"}),
        asker.ask("PUT", f"{labels}/staging", {"version": "1.0", "reason": "r"}),
        asker.post(f"/api/v1/prompts/{INSIDE}/versions", VERSION),
        asker.post("/api/v1/rollouts", {"prompt": INSIDE, "canary": "1.0", "label": "staging"}),
        asker.post("/api/v1/rollouts", {"prompt": INSIDE, "canary": "1.2"}),
    ]

    assert [answer.status_code for answer in refused] == [403, 404, 403, 404, 404]
    assert rows() == before
    assert asker.ask("PUT", f"{labels}/own", {"version": "1.2", "reason": "r"}).status_code == 200


def test_ruleset__another_prompt_changes__neither_digest_nor_changes_tell_of_it(world: dict[str, Rollout]) -> None:
    asker = app("read", prompt_prefix="orders-")
    before = asker.get("/ruleset")

    make.version(Prompt.objects.get(name=OUTSIDE), template=f"{SECRET} more")
    snapshot_cache.cache.refresh()

    after = asker.get(f"/ruleset?since={before.json()['generation']}")
    assert (after["ETag"], after.json()["prompts"]) == (before["ETag"], {})
    make.version(Prompt.objects.get(name=INSIDE), template="more")
    snapshot_cache.cache.refresh()
    changed = asker.get(f"/ruleset?since={before.json()['generation']}")
    assert (set(changed.json()["prompts"]), changed["ETag"] != before["ETag"]) == ({INSIDE}, True)


def test_prefix__differs_in_case_or_has_a_wildcard__is_another(world: dict[str, Rollout]) -> None:
    App(make.key("ingest")).post("/api/v1/calls", [{"prompt": "Orders-x"}, {"prompt": "ordersXx"}])

    assert {c["prompt"] for c in app("read", prompt_prefix="orders-").get("/api/v1/calls").json()["items"]} == {INSIDE}
    assert app("read", prompt_prefix="orders_").get("/api/v1/calls").json()["items"] == []


def test_expired__from_that_moment_on__no_address_lets_it_in(world: dict[str, Rollout]) -> None:
    asker = app("admin", expires_at=now() + timedelta(hours=1))
    paths = (f"/prompts/{INSIDE}", "/ruleset", "/api/v1/calls", "/api/v1/keys")
    assert [asker.get(path).status_code for path in paths] == [200] * 4

    with time_machine.travel(now() + timedelta(hours=1, seconds=1), tick=False):
        assert [asker.get(path).status_code for path in paths] == [401] * 4
        assert asker.post("/ofrep/v1/evaluate/flags", {"context": {}}).status_code == 401
        assert asker.post("/v1/traces", {}).status_code == 401


def test_restricted_and_expiring__served__without_sql(
    world: dict[str, Rollout], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asker = app("read", prompt_prefix="orders-", labels=["staging"], expires_at=now() + timedelta(hours=1))

    with django_assert_num_queries(0):
        for path in (f"/prompts/{INSIDE}?label=staging", f"/prompts/{OUTSIDE}", "/ruleset"):
            asker.get(path)


def test_revoked__after_the_refresh__no_address_lets_it_in(world: dict[str, Rollout]) -> None:
    asker = app("read", prompt_prefix="orders-")

    services.revoke_key(key=ApiKey.objects.latest("pk"), actor=make.ANNA)
    snapshot_cache.cache.refresh()

    assert [asker.get(path).status_code for path in (f"/prompts/{INSIDE}", "/ruleset", "/api/v1/calls")] == [401] * 3


def test_label__score_of_a_call_that_names_only_its_rollout__422(world: dict[str, Rollout]) -> None:
    call = {"trace_id": "c" * 32, "span_id": "c" * 16, "exposure": f"{world[INSIDE].pk}:0:canary:1"}
    assert App(make.key("ingest")).post("/api/v1/calls", call).status_code == 200

    refused = app("ingest", labels=["staging"]).post(
        "/api/v1/scores", {"trace_id": "c" * 32, "span_id": "c" * 16} | SCORE
    )

    assert refused.status_code == 422


def test_prefix__score_with_an_id_that_another_key_gave__another_score(world: dict[str, Rollout]) -> None:
    first, second = app("ingest", prompt_prefix="a-"), app("ingest", prompt_prefix="orders-")
    score = {"id": "judge-order-17"} | SCORE

    guessed = first.post("/api/v1/scores", score | {"trace_id": "d" * 32})
    given, again = (second.post("/api/v1/scores", score | {"span_id": "10" * 8}) for _ in range(2))

    assert [answer.json()["accepted"] for answer in (guessed, given, again)] == [1, 1, 0]


def test_label__forecast__refused(world: dict[str, Rollout]) -> None:
    answer = app("read", labels=["production"]).post("/api/v1/rollouts/plan", {"prompt": INSIDE})

    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_reach")


def test_label__text_that_was_rolled_back_elsewhere__refused_without_naming_that_rollout(
    world: dict[str, Rollout],
) -> None:
    make.label(make.version(Prompt.objects.get(name=INSIDE), template="Another way of {{ name }}"), "staging")
    rollback(rollout_id=world[INSIDE].pk, reason="worse", actor=make.ANNA)
    asker = app("write", labels=["staging", "scratch", "production"])
    named = asker.post("/api/v1/rollouts", {"prompt": INSIDE, "canary": "1.1"})
    unnamed = asker.post("/api/v1/rollouts", {"prompt": INSIDE, "canary": "1.1", "label": "staging"})

    assert [answer.json()["code"] for answer in (named, unnamed)] == ["text_rolled_back_before"] * 2
    assert named.json()["rollout"] == world[INSIDE].pk
    assert world[INSIDE].pk not in unnamed.content.decode()
