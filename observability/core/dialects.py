"""Where each instrumentation library writes what we want to know: the mapping, as data.

A table names, for every canonical field, its sources in order; the first that holds a value decides. So far there is
one dialect, OpenTelemetry's own GenAI conventions with their older names and the attributes of this project
(`serinus.*`). Source: open-telemetry/semantic-conventions-genai and its history in semantic-conventions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from observability.core import conversions as read
from observability.core.otlp import Span, Wanted

Kind = Literal["call", "embedding"]

SPAN = ""
RESOURCE = "resource"
ASSIGNMENT = "serinus.assignment"  # a span event with the same attributes: it survives the 128-attribute limit
EXCEPTION = "exception"
FIRST_TOKEN_EVENTS = ("gen_ai.first_token",)


@dataclass(frozen=True, slots=True)
class Source:
    """An attribute that may hold the value: of the span itself, of its RESOURCE, or of its first event of a name."""

    key: str
    convert: Callable[[Any], Any] = read.text
    at: str = SPAN


Table = Mapping[str, tuple[Source, ...]]

KINDS: Mapping[str, Kind] = {
    "chat": "call",
    "text_completion": "call",
    "generate_content": "call",
    "realtime_inference": "call",
    "completion": "call",
    "acompletion": "call",
    "responses": "call",
    "embeddings": "embedding",
    "embedding": "embedding",
}

OTEL: Table = {
    "operation": (
        Source("gen_ai.operation.name", read.lower),
        Source("llm.request.type", read.lower),
    ),
    "prompt_name": (
        Source("gen_ai.prompt.name"),
        Source("gen_ai.prompt.name", at=ASSIGNMENT),
    ),
    "prompt_version": (
        Source("gen_ai.prompt.version"),
        Source("gen_ai.prompt.version", at=ASSIGNMENT),
    ),
    "exposure": (
        Source("serinus.exposure", read.exposure),
        Source("serinus.exposure", read.exposure, at=ASSIGNMENT),
    ),
    "user": (
        Source("user.id", read.identity),
        Source("enduser.id", read.identity),
        Source("user.id", read.identity, at=ASSIGNMENT),
    ),
    "session": (
        Source("session.id", read.identity),
        Source("gen_ai.conversation.id", read.identity),
        Source("session.id", read.identity, at=ASSIGNMENT),
    ),
    "label": (
        Source("serinus.label"),
        Source("serinus.label", at=ASSIGNMENT),
    ),
    "feature": (Source("feature"),),
    "environment": (
        Source("deployment.environment.name"),
        Source("deployment.environment"),
        Source("deployment.environment.name", at=RESOURCE),
        Source("deployment.environment", at=RESOURCE),
    ),
    "provider": (
        Source("gen_ai.provider.name", read.provider),
        Source("gen_ai.system", read.provider),
    ),
    "request_model": (
        Source("gen_ai.request.model"),
        Source("llm.model_name"),
    ),
    "response_model": (
        Source("gen_ai.response.model"),
        Source("llm.model_name"),
    ),
    "response_id": (Source("gen_ai.response.id"),),
    "input_tokens": (
        Source("gen_ai.usage.input_tokens", read.tokens),
        Source("gen_ai.usage.prompt_tokens", read.tokens),
        Source("llm.usage.prompt_tokens", read.tokens),
    ),
    "output_tokens": (
        Source("gen_ai.usage.output_tokens", read.tokens),
        Source("gen_ai.usage.completion_tokens", read.tokens),
        Source("llm.usage.completion_tokens", read.tokens),
    ),
    "cached_tokens": (
        Source("gen_ai.usage.cache_read.input_tokens", read.tokens),
        Source("gen_ai.usage.cache_read_input_tokens", read.tokens),
    ),
    "cache_write_tokens": (
        Source("gen_ai.usage.cache_write.input_tokens", read.tokens),
        Source("gen_ai.usage.cache_creation.input_tokens", read.tokens),
        Source("gen_ai.usage.cache_creation_input_tokens", read.tokens),
    ),
    "reasoning_tokens": (
        Source("gen_ai.usage.reasoning.output_tokens", read.tokens),
        Source("gen_ai.usage.reasoning_tokens", read.tokens),
        Source("gen_ai.usage.details.reasoning_tokens", read.tokens),
    ),
    "cost_usd": (
        Source("gen_ai.usage.cost", read.usd),
        Source("gen_ai.cost.total_cost", read.usd),
        Source("llm.cost.total", read.usd),
    ),
    "output_messages": (Source("gen_ai.output.messages", read.untouched),),
    "finish_reason": (
        Source("gen_ai.response.finish_reasons", read.finish_reason),
        Source("gen_ai.response.finish_reason", read.finish_reason),
        Source("gen_ai.response.stop_reason", read.finish_reason),
        Source("gen_ai.output.messages", read.finish_reason_of_messages),
    ),
    "stream": (
        Source("gen_ai.request.stream", read.flag),
        Source("gen_ai.is_streaming", read.flag),
    ),
    "first_chunk_s": (
        Source("gen_ai.response.time_to_first_chunk", read.number),
        Source("gen_ai.client.operation.time_to_first_chunk", read.number),
    ),
    # Some clients write the full latency here when they did not stream.
    "first_token_s_of_streams": (
        Source("gen_ai.server.time_to_first_token", read.number),
        Source("gen_ai.server.ttft", read.number),
    ),
    "per_output_token_s": (Source("gen_ai.server.time_per_output_token", read.number),),
    "error_type": (Source("error.type"),),
    "http_error_class": (Source("http.response.status_code", read.http_error_class),),
    "error_class": (
        Source("http.response.status_code", read.http_error_class),
        Source("error.code", read.error_class),
        Source("error.type", read.error_class),
        Source("exception.type", read.error_class, at=EXCEPTION),
        Source("exception.message", read.error_class_of_message, at=EXCEPTION),
    ),
}


Reader = tuple[str, int, Callable[[Any], Any]]  # a field, how many of its sources go before this one, the conversion


def _readers(table: Table) -> dict[str, dict[str, list[Reader]]]:
    """The table turned round: what each attribute tells, in each place where attributes stand."""
    readers: dict[str, dict[str, list[Reader]]] = {SPAN: {}}
    for field, sources in table.items():
        for rank, source in enumerate(sources):
            readers.setdefault(source.at, {}).setdefault(source.key, []).append((field, rank, source.convert))
    return readers


READERS = _readers(OTEL)
WANTED = Wanted(
    attributes=frozenset(key for readers in READERS.values() for key in readers),
    events=frozenset(READERS.keys() - {SPAN, RESOURCE}).union(FIRST_TOKEN_EVENTS),
)


def read_span(span: Span) -> dict[str, Any]:
    """Every canonical field that the span tells something about; where several sources do, the first in the table."""
    found: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    _read(span.attributes, READERS[SPAN], found, ranks)
    _read(span.resource, READERS[RESOURCE], found, ranks)
    seen: set[str] = set()
    for event in span.events:
        if event.name not in seen:
            seen.add(event.name)
            _read(event.attributes, READERS.get(event.name, {}), found, ranks)
    return found


def _read(
    attributes: Mapping[str, Any], readers: Mapping[str, list[Reader]], found: dict[str, Any], ranks: dict[str, int]
) -> None:
    for key, raw in attributes.items():
        for field, rank, convert in readers.get(key, ()):
            if rank < ranks.get(field, rank + 1) and (value := convert(raw)) is not None:
                found[field], ranks[field] = value, rank
