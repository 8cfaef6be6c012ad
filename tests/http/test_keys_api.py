"""API keys over REST: made, listed and revoked by keys of the scope `admin`, their text shown once."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from common.clock import now
from registry.models import ApiKey
from rollout.serving import snapshot_cache
from tests import make

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/keys"


def ask(method: str, path: str, key: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    return getattr(Client(), method)(path, body, content_type="application/json", headers=headers)


@pytest.fixture
def admin() -> str:
    return make.key("admin")


def test_key__made__opens_what_it_says_and_its_text_is_shown_once(admin: str) -> None:
    wanted = {"name": "orders", "scopes": ["read"], "prompt_prefix": "orders-", "labels": ["staging", "own"]}
    made = ask("post", KEYS, admin, wanted)

    body = made.json()
    assert made.status_code == 201
    assert {name: body[name] for name in wanted} == wanted | {"labels": ["own", "staging"]}
    assert (body["created_by"], body["expires_at"], body["last_used_at"]) == ("key:app", None, None)
    assert ask("get", "/api/v1/prompts", body["key"]).status_code == 200
    told = ask("get", KEYS, admin).content.decode() + ask("get", made["Location"], admin).content.decode()
    assert body["prefix"] in told
    assert body["key"] not in told


def test_key__revoked__opens_nothing_any_more_and_stays_in_the_list(admin: str) -> None:
    key = make.key()
    id_ = ApiKey.objects.latest("pk").pk

    answers = [ask("delete", f"{KEYS}/{id_}", admin).status_code for _ in range(2)]

    snapshot_cache.cache.refresh()
    assert answers == [204, 204]
    assert ask("get", "/api/v1/prompts", key).status_code == ask("get", "/prompts/x", key).status_code == 401
    revoked = {item["id"]: item["revoked_at"] is not None for item in ask("get", KEYS, admin).json()["items"]}
    assert revoked == {id_: True, id_ - 1: False}


def test_key__unknown__404(admin: str) -> None:
    for id_ in (10**6, 10**30):
        assert ask("get", f"{KEYS}/{id_}", admin).json()["code"] == "unknown_key"
        assert ask("delete", f"{KEYS}/{id_}", admin).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scopes": ["admin"], "prompt_prefix": "orders-"}, "scopes"),
        ({"scopes": ["read", "admin"], "labels": ["staging"]}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"prompt_prefix": "Orders"}, "prompt_prefix"),
        ({"prompt_prefix": "%"}, "prompt_prefix"),
        ({"labels": [""]}, "labels[0]"),
        ({"labels": ["a b"]}, "labels"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"prefix": "orders-"}, "prefix"),
    ],
)
def test_key__something_wrong__422_names_the_field(admin: str, wrong: dict[str, Any], field: str) -> None:
    answer = ask("post", KEYS, admin, {"name": "orders", "scopes": ["read"]} | wrong)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert ApiKey.objects.count() == 1


def test_key__made_by_one_that_expires__expires_with_it(admin: str) -> None:
    until = now() + timedelta(days=1)
    maker = make.restricted_key("admin", expires_at=until)

    inherited = ask("post", KEYS, maker, {"name": "n", "scopes": ["admin"]})
    longer = ask("post", KEYS, maker, {"name": "n", "scopes": ["read"], "expires_at": until + timedelta(seconds=1)})

    assert inherited.status_code == 201
    assert ApiKey.objects.latest("pk").expires_at == until
    assert (longer.status_code, longer.json()["code"]) == (403, "beyond_maker")
