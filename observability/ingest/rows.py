"""Calls as rows of the database, and back."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from observability.core.calls import NOTHING, CallFacts, Context
from observability.core.evidence import Exposure, parse_exposure
from observability.core.otlp import Span
from observability.core.prices import Cost
from observability.core.times import BUCKET, EPOCH, NS_PER_BUCKET, NS_PER_HOUR, moment, nanoseconds
from observability.models.calls import PLACES_PER_HOUR

NAIVE_EPOCH = EPOCH.replace(tzinfo=None)  # SQLite keeps times without a zone, in UTC
NO_EXPOSURE = (None, None, None, None)
NO_COST = (None, None, None)
SPAN_COLUMNS = ("trace_id", "span_id", "parent_id", "name", "scope", "started_ns", "duration_ns", "status", "context")
CALL_COLUMNS = (
    *("trace_id", "span_id", "scope", "response_id", "prompt_name", "version_text", "version_id", "label"),
    *(
        "rollout",
        "step",
        "arm",
        "unit_bucket",
        "operation",
        "is_embedding",
        "provider",
        "request_model",
        "response_model",
        "stream",
    ),
    *("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("ttft_ms", "inter_token_ms", "duration_ms", "cost_usd", "cost_source", "price_version", "reported_usd"),
    *("finish_reason", "error", "error_class", "output_valid", "user_hash", "session", "feature", "environment"),
    *("attempts", "attempt_of", "is_summary", "observed", "held", "started_at", "place", "id"),
)


class KnownCall(NamedTuple):
    """A call with what its spans do not tell by themselves.

    id: of its row. facts: whose user has been hashed. version_id: of the version that it names, if that exists.
    output_valid: None where it was not checked. observed, held: as in models.Call.
    """

    id: int
    facts: CallFacts
    version_id: int | None = None
    cost: Cost | None = None
    output_valid: bool | None = None
    observed: int = 0
    held: bool = False

    @property
    def is_evidence(self) -> bool:
        """Whether a rollout may be judged by it: an LLM call, exposed to a version that exists."""
        return self.facts.is_llm_call and self.version_id is not None and self.facts.context.exposure is not None


def span_row(span: Span, context: Context | None) -> tuple[Any, ...]:
    """A span in the order of SPAN_COLUMNS. context: what it says for its descendants, None for nothing."""
    trace_id, span_id, parent_id, name, scope, start_ns, end_ns, status, *_ = span
    duration_ns = end_ns - start_ns if end_ns >= start_ns else None
    parent = parent_id if len(parent_id) == 8 else None
    written = None if context is None else _written(context)
    return trace_id, span_id, parent, name, scope, start_ns, duration_ns, status, written


def call_rows(calls: Sequence[KnownCall]) -> list[tuple[Any, ...]]:
    """Calls in the order of CALL_COLUMNS."""
    as_time = _as_time()
    return [_call_row(call, as_time) for call in calls]


def _call_row(call: KnownCall, as_time: Callable[[int], Any]) -> tuple[Any, ...]:
    facts, cost = call.facts, call.cost
    context, exposure = facts.context, facts.context.exposure
    return (
        *(facts.trace_id, facts.span_id, facts.scope, facts.response_id),
        *(context.prompt_name, context.prompt_version, call.version_id, context.label),
        *((exposure.rollout, exposure.step, exposure.arm, exposure.unit_bucket) if exposure else NO_EXPOSURE),
        *(
            facts.operation,
            not facts.is_llm_call,
            facts.provider,
            facts.request_model,
            facts.response_model,
            facts.stream,
        ),
        *(facts.input_tokens, facts.output_tokens, facts.cached_tokens, facts.cache_write_tokens),
        *(facts.reasoning_tokens, facts.ttft_ms, facts.inter_token_ms, facts.duration_ms),
        *((cost.usd, cost.source, cost.version) if cost else NO_COST),
        *(facts.reported_usd, facts.finish_reason, facts.error, facts.error_class, call.output_valid),
        *(context.user, context.session, context.feature, facts.environment),
        *(facts.attempts, facts.attempt_of, facts.is_summary, call.observed, call.held),
        as_time(facts.started_ns),
        facts.started_ns // NS_PER_HOUR * PLACES_PER_HOUR + call.id,
        call.id,
    )


def call_of_row(row: Sequence[Any]) -> KnownCall:
    """The call behind a row in the order of CALL_COLUMNS, as the ORM reads it."""
    stored = dict(zip(CALL_COLUMNS, row, strict=True))
    rollout = stored["rollout"]
    exposure = rollout and Exposure(rollout, stored["step"], stored["arm"], stored["unit_bucket"])
    started_ns = nanoseconds(stored["started_at"])
    context = Context(
        *(stored["prompt_name"], stored["version_text"], exposure, stored["label"]),
        *(stored["user_hash"], stored["session"], stored["feature"]),
    )
    facts = CallFacts(
        trace_id=bytes(stored["trace_id"]),
        span_id=bytes(stored["span_id"]),
        parent_id=b"",
        context=context,
        started_ns=started_ns,
        attempt_of=stored["attempt_of"] and bytes(stored["attempt_of"]),
        **{name: stored[name] for name in SAME_IN_BOTH},
    )
    cost = stored["cost_source"] and Cost(stored["cost_usd"], stored["cost_source"], stored["price_version"])
    return KnownCall(
        *(stored["id"], facts, stored["version_id"], cost),
        *(stored["output_valid"], stored["observed"], stored["held"]),
    )


SAME_IN_BOTH = sorted(set(CallFacts._fields) & set(CALL_COLUMNS) - {"trace_id", "span_id", "attempt_of"})


def context_of(written: str | None) -> Context:
    """The context behind Span.context."""
    if written is None:
        return NOTHING
    name, version, exposure, *others = json.loads(written)
    return Context(name, version, parse_exposure(exposure) if exposure else None, *others)


def bucket_of_ns(ns: int) -> datetime:
    """The five minutes in which something happened."""
    return EPOCH + ns // NS_PER_BUCKET * BUCKET


def as_stored(ns: int) -> Any:
    """A time in nanoseconds since 1970 as a parameter that compares with stored ones; the earliest for a negative."""
    return _as_time()(max(ns, 0))


def _as_time() -> Callable[[int], Any]:
    return _naive_text if connection.vendor == "sqlite" else moment


def _naive_text(ns: int) -> str:
    """As Django writes times to SQLite, whose own way costs as much as all the rest of a row."""
    return str(NAIVE_EPOCH + timedelta(microseconds=ns // 1000))


def _written(context: Context) -> str:
    exposure = context.exposure
    return json.dumps([*context[:2], str(exposure) if exposure else None, *context[3:]], ensure_ascii=False)
