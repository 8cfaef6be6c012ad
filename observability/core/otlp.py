"""OTLP trace requests, protobuf and JSON, decoded into plain spans.

Only the attributes and events that the caller wants are read, so that prompts and completions never leave the body.
Source: opentelemetry-proto 1.x; the JSON encoding as in the OTLP specification (hexadecimal ids, lowerCamelCase,
64-bit integers as text or numbers, unknown fields ignored).
"""

import binascii
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from observability.core.conversions import TEXT_LIMIT, clean
from observability.core.times import NS_PER_HOUR

ERROR = 2  # opentelemetry.proto.trace.v1.Status.STATUS_CODE_ERROR
STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": ERROR}
SCALARS: Mapping[str, Callable[[str], Any]] = {
    "stringValue": str,
    "intValue": int,
    "doubleValue": float,
    "boolValue": str,
}

WITHOUT_IDS = "without a valid trace and span id"
FROM_THE_FUTURE = "more than an hour in the future"
LOG_RECORDS = "log records, which do not belong to /v1/traces"


class DecodeError(ValueError):
    """The body is not an OTLP trace request."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The keys of attributes and the names of span events that are worth reading; prefixes: of further keys."""

    attributes: frozenset[str]
    events: frozenset[str]
    prefixes: tuple[str, ...] = ()


class Event(NamedTuple):
    name: str
    at_ns: int
    attributes: Mapping[str, Any]


class Span(NamedTuple):
    """A span as it came. ids: bytes, as long as the client made them; times: nanoseconds since 1970, 0 for unset.

    A named tuple, as events are: it costs a third of a frozen dataclass, and one is made for every span that comes.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    scope: str
    start_ns: int
    end_ns: int
    status: int
    attributes: Mapping[str, Any]
    events: tuple[Event, ...]
    resource: Mapping[str, Any]

    @property
    def duration_ns(self) -> int | None:
        """None where the clock was set back, or the span never ended."""
        return self.end_ns - self.start_ns if self.end_ns >= self.start_ns else None


@dataclass(frozen=True, slots=True)
class Batch:
    """The spans of a request, and how many things it brought that cannot be stored, by reason."""

    spans: list[Span]
    rejected: Counter[str]


def sift(batch: Batch, now_ns: int) -> Batch:
    """The batch with only the spans that can be stored; the others are counted."""
    usable: list[Span] = []
    rejected = batch.rejected.copy()
    for span in batch.spans:
        if not (len(span.trace_id) == 16 and len(span.span_id) == 8 and any(span.trace_id) and any(span.span_id)):
            rejected[WITHOUT_IDS] += 1
        elif max(span.start_ns, span.end_ns) > now_ns + NS_PER_HOUR:
            rejected[FROM_THE_FUTURE] += 1
        else:
            usable.append(span)
    return Batch(usable, rejected)


def decode_protobuf(body: bytes, wanted: Wanted) -> Batch:
    """An ExportTraceServiceRequest. Raises DecodeError."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except ProtobufDecodeError as error:
        if records := _count_log_records(body):
            return Batch([], Counter({LOG_RECORDS: records}))
        raise DecodeError("The body is not a protobuf ExportTraceServiceRequest") from error
    spans = []
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes, wanted)
        for scope_spans in resource_spans.scope_spans:
            scope = clean(scope_spans.scope.name)[:TEXT_LIMIT]
            spans += [_span(span, scope, resource, wanted) for span in scope_spans.spans]
    return Batch(spans, Counter())


def _span(span: Any, scope: str, resource: Mapping[str, Any], wanted: Wanted) -> Span:
    return Span(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        clean(span.name)[:TEXT_LIMIT],
        scope,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _status(span.status.code),
        _attributes(span.attributes, wanted),
        _events(span.events, wanted),
        resource,
    )


def _events(events: Sequence[Any], wanted: Wanted) -> tuple[Event, ...]:
    if not events:
        return ()
    return tuple(
        Event(name, event.time_unix_nano, _attributes(event.attributes, wanted))
        for event in events
        if (name := event.name) in wanted.events
    )


def _attributes(pairs: Iterable[Any], wanted: Wanted) -> dict[str, Any]:
    keys, prefixes = wanted.attributes, wanted.prefixes
    if prefixes:
        return {key: _value(pair.value) for pair in pairs if (key := pair.key) in keys or key.startswith(prefixes)}
    # Nearly all are text, and to ask each for its kind costs three times as much.
    return {key: pair.value.string_value or _value(pair.value) for pair in pairs if (key := pair.key) in keys}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
    return kind and getattr(value, kind)


def _count_log_records(body: bytes) -> int:
    """How many log records the body holds: an exporter's logs sent to the address of traces are a usual mistake.

    Most log exports do not decode as spans, for where a log record has its trace id a span has its attributes.
    """
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except ProtobufDecodeError:
        return 0
    records = [
        record for resource in request.resource_logs for scope in resource.scope_logs for record in scope.log_records
    ]
    well_formed = all(len(record.trace_id) in {0, 16} and len(record.span_id) in {0, 8} for record in records)
    return len(records) if well_formed else 0


def decode_json(body: bytes, wanted: Wanted) -> Batch:
    """An ExportTraceServiceRequest in the JSON encoding. Raises DecodeError."""
    try:
        return _json_batch(json.loads(body.decode("utf-8")), wanted)
    except DecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise DecodeError("The body is not JSON in UTF-8 with OTLP's fields") from error


def _json_batch(document: Any, wanted: Wanted) -> Batch:
    if not isinstance(document, dict):
        raise DecodeError(f"Expected an object with resourceSpans, got {type(document).__name__}")
    spans = []
    for resource_spans in _objects(document, "resourceSpans"):
        resource = _json_attributes(_object(resource_spans, "resource"), wanted)
        for scope_spans in _objects(resource_spans, "scopeSpans"):
            scope = _text(_object(scope_spans, "scope"), "name")[:TEXT_LIMIT]
            spans += [_json_span(span, scope, resource, wanted) for span in _objects(scope_spans, "spans")]
    return Batch(spans, Counter())


def _json_span(span: dict[str, Any], scope: str, resource: Mapping[str, Any], wanted: Wanted) -> Span:
    return Span(
        _id(span, "traceId"),
        _id(span, "spanId"),
        _id(span, "parentSpanId"),
        _text(span, "name")[:TEXT_LIMIT],
        scope,
        _time(span, "startTimeUnixNano"),
        _time(span, "endTimeUnixNano"),
        _status(_object(span, "status").get("code")),
        _json_attributes(span, wanted),
        tuple(
            Event(_text(event, "name"), _time(event, "timeUnixNano"), _json_attributes(event, wanted))
            for event in _objects(span, "events")
            if _text(event, "name") in wanted.events
        ),
        resource,
    )


def _json_attributes(owner: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    keys, prefixes = wanted.attributes, wanted.prefixes
    found = {}
    for pair in _objects(owner, "attributes"):
        key = pair.get("key")
        if not isinstance(key, str):
            key = _text(pair, "key")
        if key in keys or key.startswith(prefixes):
            value = _object(pair, "value")
            text = value.get("stringValue")  # as nearly all are
            found[key] = text if isinstance(text, str) else _json_value(value)
    return found


def _json_value(value: dict[str, Any]) -> Any:
    """What an AnyValue holds. Numbers may stand as text, NaN must."""
    if "arrayValue" in value:
        return [_json_value(item) for item in _objects(_object(value, "arrayValue"), "values")]
    if "kvlistValue" in value:
        pairs = _objects(_object(value, "kvlistValue"), "values")
        return {_text(pair, "key"): _json_value(_object(pair, "value")) for pair in pairs}
    return next((_json_scalar(value[kind], read) for kind, read in SCALARS.items() if kind in value), None)


def _json_scalar(value: Any, read: Callable[[str], Any]) -> Any:
    return read(value) if isinstance(value, str) else value


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """The object in a field, or an empty one where the field is missing or null."""
    found = parent.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise DecodeError(f"{key}: expected an object, got {type(found).__name__}")
    return found


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The array of objects in a field, or an empty one where the field is missing or null."""
    found = parent.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DecodeError(f"{key}: expected an array of objects")
    return found


def _text(parent: dict[str, Any], key: str) -> str:
    found = parent.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise DecodeError(f"{key}: expected text, got {type(found).__name__}")
    return clean(found)


def _id(parent: dict[str, Any], key: str) -> bytes:
    """A hexadecimal id. One in base64, as protobuf's own JSON would have it, is an encoding that OTLP rules out."""
    try:
        return binascii.unhexlify(_text(parent, key))
    except ValueError as error:
        raise DecodeError(f"{key}: expected hexadecimal digits") from error


def _time(parent: dict[str, Any], key: str) -> int:
    """Nanoseconds, 0 where the field is missing. Text is the specified form, a number what JavaScript sends."""
    found = parent.get(key)
    if found is None:
        return 0
    if isinstance(found, str) and found.isascii() and found.isdigit():
        found = int(found)
    if type(found) is not int or not 0 <= found < 2**64:
        raise DecodeError(f"{key}: expected nanoseconds since 1970")
    return found


def _status(code: Any) -> int:
    """0 unset, 1 ok, 2 error; a name, as protobuf's own JSON would have it, is understood too."""
    found = STATUS_CODES.get(code, 0) if isinstance(code, str) else code
    return found if type(found) is int and found in {0, 1, 2} else 0  # true and false are integers to Python
