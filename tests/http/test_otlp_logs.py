"""`POST /v1/logs` and `POST /v1/metrics`, as exporters see them."""

import gzip
import json
import time
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from observability.ingest import logs as view
from observability.models import Score
from tests import logs, make, traces

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
HOUR_NS = 3_600 * 10**9

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return make.key("ingest")


def post(
    key: str, body: bytes, *, path: str = "/v1/logs", content_type: str = PROTOBUF, encoding: str = "identity"
) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Encoding": encoding, "Content-Type": content_type}
    return Client().post(path, body, content_type=content_type, headers=headers)


def partial_success(response: Any) -> tuple[int, str]:
    """(rejected records, message) of a protobuf answer."""
    assert response.status_code == 200
    partial = ExportLogsServiceResponse.FromString(response.content).partial_success
    return partial.rejected_log_records, partial.error_message


def test_logs__evaluation__a_score_about_the_span_it_was_recorded_in(key: str) -> None:
    told = logs.attributes(0.25) | {
        "gen_ai.evaluation.score.label": "poor",
        "gen_ai.evaluation.explanation": "misses the SKU",
        "gen_ai.agent.name": "judge-7",
    }

    response = post(key, logs.body(logs.record(told)))

    assert (response.status_code, response.content, response["Content-Type"]) == (200, b"", PROTOBUF)
    score = Score.objects.get()
    assert (score.name, score.value, score.source, score.evaluator) == ("relevance", 0.25, "judge", "judge-7")
    assert (score.label, score.comment) == ("poor", "misses the SKU")
    assert score.target == f"span:{traces.TRACE_ID.hex()}:{traces.SPAN_ID.hex()}"


def test_logs__json__same_score_and_a_json_answer(key: str) -> None:
    record = {
        "traceId": traces.TRACE_ID.hex(),
        "spanId": traces.SPAN_ID.hex(),
        "timeUnixNano": str(time.time_ns()),
        "attributes": [
            {"key": "event.name", "value": {"stringValue": "gen_ai.evaluation.result"}},
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.25}},
        ],
    }

    response = post(key, logs.json_body(record, {"body": {"stringValue": "hello"}}), content_type=JSON)

    assert (response.status_code, response.json(), response["Content-Type"]) == (200, {}, JSON)
    assert Score.objects.get().value == 0.25


def test_logs__event_name_as_an_attribute__a_score(key: str) -> None:
    post(key, logs.body(logs.record(logs.attributes() | {"event.name": logs.EVALUATION}, event_name="")))

    assert Score.objects.count() == 1


def test_logs__other_records__accepted_and_ignored(key: str) -> None:
    records = [logs.record(event_name="gen_ai.user.message"), logs.record(event_name=""), LogRecord()]

    assert partial_success(post(key, logs.body(*records))) == (0, "")
    assert not Score.objects.exists()


def test_logs__gzip_and_the_same_batch_again__recorded_once(key: str) -> None:
    body = gzip.compress(logs.body(logs.record()))

    answers = [post(key, body, encoding="gzip").status_code for _ in range(2)]

    assert answers == [200, 200]
    assert Score.objects.count() == 1


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"gen_ai.evaluation.score.value": 1.001}, "evaluations with a value outside 0 to 1"),
        ({"gen_ai.evaluation.score.value": -1}, "evaluations with a value outside 0 to 1"),
        ({"gen_ai.evaluation.score.value": float("nan")}, "evaluations with a value outside 0 to 1"),
        ({"gen_ai.evaluation.name": None}, "evaluations without a name"),
        ({"gen_ai.evaluation.name": "error_rate"}, "evaluations with the name of a measure of calls"),
        (
            {"gen_ai.evaluation.score.value": None, "gen_ai.evaluation.score.label": "relevant"},
            "evaluations without a value and with a label that is no yes or no",
        ),
    ],
)
def test_logs__evaluation_that_is_no_score__told_and_the_others_recorded(
    key: str, told: dict[str, Any], reason: str
) -> None:
    response = post(key, logs.body(logs.record(logs.attributes(**told)), logs.record(logs.attributes(1))))

    assert partial_success(response) == (1, f"1 {reason}")
    assert [score.value for score in Score.objects.all()] == [1]


def test_logs__rejected_in_json__counted_as_text(key: str) -> None:
    record = {"eventName": logs.EVALUATION, "traceId": traces.TRACE_ID.hex()}

    response = post(key, logs.json_body(record), content_type=JSON)

    partial = {"rejectedLogRecords": "1", "errorMessage": "1 evaluations without a name"}
    assert response.json() == {"partialSuccess": partial}


@pytest.mark.parametrize(
    ("label", "value"), [("pass", 1), ("Yes", 1), ("true", 1), ("fail", 0), ("No", 0), ("false", 0)]
)
def test_logs__label_that_is_a_yes_or_a_no__its_value(key: str, label: str, value: float) -> None:
    post(key, logs.body(logs.record(logs.attributes(None, **{"gen_ai.evaluation.score.label": label}))))

    assert (Score.objects.get().value, Score.objects.get().label) == (value, label)


def test_logs__evaluation_that_failed__neither_a_score_nor_rejected(key: str) -> None:
    response = post(key, logs.body(logs.record(logs.attributes(None, **{"error.type": "timeout"}))))

    assert partial_success(response) == (0, "")
    assert not Score.objects.exists()


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ({}, "judge"),
        ({"gen_ai.evaluation.name": "user_feedback"}, "user"),
        ({"serinus.score.source": "human"}, "human"),
        ({"serinus.score.source": "oracle"}, "judge"),
    ],
)
def test_logs__source(key: str, told: dict[str, Any], source: str) -> None:
    post(key, logs.body(logs.record(logs.attributes(**told))))

    assert Score.objects.get().source == source


def test_logs__name_that_ours_cannot_be__rewritten(key: str) -> None:
    post(key, logs.body(logs.record(logs.attributes(**{"gen_ai.evaluation.name": "Answer Relevance (v2)"}))))

    assert Score.objects.get().name == "answer_relevance_v2_"


def test_logs__outside_any_span__by_response_or_exposure_else_rejected(key: str) -> None:
    by_response = logs.attributes(**{"gen_ai.response.id": "chatcmpl-1"})
    by_exposure = logs.attributes(**{"serinus.exposure": "rol_1:0:canary:7"})

    response = post(key, logs.body(*(logs.record(told, number=None) for told in (by_response, by_exposure, None))))

    assert partial_success(response) == (1, "1 evaluations that name no span, trace, response or exposure")
    targets = set(Score.objects.values_list("target", flat=True))
    assert targets == {"response:chatcmpl-1", "exposure:rol_1:0:canary:7"}


def test_logs__from_the_future__rejected(key: str) -> None:
    response = post(key, logs.body(logs.record(at_ns=time.time_ns() + 2 * HOUR_NS)))

    assert partial_success(response) == (1, "1 evaluations more than an hour in the future")


@pytest.mark.parametrize("path", ["/v1/logs", "/otel/v1/metrics"])
@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "status"),
    [
        ("text/plain", "identity", b"", 415),
        (PROTOBUF, "br", b"", 415),
        (PROTOBUF, "gzip", b"plain", 400),
        (PROTOBUF, "gzip", gzip.compress(bytes(33 * 2**20)), 413),
        (PROTOBUF, "identity", b"", 200),
        (JSON, "identity", b"{}", 200),
    ],
    ids=["type", "encoding", "no gzip", "too large", "empty", "empty JSON"],
)
def test_logs_and_metrics__bodies(
    key: str, path: str, content_type: str, encoding: str, body: bytes, status: int
) -> None:
    assert post(key, body, path=path, content_type=content_type, encoding=encoding).status_code == status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (PROTOBUF, b"\xff\xff"),
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b'{"resourceLogs": {}}'),
        (JSON, logs.json_body({"eventName": logs.EVALUATION, "traceId": "!"})),
    ],
)
def test_logs__undecodable__400_and_nothing_recorded(key: str, content_type: str, body: bytes) -> None:
    assert post(key, body, content_type=content_type).status_code == 400


def test_logs__too_many_evaluations__413(key: str, settings: Any) -> None:
    settings.MAX_SPANS_PER_REQUEST = 2

    response = post(key, logs.body(*(logs.record(number=number) for number in range(3))))

    assert response.status_code == 413
    assert not Score.objects.exists()


def test_logs__database_away__503_and_come_back_soon(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def record_scores(**_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(view, "record_scores", record_scores)

    response = post(key, logs.body(logs.record()))

    assert (response.status_code, Status.FromString(response.content).code) == (503, 14)
    assert 1 <= int(response["Retry-After"]) <= 3


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_metrics__anything__answered_in_its_encoding_and_ignored(key: str, content_type: str) -> None:
    response = post(key, b"anything at all", path="/v1/metrics", content_type=content_type)

    assert (response.status_code, response["Content-Type"]) == (200, content_type)
    assert response.content == (b"{}" if content_type == JSON else b"")


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_logs_and_metrics__key__needed_with_its_scope(path: str) -> None:
    assert post("ser_unknown", b"", path=path).status_code == 401
    assert post(make.key("read"), b"", path=path).status_code == 403
    assert Client().get(path).status_code == 405


def test_logs__refusal_in_json__status_as_json(key: str) -> None:
    response = post(key, b"{", content_type=JSON)

    assert json.loads(response.content)["code"] == 3
