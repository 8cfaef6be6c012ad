"""Spans become calls: which span is an LLM call, and what it says about prompt, tokens, times and errors.

A number that the client did not send stays None; it is never guessed (otlp.md, section 4).
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from observability.core.conversions import provider_of_scope
from observability.core.dialects import EXCEPTION, READER, Reading, read_span
from observability.core.dialects.reading import INHERITED
from observability.core.evidence import Exposure
from observability.core.otlp import ERROR, Span

EMBEDDINGS = "embeddings"
INCOMPLETE = "incomplete"  # the class of a stream that ended with neither a finish reason nor usage
MS_PER_S = 1e3
LONGEST_MS = 86_400_000.0  # a day: no token takes longer, and nothing beyond a float gets in
NS_PER_MS = 1e6
FIRST_TOKEN_EVENTS = READER.first_token_events
OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "realtime_inference"})

SpanKey = tuple[bytes, bytes]  # trace id and span id
Fields = Mapping[str, Any]  # what a span tells, by the canonical names of dialects


class Context(NamedTuple):
    """What a span inherits from its ancestors. user: of the id that was sent, what find_calls was told to keep."""

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
    """What spans tell. contexts: what each span that is no call hands on to those below it, where it says anything."""

    calls: list[CallFacts]
    contexts: dict[SpanKey, Context]


def find_calls(spans: Iterable[Span], identify: Callable[[str], str] = str) -> Found:
    """The calls among the spans of one request, in their order, and what the other spans hand on.

    A call inherits from its ancestors in the request. identify: what takes the place of a user's id as it was sent.
    """
    calls: list[tuple[Span, Reading]] = []
    said: dict[SpanKey, tuple[bytes, Context]] = {}
    contexts: dict[SpanKey, Context] = {}
    for span in spans:
        reading = read_span(span)
        key = span.trace_id, span.span_id
        own = _own(reading.fields, identify)
        said[key] = span.parent_id, own
        if reading.is_call or reading.is_embedding:
            calls.append((span, reading))
        elif own is not NOTHING:
            contexts[key] = own
    known: dict[SpanKey, Context] = {}
    return Found([_facts(span, reading, _context(span, said, known)) for span, reading in calls], contexts)


def _context(span: Span, said: Mapping[SpanKey, tuple[bytes, Context]], known: dict[SpanKey, Context]) -> Context:
    """A span's context, computed once per span from the farthest ancestor down; a circle of parents ends the line."""
    trace_id, span_id = span.trace_id, span.span_id
    line: dict[SpanKey, Context] = {}
    key = trace_id, span_id
    while key not in known and key not in line and (found := said.get(key)):
        parent_id, line[key] = found
        key = trace_id, parent_id
    context = known.get(key, NOTHING)
    for key in reversed(line):
        context = known[key] = inherit(line[key], context)
    return context


def _own(fields: Fields, identify: Callable[[str], str]) -> Context:
    if INHERITED.isdisjoint(fields):
        return NOTHING
    get = fields.get
    user = get("user")
    session = get("session") or (None if "agent_run" in fields else get("conversation"))
    return Context(
        *(get("prompt_name"), get("prompt_version"), get("exposure"), get("label")),
        *(identify(user) if user else None, session, get("feature")),
    )


def inherit(own: Context, parent: Context) -> Context:
    """Own values first. Version and exposure belong to a prompt: they do not come from an ancestor with another one."""
    if parent is NOTHING or own is NOTHING:
        return parent if own is NOTHING else own
    name, version, exposure, label, user, session, feature = own
    if not (name and parent.prompt_name and name != parent.prompt_name):
        name, version = name or parent.prompt_name, version or parent.prompt_version
        exposure, label = exposure or parent.exposure, label or parent.label
    return Context(
        *(name, version, exposure, label),
        *(user or parent.user, session or parent.session, feature or parent.feature),
    )


def _facts(span: Span, reading: Reading, context: Context) -> CallFacts:
    fields = reading.fields
    get = fields.get
    is_summary = get("record_type") == "log" and "record_duration_s" in fields
    duration_ms = _duration_ms(span, fields, is_summary)
    ttft_ms = _ttft_ms(span, fields, duration_ms)
    stream = True if ttft_ms is not None or is_summary else get("stream")
    failed = _failed(span, fields)
    cut = bool(stream) and not (
        is_summary
        or "finish_reason" in fields
        or "input_tokens" in fields
        or "output_tokens" in fields
        or "ends_elsewhere" in fields
    )
    return CallFacts(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        scope=span.scope,
        context=context,
        operation=EMBEDDINGS if reading.is_embedding else _operation(get("operation")),
        provider=get("provider") or provider_of_scope(span.scope),
        request_model=get("request_model"),
        response_model=get("response_model"),
        response_id=_response_id(fields),
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
        started_ns=max(0, span.start_ns - int((duration_ms or 0) * NS_PER_MS)) if is_summary else span.start_ns,
        reported_usd=_reported_usd(fields),
        attempt_of=span.parent_id if span.parent_id and get("is_attempt") else None,
        is_summary=is_summary,
        input_messages=get("input_messages"),
        output_messages=get("output_messages"),
    )


def _operation(said: str | None) -> str:
    """The operation of an LLM call: a chat, unless the span names another one that is a call too."""
    return said if said in OPERATIONS else "chat"


def _response_id(fields: Fields) -> str | None:
    """The provider's, not that of the client's own request."""
    told: str | None = fields.get("response_id")
    return None if told == fields.get("request_id") else told


def _duration_ms(span: Span, fields: Fields, is_summary: bool) -> float | None:
    if is_summary:
        told_ms = fields["record_duration_s"] * MS_PER_S
        return float(told_ms) if 0 <= told_ms <= LONGEST_MS else None
    return None if span.duration_ns is None else span.duration_ns / NS_PER_MS


def _reported_usd(fields: Fields) -> Decimal | None:
    """What the client says the call cost. 0 for tokens is what some write who do not know."""
    cost: Decimal | None = fields.get("cost_usd")
    if cost == 0 and (fields.get("input_tokens") or fields.get("output_tokens")):
        return None
    return cost


def _ttft_ms(span: Span, fields: Fields, duration_ms: float | None) -> float | None:
    """Time to the first chunk: the first source that lies inside the span. A call that did not stream has none."""
    if duration_ms is None or fields.get("stream") is False:
        return None
    return next((ttft for ttft in _ttft_sources(span, fields) if 0 < ttft <= duration_ms), None)


def _ttft_sources(span: Span, fields: Fields) -> Iterable[float]:
    if "first_chunk_s" in fields:
        yield fields["first_chunk_s"] * MS_PER_S
    if "first_chunk_ms" in fields:
        yield fields["first_chunk_ms"]
    if "first_token_s_of_streams" in fields and fields.get("stream"):
        yield fields["first_token_s_of_streams"] * MS_PER_S
    if "first_token_at_ns" in fields:
        yield (fields["first_token_at_ns"] - span.start_ns) / NS_PER_MS
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
