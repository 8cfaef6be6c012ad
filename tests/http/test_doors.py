"""What keeps strangers out of the pages: headers that browsers obey, and a login that cannot be tried for ever."""

import logging
from ipaddress import ip_network

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from registry.models import AuditEntry
from rollout.serving import snapshot_cache
from tests import make

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PASSWORD = "a good long one"


@pytest.fixture
def anna() -> User:
    return User.objects.create_superuser("anna", password=PASSWORD)


def log_in(client: Client, password: str, name: str = "anna", address: str = "127.0.0.1") -> int:
    return client.post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize("path", ["/", LOGIN, "/nowhere", "/readyz", "/api/v1/prompts"])
def test_page__any__loads_and_runs_only_what_is_ours(client: Client, path: str) -> None:
    headers = client.get(path).headers

    policy = dict(directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert {policy[name] for name in ("object-src", "base-uri", "frame-ancestors")} == {"'none'"}
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", LOGIN])
def test_page__any__has_no_script_or_style_inside(client: Client, path: str) -> None:
    page = client.get(path).content.decode()

    assert "<style" not in page
    assert " style=" not in page
    assert "javascript:" not in page
    assert page.count("<script") == page.count("<script src=")


def test_login__five_wrong_passwords__the_right_one_is_refused_too(client: Client, anna: User) -> None:
    refused = [log_in(client, f"wrong {number}") for number in range(5)]

    assert refused == [200, 200, 200, 200, 429]
    assert log_in(client, PASSWORD) == 429
    assert b"Too many attempts" in client.post(LOGIN, {"username": "anna", "password": PASSWORD}).content


def test_login__locked_out_from_one_address__another_address_and_another_person_get_in(
    client: Client, anna: User
) -> None:
    User.objects.create_superuser("ben", password=PASSWORD)
    for number in range(5):
        log_in(client, f"wrong {number}")

    assert log_in(client, PASSWORD, address="192.0.2.2") == 302
    client.logout()
    assert log_in(client, PASSWORD, name="ben") == 302


def test_login__attempts_deleted_by_an_administrator__gets_in_and_it_is_recorded(client: Client, anna: User) -> None:
    for number in range(5):
        log_in(client, f"wrong {number}")
    administrator = Client()
    administrator.force_login(User.objects.create_superuser("root"))

    administrator.post(f"/admin/axes/accessattempt/{AccessAttempt.objects.get().pk}/delete/", {"post": "yes"})

    assert log_in(client, PASSWORD) == 302
    assert AuditEntry.objects.get(action="lockout.deleted").actor == "user:root"


def test_login__behind_a_trusted_proxy__locked_for_the_address_it_asks_for_alone(
    client: Client, anna: User, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]

    def log_in_from(address: str, password: str) -> int:
        typed = {"username": "anna", "password": password}
        return client.post(LOGIN, typed, REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=address).status_code

    refused = [log_in_from(f"198.51.100.{number}, 192.0.2.66", "wrong") for number in range(5)]

    assert refused[-1] == 429  # what the stranger says to have come from changes nothing
    assert log_in_from("192.0.2.66", PASSWORD) == 429
    assert log_in_from("192.0.2.2", PASSWORD) == 302


def test_login__succeeds_in_between__counts_anew(client: Client, anna: User) -> None:
    for _ in range(3):
        assert log_in(client, "wrong") == 200
        assert log_in(client, "wrong") == 200
        assert log_in(client, PASSWORD) == 302
        client.logout()


def test_login__wrong_password__neither_stored_nor_logged(
    client: Client, anna: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "axes"):
        for _ in range(6):
            log_in(client, "hunter2-typed-by-mistake")

    kept = [str(value) for row in AccessAttempt.objects.values() for value in row.values()]
    assert kept
    assert not any("hunter2" in text for text in [*kept, caplog.text])


def test_api__key_that_asks_too_often__429_and_only_there(client: Client, settings: Settings) -> None:
    settings.API_RATE = 3
    wild, other = ({"HTTP_AUTHORIZATION": f"Bearer {make.key('admin')}"} for _ in range(2))
    snapshot_cache.cache.refresh()
    cache.clear()

    statuses = [client.get("/api/v1/prompts", **wild).status_code for _ in range(4)]
    refused = client.get("/api/v1/rollouts", **wild)

    assert statuses == [200, 200, 200, 429]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert client.get("/api/v1/prompts", **other).status_code == 200
    assert [client.get("/prompts/none", **wild).status_code for _ in range(5)] == [404] * 5
    call = {"trace_id": "a" * 32, "span_id": "b" * 16}
    taken = [client.post("/api/v1/calls", call, "application/json", **wild).status_code for _ in range(5)]
    assert taken == [200] * 5
