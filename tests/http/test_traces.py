"""`POST /v1/traces`, as exporters see it."""

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError, connections
from django.http import HttpResponse
from django.test import Client
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from observability import evidence
from observability.ingest import trace_locks, writer
from observability.ingest.traces import traces as take_traces
from observability.models import Call, Span
from tests import make, recorded, traces

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
THE_DAY_AFTER_THE_RECORDING = "2026-11-24T12:00:00Z"

pytestmark = pytest.mark.django_db


class Exporter:
    """Posts bodies to /v1/traces with a key of the scope `ingest`."""

    def __init__(self) -> None:
        self.client = Client()
        self.key = make.key("ingest")

    def post(self, body: bytes, *, content_type: str = PROTOBUF, encoding: str = "identity") -> Any:
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Encoding": encoding,
            "Content-Type": content_type,  # Django's client leaves it out of a request without a body
        }
        return self.client.post("/v1/traces", body, content_type=content_type, headers=headers)

    def replay(self, request: recorded.Request) -> Any:
        return self.post(request.body, content_type=request.content_type, encoding=request.content_encoding)


@pytest.fixture
def exporter() -> Exporter:
    return Exporter()


@pytest.fixture
def read_calls() -> Any:
    """GET /api/v1/calls with its query's parameters; answers with the items."""
    headers = {"Authorization": f"Bearer {make.key('read')}"}

    def read(**query: str) -> list[dict[str, Any]]:
        answer = Client().get("/api/v1/calls", {"limit": "500"} | query, headers=headers)
        assert answer.status_code == 200, answer.content
        return list(answer.json()["items"])

    return read


def partial_success(response: HttpResponse) -> tuple[int, str]:
    """(rejected spans, message) of an answer in either encoding."""
    if response["Content-Type"] == JSON:
        partial = json.loads(response.content).get("partialSuccess", {})
        return int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", "")
    message = ExportTraceServiceResponse.FromString(response.content).partial_success
    return message.rejected_spans, message.error_message


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_traces__stored__same_content_type_and_nothing_rejected(exporter: Exporter, content_type: str) -> None:
    request = traces.request(traces.span(), traces.span({}, number=1))
    body = request.SerializeToString() if content_type == PROTOBUF else traces.request_as_json(request)

    response = exporter.post(body, content_type=content_type)

    assert (response.status_code, response["Content-Type"]) == (200, content_type)
    assert response.content == (b"" if content_type == PROTOBUF else b"{}")
    assert (Span.objects.count(), Call.objects.count()) == (2, 1)


@time_machine.travel(THE_DAY_AFTER_THE_RECORDING)
@pytest.mark.parametrize("case", recorded.official_cases(), ids=recorded.name_of)
def test_traces__recorded_body__its_calls_can_be_read(
    exporter: Exporter, read_calls: Any, case: dict[str, Any]
) -> None:
    for request in recorded.trace_requests(case):
        assert exporter.replay(request).status_code == 200

    expected, carried = case["expected"], case["wire"]["carried"]
    calls = read_calls() if expected["n_llm_calls"] < 500 else list(Call.objects.values("operation"))
    llm_calls = [call for call in calls if call["operation"] != "embeddings"]
    assert len(llm_calls) == expected["n_llm_calls"]
    assert len(calls) - len(llm_calls) == expected["n_embedding_calls"]
    if len(calls) < 500:
        assert sum(call["error"] for call in calls) == expected["n_errors"]
        assert {call["prompt"] for call in llm_calls} <= {expected["prompt_name"]}
        assert {call["version"] for call in llm_calls} <= {expected["prompt_version"]}
        assert all(bool(call["user_hash"]) == bool(carried["user"]) for call in llm_calls)
    assert Span.objects.count() == case["wire"]["n_spans"]
    assert b"user-42" not in b"".join(str(row).encode() for row in Call.objects.values_list())


@time_machine.travel(THE_DAY_AFTER_THE_RECORDING)
@pytest.mark.parametrize("case", recorded.hostile_cases(), ids=recorded.name_of)
def test_traces__hostile_body__its_status_and_counts(exporter: Exporter, case: dict[str, Any]) -> None:
    expected = case["expected"]

    response = exporter.replay(recorded.hostile_request(case))

    assert response.status_code == expected["status"]
    if expected["status"] == 200:
        assert partial_success(response)[0] == (expected["rejected_spans"] or 0)
        stored = expected["accepted_spans"] - (case["case"] == "duplicate_span_in_batch")
        assert (Span.objects.count(), Call.objects.count()) == (stored, stored)
    else:
        assert not Span.objects.exists()


@time_machine.travel(THE_DAY_AFTER_THE_RECORDING)
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("negative_duration", {"duration_ms": None}),
        ("tokens_as_string_and_double", {"input_tokens": 215, "output_tokens": 117}),
        ("absurd_tokens", {"input_tokens": None, "output_tokens": None}),
        ("json_ints_as_strings", {"input_tokens": 202, "output_tokens": 35}),
    ],
)
def test_traces__hostile_values__null_or_what_is_meant(
    exporter: Exporter, read_calls: Any, name: str, facts: dict[str, Any]
) -> None:
    case = next(case for case in recorded.hostile_cases() if case["case"] == name)

    exporter.replay(recorded.hostile_request(case))

    (call,) = read_calls()
    assert {key: call[key] for key in facts} == facts


@pytest.mark.parametrize("duration_s", [1e308, -1e308, 1e15, 86_401.0])
def test_traces__record_of_a_stream_that_lasted_absurdly_long__its_length_is_not_known(
    exporter: Exporter, duration_s: float
) -> None:
    record = traces.span(traces.CHAT | {"logfire.span_type": "log", "duration": duration_s}, ms=0)

    response = exporter.post(traces.body(record))

    call = Call.objects.get()
    assert (response.status_code, call.duration_ms) == (200, None)
    assert abs(call.started_at.timestamp() - record.start_time_unix_nano / 1e9) < 0.001


def test_traces__record_of_a_stream_without_a_time__not_before_1970(exporter: Exporter) -> None:
    record = traces.span(traces.CHAT | {"logfire.span_type": "log", "duration": 60.0})
    record.start_time_unix_nano = record.end_time_unix_nano = 0

    response = exporter.post(traces.body(record))

    assert response.status_code == 200
    assert Call.objects.get().started_at.timestamp() == 0


def test_traces__sent_ten_times__counts_once(exporter: Exporter) -> None:
    version = make.version(make.prompt(), "2.3")
    stamp = {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.3",
        "serinus.exposure": "rol_1:0:canary:182",
    }
    body = traces.body(*(traces.span(traces.CHAT | stamp, number=n) for n in range(5)))

    statuses = {exporter.post(body).status_code for _ in range(10)}

    assert statuses == {200}
    assert (Span.objects.count(), Call.objects.count()) == (5, 5)
    counts = evidence.open_counts("rol_1", {"control": 0, "canary": version.pk})
    assert counts == {(0, measure): {"control": 0, "canary": 5} for measure in ("error_rate", "latency")}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_traces__compressed(exporter: Exporter, encoding: str) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]

    response = exporter.post(compress(traces.body(traces.span())), encoding=encoding)

    assert (response.status_code, Span.objects.count()) == (200, 1)


def chunked(body: bytes, key: str, **environ: Any) -> WSGIRequest:
    """A request as granian hands it over when the client sent chunks: no length, a stream that ends by itself."""
    return WSGIRequest(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/v1/traces",
            "CONTENT_TYPE": PROTOBUF,
            "HTTP_AUTHORIZATION": f"Bearer {key}",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
            **environ,
        }
    )


def test_traces__chunked_without_length__read_to_its_end(exporter: Exporter) -> None:
    body = traces.body(*(traces.span(number=n) for n in range(1000)))  # more than one step of reading

    response = take_traces(chunked(body, exporter.key))

    assert (response.status_code, Span.objects.count()) == (200, 1000)


def test_traces__length_that_lies__400(exporter: Exporter) -> None:
    body = traces.body(traces.span())

    response = take_traces(chunked(body, exporter.key, CONTENT_LENGTH=str(len(body) + 1)))

    assert (response.status_code, Span.objects.count()) == (400, 0)


@pytest.mark.parametrize("declared", [True, False])
def test_traces__too_large__413(exporter: Exporter, settings: Any, declared: bool) -> None:
    body = traces.body(traces.span())
    settings.MAX_BODY_BYTES = len(body) - 1

    length = {"CONTENT_LENGTH": str(len(body))} if declared else {}
    response = take_traces(chunked(body, exporter.key, **length))

    assert (response.status_code, Span.objects.count()) == (413, 0)


def test_traces__too_many_spans__413(exporter: Exporter, settings: Any) -> None:
    settings.MAX_SPANS_PER_REQUEST = 1

    response = exporter.post(traces.body(traces.span(), traces.span(number=1)))

    assert (response.status_code, Span.objects.count()) == (413, 0)


def test_traces__some_spans_unusable__partial_success_says_which(exporter: Exporter) -> None:
    usable, without_id, early = traces.span(), traces.span(number=1), traces.span(number=2, age_s=-7200)
    without_id.span_id = b""

    response = exporter.post(traces.body(usable, without_id, early))

    assert response.status_code == 200
    assert partial_success(response) == (
        2,
        "1 more than an hour in the future; 1 without a valid trace and span id",
    )
    assert Span.objects.count() == 1


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("ser_unknown", 401, 16), ("", 401, 16), (None, 403, 7)],
    ids=["unknown", "none", "read"],
)
def test_traces__key_that_may_not__status_in_protobuf(
    exporter: Exporter, key: str | None, status: int, code: int
) -> None:
    exporter.key = make.key("read") if key is None else key

    response = exporter.post(traces.body(traces.span()))

    assert (response.status_code, response["Content-Type"]) == (status, PROTOBUF)
    message = Status.FromString(response.content)
    assert message.code == code
    assert message.message
    assert ("WWW-Authenticate" in response) == (status == 401)


def test_traces__error_of_a_json_request__status_in_json(exporter: Exporter) -> None:
    response = exporter.post(b"{", content_type=JSON)

    assert (response.status_code, response["Content-Type"]) == (400, JSON)
    assert response.json()["code"] == 3
    assert "JSON" in response.json()["message"]


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_traces__other_methods__405(method: str) -> None:
    assert getattr(Client(), method)("/v1/traces").status_code == 405


def test_traces__trailing_slash__no_redirect_that_an_exporter_takes_for_success(exporter: Exporter) -> None:
    response = exporter.client.post("/v1/traces/", traces.body(traces.span()), content_type=PROTOBUF)

    assert response.status_code == 404


def test_traces__without_csrf_token__accepted(exporter: Exporter) -> None:
    exporter.client = Client(enforce_csrf_checks=True)

    assert exporter.post(traces.body(traces.span())).status_code == 200


def test_traces__database_away__503_and_come_back_soon(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def store(spans: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(writer, "store", store)

    response = exporter.post(traces.body(traces.span()))

    assert response.status_code == 503
    assert 1 <= int(response["Retry-After"]) <= 3
    assert Status.FromString(response.content).code == 14


@pytest.fixture
def impatient_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Another connection, and the tests' own told not to wait long for it."""
    monkeypatch.setattr(trace_locks, "PATIENCE", "100ms")
    connection = connections["default"]
    with connection.cursor() as cursor:
        on_sqlite = connection.vendor == "sqlite"
        cursor.execute("PRAGMA busy_timeout = 100" if on_sqlite else "SET lock_timeout = '30s'")
    other = connection.copy()
    yield other
    other.close()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_traces__another_holds_the_database__503_then_stored(exporter: Exporter, impatient_database: Any) -> None:
    lock = "BEGIN IMMEDIATE" if impatient_database.vendor == "sqlite" else "BEGIN; LOCK TABLE observability_span"
    with impatient_database.cursor() as cursor:
        cursor.execute(lock)
        asked = time.monotonic()
        refused = exporter.post(traces.body(traces.span()))
        waited_s = time.monotonic() - asked
        cursor.execute("ROLLBACK")

    accepted = exporter.post(traces.body(traces.span()))

    assert (refused.status_code, accepted.status_code) == (503, 200)
    assert waited_s < 5
    assert Span.objects.count() == 1
