"""Every address, every method, every kind of key and person: who gets in and who does not (tests/access.py)."""

import importlib
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client

from common.clock import now
from observability.models import PriceOverride
from observability.services import evaluators
from observability.services.budgets import add_budget
from observability.services.objectives import create_objective
from registry import services
from registry.models import ApiKey
from rollout.models import Delivery, Verdict
from rollout.serving import snapshot_cache
from rollout.webhooks.services import create_endpoint
from tests import access, make
from tests import rollouts as given

pytestmark = pytest.mark.django_db

GROUPS = importlib.import_module("rollout.migrations.0008_rights_and_groups")
QUALITY = importlib.import_module("rollout.migrations.0014_rights_to_quality")
REFUSED_KEYS = ("none", "unknown", "revoked", "expired", "browser")
KEYS = (*REFUSED_KEYS, "read", "ingest", "write", "admin")
PEOPLE = {"n": "staff", "e": "editor", "r": "releaser", "o": "operator", "s": "superuser"}
STRANGERS = ("anonymous", "no staff", "admin key")
CSRF = {"HTTP_REFERER": "http://testserver/"}


def furthest(*kinds: str) -> list[str]:
    """The last of them on PostgreSQL: all addresses answer there, and who gets in is the same on every database."""
    return list(kinds if connection.vendor == "sqlite" else kinds[-1:])


@pytest.fixture
def world() -> dict[str, Any]:
    """Something at every address. Values of the routes' variables, and by model the id of a row."""
    create_endpoint(url="https://hooks.example/", actor=make.ANNA)
    rollout = given.rollout(start=True)
    services.save_draft(
        prompt=rollout.prompt, content=make.content(), notes="n", expected_revision=None, actor=make.ANNA
    )
    key = make.key("ingest")
    call = {"trace_id": "ab" * 16, "span_id": "cd" * 8, "prompt": "order-extractor", "version": "1.0"}
    post(Client(), "/api/v1/calls", call, key)
    post(Client(), "/api/v1/scores", {"trace_id": "ab" * 16, "name": "tone", "value": 1, "source": "judge"}, key)
    Verdict.objects.create(rollout=rollout, kind="undecided", step=0, found_at=now(), body={"reasons": []})
    make.judging(rollout.prompt, make.evaluator_version(check="length", most=9))
    evaluators.set_judging_budget(prompt_name=rollout.prompt.name, calls_a_day=9, usd_a_day=None, actor=make.ANNA)
    PriceOverride.objects.create(pattern="m", effective_from=now(), input=1, output=1, created_at=now())
    add_budget(dimension="user", period="daily", usd=Decimal(5), actor=make.ANNA)
    create_objective(
        prompt_name="order-extractor",
        name="tone",
        metric="tone",
        comparison="above",
        threshold=0.9,
        actor=make.ANNA,
    )
    snapshot_cache.cache.refresh()
    delivery = Delivery.objects.get()
    newest = {model: apps.get_model(*model.split("/")).objects.latest("pk").pk for model in MODELS_WITH_ROWS}
    return newest | {
        "name": "order-extractor",
        "key": "order-extractor",
        "version": "1.0",
        "label": "production",
        "key_id": 10**6,
        "event_id": "evt_none",
        "trace_id": "ab" * 16,
        "span_id": "cd" * 8,
        "alert_id": "alr_0",
        "override_id": 10**6,
        "evaluator": "brevity",
        "evaluator_id": newest["observability/evaluator"],
        "ordinal": 1,
        "budget_id": 10**6,
        "objective_id": 10**6,
        "webhook_id": delivery.endpoint_id,
        "endpoint_id": delivery.endpoint_id,
        "delivery_id": "dlv_none",
        "rollout_id": rollout.pk,
        "action": "pause",
        "act": "pause",
        "prompt_id": rollout.prompt_id,
        "label_id": rollout.label_id,
        "ending": "csv",
        "content_type_id": 1,
        "app_label": "registry",
        "url": "nothing",
        "id": 10**6,
    }


MODELS_WITH_ROWS = (
    *("registry/apikey", "registry/auditentry", "registry/label", "registry/prompt", "registry/promptversion"),
    *("rollout/rollout", "rollout/verdict", "rollout/webhookendpoint", "rollout/delivery"),
    *("observability/call", "observability/score", "observability/priceoverride", "django_q/schedule"),
    *("observability/evaluator", "observability/evaluatorversion", "observability/judging"),
    *("observability/judgingbudget", "observability/spendbudget", "observability/objective"),
)


def post(client: Client, path: str, body: Any, key: str) -> None:
    answer = client.post(path, body, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}")
    assert answer.status_code == 200


def credential(kind: str) -> tuple[Client, dict[str, str]]:
    """A client and the headers of its requests."""
    client = Client()
    match kind:
        case "none":
            return client, {}
        case "browser":
            client.force_login(User.objects.create_superuser("anna"))
            return client, {}
        case "unknown":
            key = "ser_" + "x" * 43
        case "revoked":
            key = make.key("admin")
            services.revoke_key(key=ApiKey.objects.latest("pk"), actor=make.ANNA)
        case "expired":
            key = make.key("admin")
            ApiKey.objects.filter(pk=ApiKey.objects.latest("pk").pk).update(expires_at=now())
        case scope:
            key = make.key(scope)
    snapshot_cache.cache.refresh()
    return client, {"HTTP_AUTHORIZATION": f"Bearer {key}"}


def ask(client: Client, method: str, path: str, headers: dict[str, str]) -> int:
    answer = client.generic(method, path, b"{}", content_type="application/json", **headers)  # type: ignore[arg-type]
    return int(answer.status_code)


def test_table__names_every_address_and_no_other() -> None:
    listed = access.api().keys() | access.pages().keys() | access.OPEN_PAGES | access.OUTSIDE_LOGIN

    assert listed == access.routes().keys()


def test_table__names_every_method_that_a_view_has() -> None:
    for route, pattern in access.routes().items():
        view = getattr(pattern.callback, "cls", None)
        if view and not route.startswith("admin/"):
            has = {method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)}
            assert {method.lower() for method in access.api()[route]} - {"head"} == has, route


@pytest.mark.parametrize("kind", furthest(*KEYS))
def test_api__each_key__gets_in_where_the_table_says(world: dict[str, Any], kind: str) -> None:
    client, headers = credential(kind)
    wrong = []
    for route, needs in access.api().items():
        path = access.path_of(route, world)
        for method, need in needs.items():
            status = ask(client, method, path, headers)
            if need == "open" or kind in access.NEEDS.get(need, ()):
                right = status not in (401, 403, 405) and status < 500
            else:
                right = status == (401 if kind in REFUSED_KEYS else 403)
            if not right:
                wrong.append((method, path, status))
    assert wrong == []


def test_api__method_that_the_table_does_not_name__there_is_none(world: dict[str, Any]) -> None:
    client, headers = credential("admin")
    wrong = [
        (method, path, status)
        for route, needs in access.api().items()
        for method in access.METHODS
        if method not in needs
        for path in [access.path_of(route, world)]
        if (status := ask(client, method, path, headers)) != 405
    ]
    assert wrong == []


def person(kind: str) -> Client:
    client = Client()
    if kind == "s":
        client.force_login(User.objects.create_superuser("anna"))
        return client
    user = User.objects.create_user("ben", is_staff=True)
    if kind != "n":
        GROUPS.make_groups(apps, None)  # tests with transactions empty the tables
        QUALITY.give_rights(apps, None)
        user.groups.add(Group.objects.get(name=PEOPLE[kind]))
    client.force_login(user)
    return client


def page_of(route: str, world: dict[str, Any]) -> str:
    model = "/".join(route.split("/")[1:3])
    return access.path_of(route, world | {"object_id": world.get(model, 10**6)})


def leads_to_login(answer: Any) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("kind", furthest(*PEOPLE))
def test_pages__each_person__gets_in_where_the_table_says(world: dict[str, Any], kind: str) -> None:
    client = person(kind)
    wrong = []
    for route, who in access.pages().items():
        for method, allowed in zip(("GET", "POST"), who, strict=True):
            path = page_of(route, world)
            answer = client.get(path) if method == "GET" else client.post(path, {})
            if allowed == "405":
                right = answer.status_code == 405 or (answer.status_code == 403 and kind not in who[0])
            elif kind in allowed:
                right = answer.status_code in (200, 302, 404)
            else:
                right = answer.status_code == 403
            if not right or leads_to_login(answer):
                wrong.append(f"{method} {path} {answer.status_code}")
    assert [line for line in wrong if not _not_there(line)] == []


def _not_there(line: str) -> bool:
    """Django tells staff that a row is not there before it looks at their rights to its history."""
    return f"/{10**6}/history/ 302" in line


@pytest.mark.parametrize("kind", furthest(*STRANGERS))
def test_pages__without_a_login_of_staff__lead_to_the_login(world: dict[str, Any], kind: str) -> None:
    client, headers = credential("admin" if kind == "admin key" else "none")
    if kind == "no staff":
        client.force_login(User.objects.create_user("carl"))
    for route in access.pages():
        path = page_of(route, world)
        for answer in (client.get(path, **headers), client.post(path, {}, **headers)):  # type: ignore[arg-type]
            assert leads_to_login(answer) or answer.status_code == 404, path


def test_pages__without_the_token_of_a_form__change_nothing(world: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("anna"))
    for route in [*access.pages(), *access.OUTSIDE_LOGIN, *access.OPEN_PAGES]:
        path = page_of(route, world)
        for method in ("POST", "DELETE"):
            assert client.generic(method, path).status_code == 403, (method, path)


def test_open_pages__anybody__may_read_and_nothing_else(world: dict[str, Any], client: Client) -> None:
    for route in access.OPEN_PAGES:
        path = access.path_of(route, world)
        assert client.get(path).status_code == 200
        assert client.post(path).status_code == 405
