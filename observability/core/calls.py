"""Spans become calls: which span is an LLM call, and what it says about prompt, tokens, times and errors.

A number that the client did not send stays None; it is never guessed (otlp.md, section 4).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from observability.core.dialects import EXCEPTION, FIRST_TOKEN_EVENTS, KINDS, find
from observability.core.evidence import Exposure
from observability.core.otlp import ERROR, Span

EMBEDDINGS = "embeddings"
MS_PER_S = 1e3
NS_PER_MS = 1e6

SpanKey = tuple[bytes, bytes]  # trace id and span id


@dataclass(frozen=True, slots=True)
class Context:
    """What a span inherits from its ancestors."""

    prompt_name: str | None = None
    prompt_version: str | None = None
    exposure: Exposure | None = None
    user: str | None = None
    session: str | None = None


NOTHING = Context()


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One LLM or embedding call as its span tells it. user: as sent, never to be stored as it is."""

    trace_id: bytes
    span_id: bytes
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
    reasoning_tokens: int | None
    ttft_ms: float | None
    inter_token_ms: float | None
    duration_ms: float | None
    finish_reason: str | None
    error: bool
    error_class: str | None
    feature: str | None
    environment: str | None
    started_ns: int

    @property
    def key(self) -> SpanKey:
        return self.trace_id, self.span_id

    @property
    def is_llm_call(self) -> bool:
        """False for an embedding, which is kept but is no evidence about a prompt."""
        return self.operation != EMBEDDINGS


def find_calls(spans: Sequence[Span]) -> list[CallFacts]:
    """The calls among the spans of one request, in their order; ancestors are looked for in the same request."""
    by_key = {(span.trace_id, span.span_id): span for span in spans}
    contexts: dict[SpanKey, Context] = {}
    calls = []
    for span in spans:
        operation = find(span, "operation")
        kind = KINDS.get(operation) if operation else None
        if kind:
            context = _context(span, by_key, contexts)
            calls.append(_facts(span, EMBEDDINGS if kind == "embedding" else operation, context))
    return calls


def _context(span: Span, by_key: Mapping[SpanKey, Span], known: dict[SpanKey, Context]) -> Context:
    """The span's context, computed once per span from the farthest ancestor down; a circle of parents ends the line."""
    line: list[Span] = []
    inherited = NOTHING
    on_line: set[SpanKey] = set()
    ancestor: Span | None = span
    while ancestor is not None and (key := (ancestor.trace_id, ancestor.span_id)) not in on_line:
        if key in known:
            inherited = known[key]
            break
        line.append(ancestor)
        on_line.add(key)
        ancestor = by_key.get((ancestor.trace_id, ancestor.parent_id))
    for ancestor in reversed(line):
        inherited = known[ancestor.trace_id, ancestor.span_id] = _inherit(_own(ancestor), inherited)
    return inherited


def _own(span: Span) -> Context:
    if not span.attributes and not span.events:
        return NOTHING
    return Context(*(find(span, field) for field in Context.__slots__))


def _inherit(own: Context, parent: Context) -> Context:
    """Own values first. Version and exposure belong to a prompt: they do not come from an ancestor with another one."""
    if parent is NOTHING:
        return own
    user, session = own.user or parent.user, own.session or parent.session
    if own.prompt_name and parent.prompt_name and own.prompt_name != parent.prompt_name:
        return replace(own, user=user, session=session)
    return Context(
        own.prompt_name or parent.prompt_name,
        own.prompt_version or parent.prompt_version,
        own.exposure or parent.exposure,
        user,
        session,
    )


def _facts(span: Span, operation: str, context: Context) -> CallFacts:
    duration_ms = None if span.duration_ns is None else span.duration_ns / NS_PER_MS
    ttft_ms = _ttft_ms(span, duration_ms)
    stream = True if ttft_ms is not None else find(span, "stream")
    output_tokens, reasoning_tokens = find(span, "output_tokens"), find(span, "reasoning_tokens")
    input_tokens, finish_reason = find(span, "input_tokens"), find(span, "finish_reason")
    failed = _failed(span, output_tokens)
    cut = bool(stream) and finish_reason is None and input_tokens is None and output_tokens is None
    return CallFacts(
        trace_id=span.trace_id,
        span_id=span.span_id,
        context=context,
        operation=operation,
        provider=find(span, "provider"),
        request_model=find(span, "request_model"),
        response_model=find(span, "response_model"),
        response_id=find(span, "response_id"),
        stream=stream,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=find(span, "cached_tokens"),
        reasoning_tokens=reasoning_tokens,
        ttft_ms=ttft_ms,
        inter_token_ms=_inter_token_ms(span, duration_ms, ttft_ms, output_tokens, reasoning_tokens),
        duration_ms=duration_ms,
        finish_reason=finish_reason,
        error=failed or cut,
        error_class=find(span, "error_class") or "other" if failed else "incomplete" if cut else None,
        feature=find(span, "feature"),
        environment=find(span, "environment"),
        started_ns=span.start_ns,
    )


def _ttft_ms(span: Span, duration_ms: float | None) -> float | None:
    """Time to the first chunk: the first source that lies inside the span. A call that did not stream has none."""
    stream = find(span, "stream")
    if duration_ms is None or stream is False:
        return None
    return next((ttft for ttft in _ttft_sources(span, stream) if 0 < ttft <= duration_ms), None)


def _ttft_sources(span: Span, stream: bool | None) -> Iterable[float]:
    for field in ("first_chunk_s", "first_token_s_of_streams") if stream else ("first_chunk_s",):
        seconds = find(span, field)
        if seconds is not None:
            yield seconds * MS_PER_S
    for event in span.events:
        if event.name in FIRST_TOKEN_EVENTS:
            yield (event.at_ns - span.start_ns) / NS_PER_MS


def _inter_token_ms(
    span: Span,
    duration_ms: float | None,
    ttft_ms: float | None,
    output_tokens: int | None,
    reasoning_tokens: int | None,
) -> float | None:
    """Mean time between two visible tokens. Reasoning comes before the first chunk, so its tokens do not count."""
    per_token_s = find(span, "per_output_token_s")
    if per_token_s is not None and per_token_s > 0:
        return float(per_token_s * MS_PER_S)
    if duration_ms is None or ttft_ms is None or output_tokens is None:
        return None
    gaps = output_tokens - (reasoning_tokens or 0) - 1
    return (duration_ms - ttft_ms) / gaps if gaps >= 1 else None


def _failed(span: Span, output_tokens: int | None) -> bool:
    """Status, error type or HTTP status say so, or an exception was recorded and nothing came out."""
    return (
        span.status == ERROR
        or find(span, "error_type") is not None
        or find(span, "http_error_class") is not None
        or (output_tokens is None and any(event.name == EXCEPTION for event in span.events))
    )
