"""Bodies that no client should send: recorded ones with bytes, fields and values changed at random.

Whatever comes is answered with less than 500, and stored wholly or not at all.
"""

import json
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.test import Client
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from observability.models import Call, OtherSpan, Span
from tests import make, recorded, traces

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
EXAMPLES = 200
REFUSALS = {400, 413, 415}
IN_AN_HOUR_NS = 3_600 * 10**9
LARGEST = 20_000  # bytes of a body to begin with: what matters is in the small ones too

Sent = tuple[str, bytes]  # content type and body
SpanKey = tuple[bytes, bytes]

pytestmark = pytest.mark.django_db


def recorded_bodies() -> list[Sent]:
    requests = [request for case in recorded.client_cases() for request in recorded.trace_requests(case)]
    return [(request.content_type, request.plain) for request in requests if len(request.plain) < LARGEST]


BODIES = recorded_bodies()
BODIES_IN_PROTOBUF = [body for content_type, body in BODIES if content_type == PROTOBUF]

absurd_numbers = st.sampled_from([0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
absurd_floats = st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf")])
absurd_texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["\0", "9" * 400, "-1", "1e400", "NaN", "x" * 5000, "[" * 2000, "{}", "[]", "null", '"', "{'a': " * 200, "()"]
    ),
    st.sampled_from(["chat", "embeddings", "LLM", "rol_1:0:canary:999", "rol_1:-1:canary:1", "2.3", "v" * 300]),
)


def in_layers(value: AnyValue, depth: int) -> AnyValue:
    for level in range(depth):
        if level % 2:
            value = AnyValue(array_value=ArrayValue(values=[value]))
        else:
            value = AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="total", value=value)]))
    return value


absurd_values = st.one_of(
    absurd_numbers.map(lambda number: AnyValue(int_value=number)),
    absurd_floats.map(lambda number: AnyValue(double_value=number)),
    absurd_texts.map(lambda text: AnyValue(string_value=text)),
    st.booleans().map(lambda flag: AnyValue(bool_value=flag)),
    st.binary(max_size=20).map(lambda data: AnyValue(bytes_value=data)),
    st.just(AnyValue()),
    st.builds(in_layers, st.sampled_from([AnyValue(), AnyValue(string_value="stop")]), st.integers(1, 20)),
)
absurd_times = st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1, time.time_ns(), time.time_ns() + 10**18])
absurd_ids = st.sampled_from([b"", b"\0" * 8, b"\0" * 16, b"1", b"\xff" * 8, b"\xff" * 16, b"\xff" * 17])


@st.composite
def bytes_changed(draw: st.DrawFn) -> Sent:
    """A body cut, with bytes changed, or with a piece of another in it."""
    content_type, body = draw(st.sampled_from(BODIES))
    changed = bytearray(body)
    for _ in range(draw(st.integers(0, 8))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        _, other = draw(st.sampled_from(BODIES))
        at, start = draw(st.integers(0, len(changed))), draw(st.integers(0, len(other)))
        changed[at:at] = other[start : start + draw(st.integers(0, 400))]
    return content_type, bytes(changed[: draw(st.one_of(st.none(), st.integers(0, len(changed))))])


@st.composite
def fields_changed(draw: st.DrawFn) -> Sent:
    """A decodable body of one or two clients with fields that nobody would send."""
    request = ExportTraceServiceRequest()
    for body in draw(st.lists(st.sampled_from(BODIES_IN_PROTOBUF), min_size=1, max_size=2)):
        request.MergeFromString(body)
    spans = [span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans]
    for _ in range(draw(st.integers(1, 12))):
        draw(st.sampled_from(CHANGES))(draw, draw(st.sampled_from(spans)))
    if draw(st.booleans()):
        return PROTOBUF, request.SerializeToString()
    return JSON, traces.request_as_json(request)


def change_attribute(draw: st.DrawFn, span: SentSpan) -> None:
    if span.attributes:
        draw(st.sampled_from(list(span.attributes))).value.CopyFrom(draw(absurd_values))


def change_attribute_of_an_event(draw: st.DrawFn, span: SentSpan) -> None:
    for event in span.events:
        event.time_unix_nano = draw(absurd_times)
        for pair in event.attributes:
            pair.value.CopyFrom(draw(absurd_values))


def lose_attributes(draw: st.DrawFn, span: SentSpan) -> None:
    del span.attributes[draw(st.integers(0, len(span.attributes))) :]


def change_times(draw: st.DrawFn, span: SentSpan) -> None:
    span.start_time_unix_nano = draw(absurd_times)
    span.end_time_unix_nano = draw(absurd_times)


def change_ids(draw: st.DrawFn, span: SentSpan) -> None:
    span.trace_id, span.span_id, span.parent_span_id = draw(absurd_ids), draw(absurd_ids), draw(absurd_ids)


def be_its_own_parent(draw: st.DrawFn, span: SentSpan) -> None:
    span.parent_span_id = span.span_id


def change_status_and_name(draw: st.DrawFn, span: SentSpan) -> None:
    span.status.code = draw(st.sampled_from([0, 1, 2, 3, -1, 2**31 - 1]))
    span.name = draw(absurd_texts)


CHANGES: list[Callable[[st.DrawFn, SentSpan], None]] = [
    change_attribute,
    change_attribute,
    change_attribute,
    change_attribute_of_an_event,
    lose_attributes,
    change_times,
    change_ids,
    be_its_own_parent,
    change_status_and_name,
]


@st.composite
def json_changed(draw: st.DrawFn) -> Sent:
    """A body in JSON with values of other types in it, wherever they stand."""
    content_type, body = draw(st.sampled_from(BODIES))
    if content_type == PROTOBUF:
        body = traces.request_as_json(ExportTraceServiceRequest.FromString(body))
    document = json.loads(body)
    for _ in range(draw(st.integers(1, 3))):
        places = list(places_in(document))
        owner, key = draw(st.sampled_from(places))
        owner[key] = draw(
            st.one_of(
                st.recursive(
                    st.none() | st.booleans() | absurd_numbers | absurd_floats | absurd_texts | st.integers(),
                    lambda inner: (
                        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2)
                    ),
                    max_leaves=4,
                ),
                st.sampled_from(["\ud800", "0x1", "\uff11", 2**64, -1, 1.5, "1.5"]),
            )
        )
    return JSON, json.dumps(document).encode()


KEYS = ["stringValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "values", "key", "value", "attributes"]


def places_in(node: Any) -> Any:
    """Each value of the document, as its owner and its key there."""
    if isinstance(node, dict | list):
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            yield node, key
            yield from places_in(value)


class Outcome(NamedTuple):
    status: int
    rejected: int
    stored: set[SpanKey]


class Exporter:
    """Posts bodies, and reads the calls that came of them."""

    def __init__(self) -> None:
        self.client = Client()
        self.ingest, self.read = make.key("ingest"), make.key("read")

    def post(self, content_type: str, body: bytes, encoding: str = "identity") -> Outcome:
        headers = {"Authorization": f"Bearer {self.ingest}", "Content-Encoding": encoding, "Content-Type": content_type}
        answer = self.client.post("/v1/traces", body, content_type=content_type, headers=headers)
        rejected = 0
        if answer.status_code == 200 and content_type == JSON:
            rejected = int(answer.json().get("partialSuccess", {}).get("rejectedSpans", 0))
        elif answer.status_code == 200:
            rejected = ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans
        return Outcome(answer.status_code, rejected, keys_of(Span))

    def assert_calls_can_be_read(self) -> None:
        """Each call has a span, no span stands for two, and all can be read."""
        calls, others = keys_of(Call), keys_of(OtherSpan)
        assert calls | others <= keys_of(Span)
        assert not calls & others
        answer = self.client.get("/api/v1/calls", headers={"Authorization": f"Bearer {self.read}"})
        assert answer.status_code == 200
        json.loads(answer.content, parse_constant=pytest.fail)  # NaN and Infinity are no JSON


@pytest.fixture
def exporter() -> Exporter:
    return Exporter()


def keys_of(model: type[Span | Call | OtherSpan]) -> set[SpanKey]:
    return {(bytes(trace_id), bytes(span_id)) for trace_id, span_id in model.objects.values_list("trace_id", "span_id")}


def spans_in(content_type: str, body: bytes) -> list[tuple[SpanKey, int]]:
    """Every span of a decodable body: its ids, and the latest of its times."""
    if content_type == PROTOBUF:
        request = ExportTraceServiceRequest.FromString(body)
        spans = [span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans]
        return [
            ((span.trace_id, span.span_id), max(span.start_time_unix_nano, span.end_time_unix_nano)) for span in spans
        ]
    document = json.loads(body)
    spans_as_json = [
        span
        for of in document.get("resourceSpans") or ()
        for scope in of.get("scopeSpans") or ()
        for span in scope.get("spans") or ()
    ]
    return [
        (
            (bytes.fromhex(span.get("traceId") or ""), bytes.fromhex(span.get("spanId") or "")),
            max(int(span.get(key) or 0) for key in ("startTimeUnixNano", "endTimeUnixNano")),
        )
        for span in spans_as_json
    ]


def is_usable(key: SpanKey, at_ns: int) -> bool:
    trace_id, span_id = key
    has_ids = len(trace_id) == 16 and len(span_id) == 8 and any(trace_id) and any(span_id)
    return has_ids and at_ns <= time.time_ns() + IN_AN_HOUR_NS


def assert_whole_or_nothing(exporter: Exporter, content_type: str, body: bytes) -> None:
    with transaction.atomic():
        outcome = exporter.post(content_type, body)

        if outcome.status == 200:
            assert_stored(outcome, content_type, body)
            assert exporter.post(content_type, body) == outcome
        else:
            assert outcome.status in REFUSALS
            assert not outcome.stored
        exporter.assert_calls_can_be_read()
        transaction.set_rollback(True)


def assert_stored(outcome: Outcome, content_type: str, body: bytes) -> None:
    try:
        spans = spans_in(content_type, body)
    except DecodeError:  # a body of log records, which is told from spans
        assert outcome.rejected
        assert not outcome.stored
        return
    usable = [key for key, at_ns in spans if is_usable(key, at_ns)]
    assert outcome.stored == set(usable)
    assert outcome.rejected == len(spans) - len(usable)


fuzzed = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzzed
@given(bytes_changed())
def test_traces__bytes_changed__whole_or_nothing(exporter: Exporter, sent: Sent) -> None:
    assert_whole_or_nothing(exporter, *sent)


@fuzzed
@given(fields_changed())
def test_traces__fields_changed__whole_or_nothing(exporter: Exporter, sent: Sent) -> None:
    assert_whole_or_nothing(exporter, *sent)


@fuzzed
@given(json_changed())
def test_traces__json_changed__whole_or_nothing(exporter: Exporter, sent: Sent) -> None:
    assert_whole_or_nothing(exporter, *sent)


@fuzzed
@given(st.sampled_from(BODIES), st.data(), st.sampled_from(["gzip", "deflate"]))
def test_traces__compressed_body_changed__never_half_read(
    exporter: Exporter, sent: Sent, data: st.DataObject, encoding: str
) -> None:
    content_type, body = sent
    compressor = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    changed = bytearray(compressor.compress(body) + compressor.flush())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))

    with transaction.atomic():
        outcome = exporter.post(content_type, bytes(changed[: data.draw(st.integers(0, len(changed)))]), encoding)
        transaction.set_rollback(True)

    assert outcome.status == 200 or (outcome.status in REFUSALS and not outcome.stored)


@pytest.mark.parametrize("brackets", ["[", '{"resourceSpans":', '{"resourceSpans":[{"scopeSpans":['])
def test_traces__json_nested_without_end__refused(exporter: Exporter, brackets: str) -> None:
    outcome = exporter.post(JSON, brackets.encode() * 100_000)

    assert outcome.status == 400
