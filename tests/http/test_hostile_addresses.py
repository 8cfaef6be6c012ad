"""Addresses that nobody writes by hand: never a 500, always a problem document for programs."""

import base64
from urllib.parse import quote

import pytest
from django.test import Client

from registry import services as registry
from rollout.serving import snapshot_cache
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

LISTS = ("prompts", "prompts/order-extractor/versions", "rollouts", "calls", "webhooks")
POSITIONS = ("p=1", "p=%00", "p=\u0663", "p=" + "9" * 400, "o=1&p=x", "r=1", "p=", "")
RANGES = (
    *(("calls", "since"), ("scores", "since"), ("events", "since"), ("prompts/order-extractor/versions", "since")),
    *(("audit", "since"), ("audit", "until"), ("spend", "since"), ("spend", "until")),
)


@pytest.fixture
def key() -> dict[str, str]:
    given.rollout()
    _, key = registry.issue_key(name="tests", scopes=["admin"], actor=ANNA)
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "address", ["rollouts?prompt=a%00b", "prompts/a%00b", "webhooks/a%00b/deliveries", "calls?prompt=%00"]
)
def test_nul_in_the_address__400(client: Client, key: dict[str, str], address: str) -> None:
    response = client.get(f"/api/v1/{address}", headers=key)

    assert (response.status_code, response.json()["code"]) == (400, "nul_character")


@pytest.mark.parametrize("path", LISTS)
def test_cursor__of_no_position_in_the_list__refused_or_a_page(client: Client, key: dict[str, str], path: str) -> None:
    cursors = {position: quote(base64.b64encode(position.encode()).decode()) for position in POSITIONS}

    statuses = {
        position: client.get(f"/api/v1/{path}?cursor={cursor}", headers=key).status_code
        for position, cursor in cursors.items()
    }

    assert {position: status for position, status in statuses.items() if status not in {200, 404}} == {}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH"])
def test_method__that_no_list_has__405(client: Client, key: dict[str, str], method: str) -> None:
    answers = {path: client.generic(method, f"/api/v1/{path}", headers=key) for path in LISTS}

    found = {path: (answer.status_code, answer["Content-Type"]) for path, answer in answers.items()}
    assert found == dict.fromkeys(LISTS, (405, "application/problem+json"))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_history__time_beyond_the_calendar__422(client: Client, key: dict[str, str], at: str) -> None:
    response = client.get(f"/api/v1/prompts/order-extractor/labels/production/history?at={at}", headers=key)

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "at")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_range__beyond_the_calendar__422(client: Client, key: dict[str, str], at: str) -> None:
    answers = {(path, name): client.get(f"/api/v1/{path}?{name}={at}", headers=key) for path, name in RANGES}

    found = {asked: (answer.status_code, answer.json()["errors"][0]["field"]) for asked, answer in answers.items()}
    assert found == {(path, name): (422, name) for path, name in RANGES}


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
def test_method__that_only_reading_has_not__405(path: str) -> None:
    response = Client(enforce_csrf_checks=True).post(path)

    assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
    assert (response.json()["code"], response["Allow"]) == ("method_not_allowed", "GET, HEAD")


@pytest.mark.parametrize("path", ["/prompts/gr%2Feeter", "/ruleset/x", "/v1/nothing", "/ofrep/v1/nothing"])
def test_address__that_programs_ask_for_and_is_none__problem(client: Client, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        *LISTS,
        "prompts/order-extractor/labels",
        "prompts/order-extractor/labels/production/history",
        "keys",
    ],
)
def test_list__parameter_that_it_has_not__422(client: Client, key: dict[str, str], path: str) -> None:
    response = client.get(f"/api/v1/{path}?lable=staging", headers=key)

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "lable")


@pytest.mark.parametrize("kind", ["verdicts", "transitions"])
def test_list_of_a_rollout__parameter_that_it_has_not__422(client: Client, key: dict[str, str], kind: str) -> None:
    (rollout,) = client.get("/api/v1/rollouts", headers=key).json()["items"]

    response = client.get(f"/api/v1/rollouts/{rollout['id']}/{kind}?after=1", headers=key)

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "after")


@pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", ""])
def test_list__limit_that_no_page_has__400(client: Client, key: dict[str, str], limit: str) -> None:
    response = client.get(f"/api/v1/prompts?limit={limit}", headers=key)

    assert (response.status_code, response.json()["code"]) == (400, "malformed_limit")


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/otel/v1/metrics"])
def test_telemetry__by_another_method_than_post__problem(client: Client, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
    assert (response.json()["code"], response["Allow"]) == ("method_not_allowed", "POST")


def test_key__that_nobody_knows__not_taken_for_a_missing_one(client: Client) -> None:
    response = client.get("/api/v1/prompts", headers={"Authorization": "Bearer ser_nobody"})

    assert (response.status_code, response.json()["code"]) == (401, "unknown_key")


def test_answer__in_a_type_that_there_is_not__406_as_a_problem(client: Client, key: dict[str, str]) -> None:
    response = client.get("/api/v1/prompts", headers={**key, "Accept": "application/xml"})

    assert (response.status_code, response["Content-Type"]) == (406, "application/problem+json")
    assert response.json()["code"] == "not_acceptable"


def test_flag__key_with_a_line_break__answered_in_the_protocols_words(client: Client, key: dict[str, str]) -> None:
    snapshot_cache.cache.refresh()

    response = client.post(
        "/ofrep/v1/evaluate/flags/%0Aa", {"context": {}}, content_type="application/json", headers=key
    )

    assert (response.status_code, response.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
