"""OTLP requests in both encodings, well formed and not."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core import otlp
from observability.core.calls import find_calls
from observability.core.dialects import WANTED
from observability.core.otlp import Batch, DecodeError, Span, decode_json, decode_protobuf, sift
from observability.core.times import NS_PER_HOUR
from tests import recorded, traces

NOW_NS = 1_795_500_000 * 10**9  # the morning after the bodies were recorded
BODIES = [request for case in recorded.official_cases() for request in recorded.trace_requests(case)]
PROTOBUF = [request.plain for request in BODIES if request.content_type == "application/x-protobuf"]
JSON = [request.plain for request in BODIES if request.content_type == "application/json"]


def as_json(span: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def decoded_json(**fields: Any) -> Span:
    """A span sent as JSON, with valid ids unless given."""
    ids = {"traceId": traces.TRACE_ID.hex(), "spanId": traces.SPAN_ID.hex()}
    (span,) = decode_json(as_json(ids | fields), WANTED).spans
    return span


def tokens(value: dict[str, Any]) -> dict[str, Any]:
    return {"key": "gen_ai.usage.input_tokens", "value": value}


def test_protobuf__a_span__its_fields() -> None:
    sent = traces.span({"gen_ai.request.model": "gpt-4o"}, number=1, parent=0, failed=True)

    (span,) = decode_protobuf(traces.body(sent, resource={"deployment.environment": "test"}), WANTED).spans

    assert (span.trace_id, span.span_id, span.parent_id) == (sent.trace_id, sent.span_id, sent.parent_span_id)
    assert (span.name, span.scope, span.status) == ("chat gpt-4o-mini", "order-app", otlp.ERROR)
    assert (span.start_ns, span.end_ns) == (sent.start_time_unix_nano, sent.end_time_unix_nano)
    assert span.attributes == {"gen_ai.request.model": "gpt-4o"}
    assert span.resource == {"deployment.environment": "test"}


def test_protobuf__unwanted_attributes_and_events__not_read() -> None:
    sent = traces.span({"gen_ai.input.messages": "secret"}, events=[("gen_ai.content.prompt", {"text": "secret"})])

    (span,) = decode_protobuf(traces.body(sent), WANTED).spans

    assert (span.attributes, span.events) == ({}, ())


def test_protobuf__empty_body__an_empty_request() -> None:
    assert decode_protobuf(b"", WANTED).spans == []


def test_protobuf__log_records__counted_as_rejected() -> None:
    case = next(case for case in recorded.hostile_cases() if case["case"] == "logs_posted_to_traces")

    batch = decode_protobuf(recorded.hostile_request(case).body, WANTED)

    assert (batch.spans, batch.rejected) == ([], {otlp.LOG_RECORDS: 1})


def test_json__same_spans_as_protobuf() -> None:
    request = traces.request(
        traces.span(
            {"gen_ai.usage.input_tokens": 7, "gen_ai.response.finish_reasons": ["stop"], "gen_ai.request.stream": True},
            parent=3,
            failed=True,
            events=[("serinus.assignment", {"gen_ai.prompt.name": "order-extractor"})],
        ),
        resource={"deployment.environment.name": "test"},
    )

    assert decode_json(traces.request_as_json(request), WANTED) == decode_protobuf(request.SerializeToString(), WANTED)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe{\x00}\x00",
        b'{"resourceSpans":[{"x":"\xff"}]}',
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [1]}',
        b'{"resourceSpans": [{"scopeSpans": "x"}]}',
        b"[" * 100_000,
        as_json({"traceId": "b8uJlYSC1FB83S6rJvBDFA=="}),
        as_json({"traceId": "5b8e fff7"}),
        as_json({"attributes": {"a": 1}}),
        as_json({"attributes": [{"key": ["a"]}]}),
        as_json({"attributes": [tokens({"arrayValue": [1]})]}),
        as_json({"attributes": [tokens({"intValue": "many"})]}),
        as_json({"startTimeUnixNano": "soon"}),
        as_json({"startTimeUnixNano": -1}),
        as_json({"startTimeUnixNano": 2**64}),
        as_json({"name": 5}),
    ],
)
def test_json__malformed__decode_error(document: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_json(document, WANTED)


def test_json__deeply_nested_value__decode_error_or_nothing() -> None:
    nested: dict[str, Any] = {"stringValue": "x"}
    for _ in range(200):
        nested = {"arrayValue": {"values": [nested]}}
    body = as_json({"attributes": [tokens(nested)]})

    try:
        calls = find_calls(decode_json(body, WANTED).spans).calls
    except DecodeError:
        calls = []

    assert calls == []


@pytest.mark.parametrize("value", [{"intValue": "202"}, {"intValue": 202}, {"doubleValue": 202.0}])
def test_json__numbers_as_text_or_number(value: dict[str, Any]) -> None:
    span = decoded_json(attributes=[{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, tokens(value)])

    assert [call.input_tokens for call in find_calls([span]).calls] == [202]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", float("nan"), float("inf")])
def test_json__not_a_number__none(number: Any) -> None:
    value = {"doubleValue": number}
    span = decoded_json(attributes=[{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, tokens(value)])

    assert [call.input_tokens for call in find_calls([span]).calls] == [None]


@pytest.mark.parametrize("time", ["1795424828261000000", 1795424828261000000])
def test_json__times_as_text_or_number(time: Any) -> None:
    assert decoded_json(startTimeUnixNano=time).start_ns == 1795424828261000000


@pytest.mark.parametrize(("code", "status"), [(2, 2), ("STATUS_CODE_ERROR", 2), (None, 0), (99, 0), ([], 0)])
def test_json__status(code: Any, status: int) -> None:
    assert decoded_json(status={"code": code}).status == status


@pytest.mark.parametrize("code", [True, False])
def test_json__status_of_true_or_false__a_number_all_the_same(code: bool) -> None:
    assert repr(decoded_json(status={"code": code}).status) == "0"  # PostgreSQL takes no boolean for a number


def test_json__time_of_true__decode_error() -> None:
    with pytest.raises(DecodeError, match="startTimeUnixNano"):
        decoded_json(startTimeUnixNano=True)


def test_json__null_fields_and_unknown_fields__ignored() -> None:
    span = decoded_json(attributes=None, events=None, status=None, endTimeUnixNano=None, somethingNew={"a": [1]})

    assert (span.attributes, span.events, span.status, span.end_ns) == ({}, (), 0, 0)


def test_json__half_of_a_surrogate_pair__replaced() -> None:
    assert decoded_json(name="a\ud800b\0").name == "a?b"


def sifted(**fields: Any) -> Batch:
    span = decoded_json(**{"startTimeUnixNano": NOW_NS, "endTimeUnixNano": NOW_NS} | fields)
    return sift(Batch([span], decode_protobuf(b"", WANTED).rejected), NOW_NS)


@pytest.mark.parametrize(
    "ids", [{"traceId": ""}, {"spanId": ""}, {"traceId": "00" * 16}, {"spanId": "00" * 8}, {"spanId": "ab" * 9}]
)
def test_sift__invalid_ids__rejected(ids: dict[str, str]) -> None:
    batch = sifted(**ids)

    assert (batch.spans, batch.rejected) == ([], {otlp.WITHOUT_IDS: 1})


@pytest.mark.parametrize(("ahead_ns", "kept"), [(NS_PER_HOUR, 1), (NS_PER_HOUR + 1, 0)])
def test_sift__future__up_to_an_hour(ahead_ns: int, kept: int) -> None:
    batch = sifted(endTimeUnixNano=NOW_NS + ahead_ns)

    assert (len(batch.spans), batch.rejected[otlp.FROM_THE_FUTURE]) == (kept, 1 - kept)


@given(data=st.data())
def test_fuzz__mutated_protobuf__decode_error_or_calls(data: st.DataObject) -> None:
    body = mutated(data.draw(st.sampled_from(PROTOBUF)), data)

    find_calls_or_none(decode_protobuf, body)


@given(data=st.data())
def test_fuzz__mutated_json__decode_error_or_calls(data: st.DataObject) -> None:
    body = mutated(data.draw(st.sampled_from(JSON)), data)

    find_calls_or_none(decode_json, body)


@given(data=st.data())
def test_fuzz__json_with_values_replaced__decode_error_or_calls(data: st.DataObject) -> None:
    document = json.loads(data.draw(st.sampled_from(JSON)))
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    for _ in range(data.draw(st.integers(1, 4))):
        replace_one(document, data.draw(anything), random.Random(data.draw(st.integers(0, 2**32))))

    find_calls_or_none(decode_json, json.dumps(document).encode())


@given(st.binary(max_size=300))
def test_fuzz__any_bytes__decode_error_or_calls(body: bytes) -> None:
    find_calls_or_none(decode_protobuf, body)
    find_calls_or_none(decode_json, body)


def find_calls_or_none(decode: Any, body: bytes) -> None:
    """What the writer does before it opens a transaction: it may refuse, and must not fail."""
    try:
        batch = decode(body, WANTED)
    except DecodeError:
        return
    for call in find_calls(sift(batch, NOW_NS).spans).calls:
        assert call.duration_ms is None or call.duration_ms >= 0
        assert call.ttft_ms is None or (call.duration_ms is not None and 0 < call.ttft_ms <= call.duration_ms)


def mutated(body: bytes, data: st.DataObject) -> bytes:
    """The body with a few bytes changed, taken out or put in, or cut off."""
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, max(0, len(changed) - 1)))
        match data.draw(st.sampled_from(["change", "insert", "delete", "cut"])):
            case "change":
                changed[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
            case "insert":
                changed[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del changed[at : at + data.draw(st.integers(1, 8))]
            case "cut":
                del changed[at:]
    return bytes(changed)


def replace_one(document: Any, value: Any, pick: random.Random) -> None:
    """Replaces one value somewhere in the document."""
    while True:
        keys = list(document) if isinstance(document, dict) else range(len(document))
        if not keys:
            return
        key = pick.choice(list(keys))
        if not isinstance(document[key], dict | list) or not document[key] or pick.random() < 0.1:
            document[key] = value
            return
        document = document[key]
