"""`/api/v1/spend-budgets`: soft budgets over REST, how they stand, and in the admin and on the page of spending."""

from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from observability.models import SpendBudget
from observability.privacy import user_hash
from registry import audit
from tests import make, observed, traces

NOW = "2026-01-31T12:00:00Z"
NEW = {"dimension": "user", "period": "daily", "usd": "5"}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def send(method: str, path: str = "", *, scope: str = "write", body: Any = None, **headers: str) -> Any:
    told = {"Authorization": f"Bearer {make.key(scope)}"} | headers
    sent = {} if body is None else {"data": body, "content_type": "application/json"}
    return getattr(Client(), method)(f"/api/v1/spend-budgets{path}", headers=told, **sent)


def post(**changes: Any) -> Any:
    return send("post", body=NEW | changes)


def spend(number: int, usd: float, user: str) -> None:
    told = traces.CHAT | {"user.id": user, "gen_ai.usage.cost": usd}
    observed.ingest(traces.span(told, number=number, age_s=10))


def test_budget__of_each_user__stands_as_spent() -> None:
    spend(1, 6, "anna")
    spend(2, 4.5, "ben")
    spend(3, 1, "cleo")

    answer = post()

    assert answer.status_code == 201
    made = answer.json()
    assert send("get", scope="read").json()["items"] == [made]
    assert send("get", f"/{made['id']}", scope="read").json() == made
    standing = made.pop("standing")
    assert made | {"id": 0} == NEW | {
        "id": 0,
        "value": "",
        "active": True,
        "created_at": NOW,
        "created_by": made["created_by"],
    }
    assert (standing["over"], standing["full"]) == (2, 1)
    assert standing["values"][0] == {
        "value": user_hash("anna")[:12],
        "since": "2026-01-31T00:00:00Z",
        "until": "2026-02-01T00:00:00Z",
        "spent_usd": "6",
        "share": 1.2,
        "forecast_usd": "12",
    }
    assert [value["spent_usd"] for value in standing["values"]] == ["6", "4.5", "1"]
    assert user_hash("anna") not in answer.content.decode()


def test_budget__endless_fractions__to_a_millionth(clock: time_machine.Traveller) -> None:
    clock.move_to("2026-01-31T11:00:00Z")
    spend(1, 1, "anna")

    (standing,) = post(usd="3").json()["standing"]["values"]

    assert (standing["share"], standing["forecast_usd"]) == (0.333333, "2.181818")


def test_budget__changed__audited_and_what_it_is_of_stays() -> None:
    made = post(value="x").json()

    changed = send("patch", f"/{made['id']}", body={"usd": "7.5", "active": False})
    refused = send("patch", f"/{made['id']}", body={"value": "y"})

    assert (changed.json()["usd"], changed.json()["active"], changed.json()["value"]) == ("7.5", False, "x")
    assert refused.status_code == 422
    entries = audit.AuditEntry.objects.filter(target=f"spend-budgets/{made['id']}").order_by("id")
    assert [entry.action for entry in entries] == ["spend_budget.added", "spend_budget.changed"]


def test_budget__removed__gone_and_the_second_time_404() -> None:
    path = f"/{post().json()['id']}"

    assert send("delete", path).status_code == 204
    again = send("delete", path)
    assert (again.status_code, again.json()["code"]) == (404, "unknown_budget")
    assert send("get", path).status_code == 404
    assert send("patch", path, body={"usd": "1"}).status_code == 404


def test_budget__of_the_same_twice__conflict() -> None:
    post()

    again = post(usd="9")

    assert (again.status_code, again.json()["code"]) == (409, "budget_exists")


def test_budget__sent_again_with_its_key__made_once() -> None:
    first, again = (send("post", body=NEW, **{"Idempotency-Key": "once"}) for _ in range(2))

    assert (first.status_code, SpendBudget.objects.count()) == (201, 1)
    assert again.status_code in (201, 409)  # of another key of the API it is another request


@pytest.mark.parametrize(
    ("field", "value"),
    [("usd", "0"), ("usd", "-1"), ("usd", "NaN"), ("usd", "1e12"), ("dimension", "model"), ("period", "weekly")],
)
def test_budget__that_cannot_be__refused(field: str, value: str) -> None:
    answer = post(**{field: value})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_budgets__key_with_a_prefix__beyond_its_reach() -> None:
    key = make.restricted_key("read", prompt_prefix="orders-")

    answer = Client().get("/api/v1/spend-budgets", headers={"Authorization": f"Bearer {key}"})

    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_reach")


def person(*rights: str) -> Client:
    user = User.objects.create_user("anna", password="x", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


def test_admin__with_the_right__adds_raises_and_removes() -> None:
    client, page = person("view_spendbudget", "change_spendbudget"), "/admin/observability/spendbudget/"

    client.post(
        f"{page}add/", {"dimension": "prompt", "value": " orders ", "period": "monthly", "usd": "100", "active": "on"}
    )
    budget = SpendBudget.objects.get()
    client.post(f"{page}{budget.pk}/change/", {"usd": "200", "active": "on"})

    budget.refresh_from_db()
    assert (budget.value, budget.usd, budget.created_by) == ("orders", 200, "user:anna")
    client.post(f"{page}{budget.pk}/delete/", {"post": "yes"})
    assert not SpendBudget.objects.exists()


def test_admin__without_the_right__looks_only() -> None:
    post()
    client, page = person("view_spendbudget"), "/admin/observability/spendbudget/"

    assert client.get(page).status_code == 200
    assert client.get(f"{page}add/").status_code == 403


def test_page__budgets_with_bars_and_forecasts() -> None:
    post()
    spend(1, 6, "anna")

    page = person("view_call").get("/insights/spend?by=user").content.decode()

    assert "Budgets" in page
    assert user_hash("anna")[:12] in page
    assert user_hash("anna") not in page
    assert "$6.00 of $5.00" in page
    assert "$12.00" in page
