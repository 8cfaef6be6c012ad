"""OTLP bodies as an app with retrieval sends them: an agent, an embedding, a search and two chats in each trace.

14 attributes and about 420 bytes a span. Ids are marked, so that a body becomes a new request by two replacements
instead of being written again: 2 of a trace id's 8 free bytes and of a span id's 3 number the spans of one body, and
the marks become what numbers the request.
"""

import base64
import gzip
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Encoding = Literal["protobuf", "json", "gzip"]

SPANS_OF_A_TRACE = 5
TRACE_MARK = b"\xfe\xedSRNS\xfd\xfc"  # 8 of the 16 bytes of a trace id
SPAN_MARK = b"\xfc\xebSR\xfa"  # 5 of the 8 bytes of a span id
PROTOBUF, JSON = "application/x-protobuf", "application/json"
ROLLOUT = "rol_06b3t2k9w0x4y8z1c5d7"
PROMPTS = {"order-extractor": 8, "output-guard": 3}
"""How many versions each prompt needs for the versions that the spans name to exist."""
RESOURCE = {
    "service.name": "order-intake",
    "service.version": "2.14.3",
    "deployment.environment.name": "production",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.38.0",
    "host.name": "worker-7f9c",
}
MODELS = (
    ("openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
    ("openai", "gpt-4o", "gpt-4o-2024-11-20"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
)
ENVIRONMENTS = ("production", "production", "production", "staging")
FEATURES = ("checkout", "email-intake", "support-chat", "backoffice")
FINISH_REASONS = ("stop",) * 17 + ("length", "tool_calls", "content_filter")
SEARCH = "SELECT id, body FROM order_chunks ORDER BY embedding <=> $1 LIMIT $2"
DIFFERENT_BODIES = 8
SERIALS = count(1)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is sent. exposed: the calls of a prompt were exposed by a rollout, so that evidence is written of them."""

    encoding: Encoding
    spans: int
    exposed: bool

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": JSON if self.encoding == "json" else PROTOBUF}
        return headers | ({"Content-Encoding": "gzip"} if self.encoding == "gzip" else {})


def requests_of(kind: Kind, number: int) -> list[bytes]:
    """That many bodies, in which no id occurs that any earlier body had."""
    rnd = random.Random(7)
    originals = [_original(kind, rnd) for _ in range(DIFFERENT_BODIES)]
    return [_with_new_ids(originals[i % DIFFERENT_BODIES], kind, next(SERIALS)) for i in range(number)]


def _original(kind: Kind, rnd: random.Random) -> bytes:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.extend(_pairs(RESOURCE))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name, of_scope.scope.version = "opentelemetry.instrumentation.openai_v2", "2.2b0"
    spans = (span for trace in count() for span in _trace(trace, exposed=kind.exposed, rnd=rnd))
    of_scope.spans.extend(islice(spans, kind.spans))
    return _as_json(request) if kind.encoding == "json" else request.SerializeToString()


def _with_new_ids(body: bytes, kind: Kind, serial: int) -> bytes:
    trace_mark, span_mark = serial.to_bytes(len(TRACE_MARK)), serial.to_bytes(len(SPAN_MARK))
    if kind.encoding == "json":
        body = body.replace(_hex(TRACE_MARK), _hex(trace_mark)).replace(_hex(SPAN_MARK), _hex(span_mark))
    else:
        body = body.replace(TRACE_MARK, trace_mark).replace(SPAN_MARK, span_mark)
    return gzip.compress(body) if kind.encoding == "gzip" else body


def _hex(id_: bytes) -> bytes:
    return id_.hex().encode()


def _trace(trace: int, *, exposed: bool, rnd: random.Random) -> Iterator[Span]:
    began = time.time_ns() - rnd.randrange(60 * 10**9)
    took = int(rnd.lognormvariate(0.3, 0.5) * 1e9)
    first = _span_id(trace, 0)
    for role, (name, attributes) in enumerate(_roles(exposed=exposed, rnd=rnd)):
        span = Span(
            trace_id=TRACE_MARK + trace.to_bytes(8),
            span_id=_span_id(trace, role),
            parent_span_id=first if role else b"",
            name=name,
            kind=Span.SPAN_KIND_CLIENT if role else Span.SPAN_KIND_INTERNAL,
            flags=0x101,
            start_time_unix_nano=began + took * role // 6,
            end_time_unix_nano=began + (took * (role + 1) // 6 + took // 7 if role else took),
            attributes=_pairs(attributes),
        )
        if "error.type" in attributes:
            span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "rate limited by provider"
        yield span


def _span_id(trace: int, role: int) -> bytes:
    return SPAN_MARK + (trace * SPANS_OF_A_TRACE + role).to_bytes(3)


def _roles(*, exposed: bool, rnd: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the attributes of each span of a trace."""
    arm = "canary" if rnd.random() < 0.1 else "control"
    app = {
        "user.id": f"user-{rnd.randrange(20_000):05}",
        "deployment.environment": rnd.choice(ENVIRONMENTS),
        "feature": rnd.choice(FEATURES),
        "session.id": f"{rnd.getrandbits(64):016x}",
    }
    prompt = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "8" if arm == "canary" else "7"}
    guard = {"gen_ai.prompt.name": "output-guard", "gen_ai.prompt.version": "3"}
    exposure = {"serinus.exposure": f"{ROLLOUT}:0:{arm}:{rnd.randrange(256)}"} if exposed else {}
    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "order-intake",
        "gen_ai.conversation.id": f"{rnd.getrandbits(128):032x}",
    }
    embedding = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.usage.input_tokens": rnd.randrange(8, 200),
        "gen_ai.embeddings.dimension.count": 1536,
    }
    search = {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.collection.name": "order_chunks",
        "db.query.text": SEARCH,
        "retrieval.top_k": 8,
        "retrieval.documents": rnd.randrange(1, 9),
    }
    yield "rag.extract_order", agent | prompt | app
    yield "embeddings text-embedding-3-small", embedding | app
    yield "SELECT order_chunks", search | app
    yield "chat", _chat(rnd, tokens=1.0) | prompt | exposure | app
    yield "chat", _chat(rnd, tokens=0.3) | guard | app


def _chat(rnd: random.Random, *, tokens: float) -> dict[str, Any]:
    provider, asked, answered = rnd.choice(MODELS)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.system": provider,
        "gen_ai.request.model": asked,
        "gen_ai.response.model": answered,
        "gen_ai.response.id": f"chatcmpl-{rnd.getrandbits(96):024x}",
        "gen_ai.response.finish_reasons": [rnd.choice(FINISH_REASONS)],
        "gen_ai.usage.input_tokens": int(rnd.lognormvariate(6.6, 0.5) * tokens),
        "gen_ai.usage.output_tokens": int(rnd.lognormvariate(5.1, 0.6) * tokens),
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.output.type": "json",
        "server.address": f"api.{provider}.com",
        "server.port": 443,
    } | ({"error.type": "429"} if rnd.random() < 0.03 else {})


def _pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: Any) -> AnyValue:
    match value:
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_any_value(item) for item in value]))
    return AnyValue(string_value=value)


def _as_json(request: ExportTraceServiceRequest) -> bytes:
    """In OTLP's JSON: as protobuf's own, but with hexadecimal ids and enums as numbers."""
    document = MessageToDict(request, use_integers_for_enums=True)
    for of_resource in document["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[key] = base64.b64decode(span[key]).hex()
    return json.dumps(document, separators=(",", ":")).encode()
