"""`/api/v1/prices`: the project's own prices, and the models without one; the same in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.ingest import writer
from observability.models import PriceOverride
from registry import audit
from tests import make, traces

NEW = {"pattern": "House-*", "effective_from": "2026-01-01T00:00:00Z", "input": "0.5", "output": 2}
HOUSE = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "house-model",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}

pytestmark = pytest.mark.django_db


def send(method: str, path: str = "", *, scope: str = "admin", **options: Any) -> Any:
    key = make.key(scope)
    return getattr(Client(), method)(f"/api/v1/prices{path}", headers={"Authorization": f"Bearer {key}"}, **options)


def post(scope: str = "admin", **changes: Any) -> Any:
    return send("post", scope=scope, data=NEW | changes, content_type="application/json")


def test_prices__added__listed_with_every_field() -> None:
    added = post(cached_input="0.05", note="contract of May")

    assert added.status_code == 201
    assert send("get", scope="read").json()["items"] == [added.json()]
    made = added.json()
    assert made.pop("created_at")
    assert made.pop("id") == PriceOverride.objects.get().pk
    assert made == {
        "provider": "",
        "pattern": "house-*",
        "effective_from": "2026-01-01T00:00:00Z",
        "input": "0.500000000000",
        "cached_input": "0.050000000000",
        "cache_write": None,
        "output": "2.000000000000",
        "call": "0.000000000000",
        "note": "contract of May",
    }


def test_prices__deleted__gone_and_the_second_time_404() -> None:
    path = f"/{post().json()['id']}"

    assert send("delete", path).status_code == 204
    assert send("delete", path).status_code == 404
    assert not PriceOverride.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", "-0.1"),
        ("input", "100001"),
        ("input", "1e400"),
        ("input", "0.0000000000001"),
        ("output", "NaN"),
        ("output", "Infinity"),
        ("call", True),
        ("pattern", ""),
        ("pattern", "\0"),
        ("pattern", "x" * 201),
        ("effective_from", "soon"),
        ("id", 7),
    ],
)
def test_prices__wrong_field__422_that_names_it(field: str, value: Any) -> None:
    response = post(**{field: value})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_prices__the_same_twice__409() -> None:
    post()

    assert post(pattern="HOUSE-*").status_code == 409


@pytest.mark.parametrize("pattern", ["m\u00f6dell-\U0001f600*", "\u0130*", "[!", "a\0b", "\ud800*"])
def test_prices__strange_patterns__kept(pattern: str) -> None:
    assert post(pattern=pattern).status_code == 201


@pytest.mark.parametrize("scope", ["read", "ingest", "write"])
def test_prices__change_without_admin__403(scope: str) -> None:
    made = post().json()["id"]

    assert post(scope, pattern="other").status_code == 403
    assert send("delete", f"/{made}", scope=scope).status_code == 403
    assert PriceOverride.objects.count() == 1


def test_unpriced__by_model_the_most_tokens_first() -> None:
    other = HOUSE | {"gen_ai.response.model": "house-2", "gen_ai.usage.input_tokens": 5000}
    known, silent = HOUSE | {"gen_ai.request.model": "gpt-4o-mini"}, traces.CHAT
    spans = [traces.span(traces.CHAT | given, number=n) for n, given in enumerate([HOUSE, HOUSE, other, known, silent])]
    spans.append(traces.span(traces.CHAT | HOUSE, number=9, age_s=8 * 86_400))
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)

    items = send("get", "/unpriced", scope="read").json()["items"]

    assert all(item.pop("last_seen") for item in items)
    assert items == [
        {"provider": "openai", "model": "house-2", "calls": 1, "tokens": 5100},
        {"provider": "openai", "model": "house-model", "calls": 2, "tokens": 2200},
    ]


def test_admin__add_show_delete(admin_client: Client) -> None:
    writer.store(decode_protobuf(traces.body(traces.span(traces.CHAT | HOUSE)), WANTED).spans)
    form = {"pattern": "Other-*", "effective_from_0": "2026-01-01", "effective_from_1": "00:00:00"}
    form |= {"input": "1", "output": "2", "call": "0"}

    added = admin_client.post("/admin/observability/priceoverride/add/", form)
    made = PriceOverride.objects.get()
    listed = admin_client.get("/admin/observability/priceoverride/").content.decode()
    page = admin_client.get(f"/admin/observability/priceoverride/{made.pk}/change/").content.decode()
    deleted = admin_client.post(f"/admin/observability/priceoverride/{made.pk}/delete/", {"post": "yes"})

    assert (added.status_code, deleted.status_code) == (302, 302)
    assert made.pattern == "other-*"
    assert "Without a price in the last 7 days: house-model" in listed
    assert 'name="_save"' not in page
    assert not PriceOverride.objects.exists()


def test_admin__the_same_but_for_its_case__beside_the_form(admin_client: Client) -> None:
    post()
    form = {"pattern": "HOUSE-*", "effective_from_0": "2026-01-01", "effective_from_1": "00:00:00"}

    again = admin_client.post(
        "/admin/observability/priceoverride/add/", form | {"input": "1", "output": "2", "call": "0"}
    )

    assert again.status_code == 200
    assert PriceOverride.objects.count() == 1


@pytest.mark.parametrize("path", ["?model=house", "/unpriced?limit=5"])
def test_prices__unknown_parameter__refused_by_name(path: str) -> None:
    response = send("get", path, scope="read")

    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "unknown"
    assert response.json()["errors"][0]["field"] == path.partition("?")[2].partition("=")[0]


def test_prices__parameters_of_pages__taken() -> None:
    post()

    response = send("get", "?limit=1", scope="read")

    assert (response.status_code, len(response.json()["items"])) == (200, 1)


@pytest.mark.parametrize("page", ["add/", "{id}/delete/"])
def test_admin__right_taken_away_while_the_change_waits__all_is_undone(
    client: Client, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    post()
    kept = PriceOverride.objects.get()
    ben = User.objects.create_user("ben", is_staff=True)
    ben.user_permissions.set(Permission.objects.filter(codename__endswith="priceoverride"))
    client.force_login(ben)
    monkeypatch.setattr(audit, "record", lambda **_: ben.user_permissions.clear())

    form = {"pattern": "other-*", "effective_from_0": "2026-01-01", "effective_from_1": "00:00:00", "post": "yes"}
    form |= {"input": "1", "output": "2", "call": "0"}
    answer = client.post(f"/admin/observability/priceoverride/{page.format(id=kept.pk)}", form)

    assert answer.status_code == 403
    assert "has just been taken away" in answer.content.decode()
    assert list(PriceOverride.objects.all()) == [kept]
