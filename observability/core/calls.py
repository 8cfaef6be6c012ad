"""Spans become calls: which span is an LLM call, and what it says about prompt, tokens, times and errors.

A number that the client did not send stays None; it is never guessed (otlp.md, section 4).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from observability.core.dialects import EXCEPTION, FIRST_TOKEN_EVENTS, KINDS, read_span
from observability.core.evidence import Exposure
from observability.core.otlp import ERROR, Span

EMBEDDINGS = "embeddings"
INCOMPLETE = "incomplete"  # the class of a stream that ended with neither a finish reason nor usage
MS_PER_S = 1e3
LONGEST_MS = 86_400_000.0  # a day: no token takes longer, and nothing beyond a float gets in
NS_PER_MS = 1e6

SpanKey = tuple[bytes, bytes]  # trace id and span id
Fields = Mapping[str, Any]  # what a span tells, by the canonical names of dialects


class Context(NamedTuple):
    """What a span inherits from its ancestors. user: as sent, until observability.privacy has hashed it."""

    prompt_name: str | None = None
    prompt_version: str | None = None
    exposure: Exposure | None = None
    label: str | None = None
    user: str | None = None
    session: str | None = None
    feature: str | None = None


NOTHING = Context()


class CallFacts(NamedTuple):
    """One LLM or embedding call, as one span tells it or as several do (core.merging).

    A named tuple, since one is made for every call that is taken in: it costs a third of a frozen dataclass. parent_id:
    empty without one. reported_usd: what the client says it cost. attempt_of: the span around the attempts, for clients
    whose retries have a span each. is_summary: the late record of a stream whose request has a span of its own, so that
    it stands for no call by itself. input_messages, output_messages: as sent (core.content reads them); never to be
    stored as they are.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    scope: str
    context: Context
    operation: str
    provider: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    stream: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    ttft_ms: float | None
    inter_token_ms: float | None
    duration_ms: float | None
    finish_reason: str | None
    error: bool
    error_class: str | None
    environment: str | None
    started_ns: int
    reported_usd: Decimal | None = None
    attempts: int = 1
    attempt_of: bytes | None = None
    is_summary: bool = False
    input_messages: Any = None
    output_messages: Any = None

    @property
    def key(self) -> SpanKey:
        return self.trace_id, self.span_id

    @property
    def is_llm_call(self) -> bool:
        """False for an embedding, which is kept but is no evidence about a prompt."""
        return self.operation != EMBEDDINGS


class Found(NamedTuple):
    """calls: in the order of their spans. contexts: what each other span says for its descendants."""

    calls: list[CallFacts]
    contexts: dict[SpanKey, Context]


def find_calls(spans: Iterable[Span]) -> Found:
    """The calls among the spans of one request; ancestors are looked for in the same request."""
    read = {(span.trace_id, span.span_id): (span, read_span(span)) for span in spans}
    known: dict[SpanKey, Context] = {}
    calls, contexts = [], {}
    for key, (span, fields) in read.items():
        operation = fields.get("operation", "")
        if kind := KINDS.get(operation):
            context = _context(key, read, known)
            calls.append(_facts(span, fields, EMBEDDINGS if kind == "embedding" else operation, context))
        elif (own := _own(fields)) != NOTHING:
            contexts[key] = own
    return Found(calls, contexts)


def _context(key: SpanKey, read: Mapping[SpanKey, tuple[Span, Fields]], known: dict[SpanKey, Context]) -> Context:
    """A span's context, computed once per span from the farthest ancestor down; a circle of parents ends the line."""
    line: dict[SpanKey, Fields] = {}
    while key in read and key not in known and key not in line:
        span, line[key] = read[key]
        key = span.trace_id, span.parent_id
    inherited = known.get(key, NOTHING)
    for key in reversed(line):
        inherited = known[key] = inherit(_own(line[key]), inherited)
    return inherited


def _own(fields: Fields) -> Context:
    get = fields.get
    return Context(
        *(get("prompt_name"), get("prompt_version"), get("exposure"), get("label")),
        *(get("user"), get("session"), get("feature")),
    )


def inherit(own: Context, parent: Context) -> Context:
    """Own values first. Version and exposure belong to a prompt: they do not come from an ancestor with another one."""
    if parent is NOTHING:
        return own
    own = own._replace(
        user=own.user or parent.user, session=own.session or parent.session, feature=own.feature or parent.feature
    )
    if own.prompt_name and parent.prompt_name and own.prompt_name != parent.prompt_name:
        return own
    return own._replace(
        prompt_name=own.prompt_name or parent.prompt_name,
        prompt_version=own.prompt_version or parent.prompt_version,
        exposure=own.exposure or parent.exposure,
        label=own.label or parent.label,
    )


def _facts(span: Span, fields: Fields, operation: str, context: Context) -> CallFacts:
    get = fields.get
    duration_ms = None if span.duration_ns is None else span.duration_ns / NS_PER_MS
    ttft_ms = _ttft_ms(span, fields, duration_ms)
    stream = True if ttft_ms is not None else get("stream")
    failed = _failed(span, fields)
    cut = bool(stream) and not fields.keys() & {"finish_reason", "input_tokens", "output_tokens"}
    return CallFacts(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        scope=span.scope,
        context=context,
        operation=operation,
        provider=get("provider"),
        request_model=get("request_model"),
        response_model=get("response_model"),
        response_id=get("response_id"),
        stream=stream,
        input_tokens=get("input_tokens"),
        output_tokens=get("output_tokens"),
        cached_tokens=get("cached_tokens"),
        cache_write_tokens=get("cache_write_tokens"),
        reasoning_tokens=get("reasoning_tokens"),
        ttft_ms=ttft_ms,
        inter_token_ms=_inter_token_ms(fields, duration_ms, ttft_ms),
        duration_ms=duration_ms,
        finish_reason=get("finish_reason"),
        error=failed or cut,
        error_class=get("error_class", "other") if failed else INCOMPLETE if cut else None,
        environment=get("environment"),
        started_ns=span.start_ns,
        reported_usd=get("cost_usd"),
        output_messages=get("output_messages"),
    )


def _ttft_ms(span: Span, fields: Fields, duration_ms: float | None) -> float | None:
    """Time to the first chunk: the first source that lies inside the span. A call that did not stream has none."""
    if duration_ms is None or fields.get("stream") is False:
        return None
    return next((ttft for ttft in _ttft_sources(span, fields) if 0 < ttft <= duration_ms), None)


def _ttft_sources(span: Span, fields: Fields) -> Iterable[float]:
    if "first_chunk_s" in fields:
        yield fields["first_chunk_s"] * MS_PER_S
    if "first_token_s_of_streams" in fields and fields.get("stream"):
        yield fields["first_token_s_of_streams"] * MS_PER_S
    for event in span.events:
        if event.name in FIRST_TOKEN_EVENTS:
            yield (event.at_ns - span.start_ns) / NS_PER_MS


def _inter_token_ms(fields: Fields, duration_ms: float | None, ttft_ms: float | None) -> float | None:
    """Mean time between two visible tokens. Reasoning comes before the first chunk, so its tokens do not count."""
    told_ms = fields.get("per_output_token_s", 0) * MS_PER_S
    if 0 < told_ms <= (LONGEST_MS if duration_ms is None else duration_ms):
        return float(told_ms)
    if duration_ms is None or ttft_ms is None or "output_tokens" not in fields:
        return None
    gaps = fields["output_tokens"] - fields.get("reasoning_tokens", 0) - 1
    return (duration_ms - ttft_ms) / gaps if gaps >= 1 else None


def _failed(span: Span, fields: Fields) -> bool:
    """Status, error type or HTTP status say so, or an exception was recorded and nothing came out."""
    return (
        span.status == ERROR
        or "error_type" in fields
        or "http_error_class" in fields
        or ("output_tokens" not in fields and any(event.name == EXCEPTION for event in span.events))
    )
