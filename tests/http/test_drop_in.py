"""Addresses and credentials of clients that were set up for another server."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from common.clock import now
from observability.models import Call, Score
from registry import keys
from registry.models import ApiKey
from tests import logs, make, traces

PROTOBUF = "application/x-protobuf"
METRICS = b"not looked at"
SCORE = {"id": "s1", "traceId": traces.TRACE_ID.hex(), "name": "accuracy", "value": 0.9, "dataType": "NUMERIC"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return make.key("ingest")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def post(path: str, sent: Any, headers: dict[str, str]) -> Any:
    is_json = not isinstance(sent, bytes)
    body = json.dumps(sent) if is_json else sent
    return Client().post(path, body, content_type="application/json" if is_json else PROTOBUF, headers=headers)


@pytest.mark.parametrize("prefix", ["", "/otel", "/api/public/otel"])
def test_otlp__every_address__traces_and_logs_stored(key: str, prefix: str) -> None:
    headers = basic("pk-lf-1", key)

    answers = [
        post(f"{prefix}/v1/traces", traces.body(traces.span()), headers).status_code,
        post(f"{prefix}/v1/logs", logs.body(logs.record()), headers).status_code,
        post(f"{prefix}/v1/metrics", METRICS, headers).status_code,
    ]

    assert answers == [200, 200, 200]
    assert Score.objects.get().call == Call.objects.get()


def test_credentials__bearer_basic_or_x_api_key__all_taken(key: str) -> None:
    for headers in ({"Authorization": f"bearer {key}"}, basic("", key), basic("pk-lf-1", key), {"x-api-key": key}):
        assert post("/v1/metrics", METRICS, headers).status_code == 200, headers


@pytest.mark.parametrize(
    "headers", [{}, basic("pk", "ser_unknown"), {"Authorization": "Basic !"}, {"x-api-key": " "}, basic("only", "")]
)
def test_credentials__none_that_is_known__401(headers: dict[str, str]) -> None:
    assert post("/v1/metrics", METRICS, headers).status_code == 401
    assert post("/api/public/scores", [SCORE], headers).status_code == 401


def test_credentials__key_revoked__refused_within_a_second(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [1000.0]
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    headers = {"x-api-key": key}
    before = post("/v1/metrics", METRICS, headers).status_code
    ApiKey.objects.update(revoked_at=now())

    seconds[0] += keys.REMEMBERED_S
    after = post("/v1/metrics", METRICS, headers).status_code

    assert (before, after) == (200, 401)


def test_credentials__known_key__asked_for_once_a_second(key: str, django_assert_num_queries: Any) -> None:
    headers = {"x-api-key": key}
    post("/v1/metrics", METRICS, headers)

    with django_assert_num_queries(0):
        post("/v1/metrics", METRICS, headers)


def test_langfuse_scores__array__202_and_recorded(key: str) -> None:
    sent = [SCORE, SCORE | {"id": "s2", "observationId": traces.SPAN_ID.hex(), "value": 1.0, "dataType": "BOOLEAN"}]

    response = post("/api/public/scores", sent, basic("pk", key))

    assert (response.status_code, response.json()) == (202, {"message": "Accepted"})
    stored = {score.key: (score.target, score.value, score.source) for score in Score.objects.all()}
    trace, span = traces.TRACE_ID.hex(), traces.SPAN_ID.hex()
    assert stored == {"s1": (f"trace:{trace}", 0.9, "judge"), "s2": (f"span:{trace}:{span}", 1, "judge")}


def test_langfuse_scores__some_are_none__207_that_counts_and_the_others_recorded(key: str) -> None:
    sent = [SCORE, SCORE | {"id": "s2", "value": 5}, SCORE | {"id": "s3", "traceId": None, "sessionId": "a"}, "score"]

    response = post("/api/public/scores", sent, basic("pk", key))

    assert response.status_code == 207
    assert response.json() == {
        "accepted": 1,
        "rejected": 3,
        "errors": [
            {"message": "value: expected a number from 0 to 1, got 5"},
            {"message": "expected one of trace_id, span_id, response_id, exposure"},
            {"message": "expected an object"},
        ],
    }
    assert Score.objects.get().key == "s1"


def test_langfuse_scores__one_object__its_id(key: str) -> None:
    accepted = post("/api/public/scores", SCORE | {"name": "User Feedback", "value": "yes"}, basic("pk", key))
    refused = post("/api/public/scores", SCORE | {"value": "relevant"}, basic("pk", key))

    assert (accepted.status_code, accepted.json()) == (200, {"id": "s1"})
    assert refused.status_code == 422
    score = Score.objects.get()
    assert (score.name, score.value, score.label, score.source) == ("user_feedback", 1, "yes", "user")


@pytest.mark.parametrize("sent", [[], [SCORE] * 1001, "score", None])
def test_langfuse_scores__neither_one_nor_1_to_1000__422(key: str, sent: Any) -> None:
    assert post("/api/public/scores", sent, basic("pk", key)).status_code == 422


def test_langfuse_ingestion__scores_of_the_older_sdk__207_by_event(key: str) -> None:
    events = [
        {"id": "e1", "type": "score-create", "timestamp": "2026-11-25T12:00:00Z", "body": SCORE},
        {"id": "e2", "type": "score-create", "timestamp": "2026-11-25T12:00:00Z", "body": SCORE | {"value": 7}},
        {"id": "e3", "type": "trace-create", "body": {}},
    ]

    response = post("/api/public/ingestion", {"batch": events, "metadata": {}}, basic("pk", key))

    assert response.status_code == 207
    assert response.json()["successes"] == [{"id": "e1", "status": 201}]
    assert [(error["id"], error["status"]) for error in response.json()["errors"]] == [("e2", 400)]
    assert Score.objects.get().key == "s1"


OWN_SCORE = {"trace_id": traces.TRACE_ID.hex(), "name": "accuracy", "value": 1, "source": "judge"}


@pytest.mark.parametrize(("path", "sent"), [("scores", OWN_SCORE), ("calls", {"prompt": "order-extractor"})])
def test_own_endpoints__basic_credentials__taken_as_well(key: str, path: str, sent: dict[str, Any]) -> None:
    response = post(f"/api/v1/{path}", sent, basic("pk", key))

    assert response.status_code == 200
