"""Builders of OTLP trace requests as the official instrumentations send them."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

TRACE_ID = bytes.fromhex("5b8efff798038103d269b633813fc60c")  # as in the examples of the OTLP specification
SPAN_ID = bytes.fromhex("eee19b7ec3c1b174")
CHAT = {"gen_ai.operation.name": "chat"}

Attributes = Mapping[str, Any]


def span(
    attributes: Attributes = CHAT,
    *,
    number: int = 0,
    trace: int = 0,
    parent: int | None = None,
    ms: float = 100,
    age_s: float = 10,
    failed: bool = False,
    events: Sequence[tuple[str, Attributes]] = (),
    name: str = "chat gpt-4o-mini",
) -> Span:
    """A span that ended `age_s` seconds ago after `ms`; its ids are told by the numbers of its trace and itself."""
    end = time.time_ns() - int(age_s * 1e9)
    made = Span(
        trace_id=trace_id(trace),
        span_id=span_id(number),
        parent_span_id=b"" if parent is None else span_id(parent),
        name=name,
        start_time_unix_nano=end - int(ms * 1e6),
        end_time_unix_nano=end,
        attributes=pairs(attributes),
        events=[Span.Event(name=name, attributes=pairs(values)) for name, values in events],
    )
    made.status.code = 2 if failed else 0
    return made


def body(*spans: Span, resource: Attributes | None = None, scope: str = "order-app") -> bytes:
    return request(*spans, resource=resource, scope=scope).SerializeToString()


def request(*spans: Span, resource: Attributes | None = None, scope: str = "order-app") -> ExportTraceServiceRequest:
    scope_spans = ScopeSpans(spans=spans)
    scope_spans.scope.name = scope
    resource_spans = ResourceSpans(scope_spans=[scope_spans])
    resource_spans.resource.attributes.extend(pairs(resource or {}))
    return ExportTraceServiceRequest(resource_spans=[resource_spans])


def request_as_json(request: ExportTraceServiceRequest) -> bytes:
    """The request in OTLP's JSON: as protobuf's own, but with hexadecimal ids and enums as numbers."""
    document = MessageToDict(request, use_integers_for_enums=True)
    for resource_spans in document["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for sent in scope_spans["spans"]:
                for key in {"traceId", "spanId", "parentSpanId"} & sent.keys():
                    sent[key] = base64.b64decode(sent[key]).hex()
    return json.dumps(document).encode()


def trace_id(number: int) -> bytes:
    return (int.from_bytes(TRACE_ID) + number).to_bytes(16)


def span_id(number: int) -> bytes:
    return (int.from_bytes(SPAN_ID) + number).to_bytes(8)


def pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def any_value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    return AnyValue(string_value=value)
