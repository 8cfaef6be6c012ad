"""`POST /api/v1/calls`, as apps without OpenTelemetry see it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.test import Client

from common.clock import now
from observability import evidence
from observability.ingest import writer
from observability.models import Call, Span
from tests import make, traces

ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
CALL = {
    "prompt": "order-extractor",
    "version": "v2.3",
    "exposure": f"{ROLLOUT}:0:canary:182",
    "provider": "OpenAI",
    "request_model": "gpt-4o-mini",
    "response_model": "gpt-4o-mini-2024-07-18",
    "response_id": "chatcmpl-1",
    "stream": True,
    "input_tokens": 100,
    "output_tokens": 21,
    "cached_tokens": 10,
    "reasoning_tokens": 0,
    "ttft_ms": 200,
    "duration_ms": 1200.5,
    "cost_usd": 0.0125,
    "finish_reason": "end_turn",
    "session": "s-1",
    "feature": "orders",
    "environment": "test",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return make.key("ingest", "read")


def post(key: str, sent: Any) -> Any:
    body = sent if isinstance(sent, bytes) else json.dumps(sent)
    headers = {"Authorization": f"Bearer {key}"}
    return Client().post("/api/v1/calls", body, content_type="application/json", headers=headers)


def read(key: str) -> list[dict[str, Any]]:
    answer = Client().get("/api/v1/calls", headers={"Authorization": f"Bearer {key}"})
    return list(answer.json()["items"])


def errors(response: Any) -> list[str]:
    assert response.status_code == 422, response.content
    return [error["field"] for error in response.json()["errors"]]


def test_calls__one__read_back_as_it_was_sent(key: str) -> None:
    version = make.version(make.prompt(), "2.3")
    started_at = (now() - timedelta(minutes=5)).isoformat().replace("+00:00", "Z")

    response = post(key, CALL | {"user": "anna@example.org", "started_at": started_at})

    assert response.status_code == 200
    (call,) = read(key)
    ids = response.json()["items"]
    assert ids == [{"trace_id": call["trace_id"], "span_id": call["span_id"]}]
    given = {**CALL, "provider": "openai", "finish_reason": "stop", "operation": "chat", "started_at": started_at}
    assert {field: call[field] for field in given if field != "cost_usd"} == {
        field: value for field, value in given.items() if field != "cost_usd"
    }
    assert (call["reported_usd"], call["cost_source"]) == ("0.0125", "genai-prices")
    assert (call["error"], call["error_class"]) == (False, None)
    assert call["inter_token_ms"] == pytest.approx(1000.5 / 20)  # 21 tokens have 20 gaps between them
    assert len(call["user_hash"]) == 64
    assert "anna" not in json.dumps(call)
    assert Call.objects.get().version == version


def test_calls__of_a_known_version_under_an_exposure__evidence(key: str) -> None:
    version = make.version(make.prompt(), "2.3")

    post(key, [CALL, CALL | {"error_class": "429", "response_id": None}])

    with transaction.atomic():
        versions = {"control": 0, "canary": version.pk}
        taken = evidence.take(rollout_id=ROLLOUT, step=0, metric="error_rate", versions=versions)
    assert taken["canary"] == {0: 1, 1000: 1}


def test_calls__array__ids_in_the_same_order_and_scores_find_them(key: str) -> None:
    items = post(key, [{"session": str(number)} for number in range(3)]).json()["items"]

    score = items[1] | {"name": "tone", "value": 1, "source": "user"}
    headers = {"Authorization": f"Bearer {key}"}
    scored = Client().post("/api/v1/scores", score, content_type="application/json", headers=headers)

    assert scored.json()["waiting"] == 0
    assert Call.objects.get(scores__name="tone").session == "1"


def test_calls__same_id_again__stored_once_with_the_same_ids(key: str) -> None:
    answers = [post(key, CALL | {"id": "call-7"}).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert (Call.objects.count(), Span.objects.count()) == (1, 1)


def test_calls__with_the_ids_of_a_trace__part_of_it(key: str) -> None:
    ids = {"trace_id": traces.TRACE_ID.hex(), "span_id": traces.SPAN_ID.hex().upper()}

    response = post(key, CALL | ids)

    assert response.json()["items"] == [{"trace_id": ids["trace_id"], "span_id": ids["span_id"].lower()}]
    assert Span.objects.get().name == "chat gpt-4o-mini"


def test_calls__nothing_said__what_is_not_known_is_null(key: str) -> None:
    post(key, {})

    (call,) = read(key)
    known = {field for field, value in call.items() if value is not None and value != []}
    assert known == {"trace_id", "span_id", "operation", "attempts", "error", "started_at"}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"model": "gpt-4o"}, "model"),
        ({"operation": "agent"}, "operation"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": "12"}, "input_tokens"),
        ({"output_tokens": True}, "output_tokens"),
        ({"cached_tokens": 10**9}, "cached_tokens"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"duration_ms": 10**400}, "duration_ms"),
        ({"duration_ms": "5"}, "duration_ms"),
        ({"ttft_ms": 5}, "ttft_ms"),
        ({"ttft_ms": 6, "duration_ms": 5}, "ttft_ms"),
        ({"ttft_ms": 0, "duration_ms": 5}, "ttft_ms"),
        ({"cost_usd": -0.1}, "cost_usd"),
        ({"error_class": "teapot"}, "error_class"),
        ({"error_class": "429", "error": False}, "error_class"),
        ({"exposure": "rol_1:0:canary:256"}, "exposure"),
        ({"span_id": "eee19b7ec3c1b174"}, "trace_id"),
        ({"trace_id": "0" * 32}, "trace_id"),
        ({"trace_id": "5b8e"}, "trace_id"),
        ({"prompt": "x" * 201}, "prompt"),
        ({"version": [2]}, "version"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"started_at": "1900-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "9999-01-01T00:00:00Z"}, "started_at"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
def test_calls__wrong_field__422_that_names_it(key: str, sent: dict[str, Any], field: str) -> None:
    assert errors(post(key, sent)) == [field]
    assert not Call.objects.exists()


def test_calls__one_wrong_in_an_array__none_is_stored_and_the_path_tells_which(key: str) -> None:
    assert errors(post(key, [CALL, CALL | {"input_tokens": 0.5}, {"ttft_ms": 3}])) == [
        "[1].input_tokens",
        "[2].ttft_ms",
    ]
    assert not Call.objects.exists()


@pytest.mark.parametrize("sent", [[], [{}] * 1001, "call", None, [5]])
def test_calls__neither_an_object_nor_1_to_1000_of_them__422(key: str, sent: Any) -> None:
    assert post(key, sent).status_code == 422


def test_calls__malformed_json__400(key: str) -> None:
    assert post(key, b'{"cost_usd": NaN}').status_code == 400


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 403), ("ingest", 200)])
def test_calls__scope(scope: str, status: int) -> None:
    assert post(make.key(scope), CALL).status_code == status


def test_calls__database_away__503_and_come_back_soon(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def store_calls(_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(writer, "store_calls", store_calls)

    response = post(key, CALL)

    assert response.status_code == 503
    assert 1 <= int(response["Retry-After"]) <= 3
