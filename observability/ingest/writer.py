"""One OTLP request becomes rows in one transaction: spans, calls, evidence, and the scores that waited for the calls.

Only spans that were not known before bring calls and evidence, so a request sent again, or over several connections
at once, counts once. Nothing is acknowledged before `store` returns, which is after the COMMIT.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from observability import bulk, evidence
from observability.core.calls import CallFacts, SpanKey, find_calls
from observability.core.evidence import Observation
from observability.core.measures import measures_of
from observability.core.otlp import Span
from observability.core.outputs import are_valid
from observability.core.prices import Cost, cost_of
from observability.core.scores import targets_of_call
from observability.ingest.versions import find_response_schemas, find_versions
from observability.models import Call
from observability.models import Span as SpanRow
from observability.privacy import user_hash
from observability.services import scores
from observability.services.prices import current_overrides
from observability.services.scores import ScoredCall

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_EXPOSURE = (None, None, None, None)
NO_COST = (None, None, None)
SPAN_COLUMNS = ("trace_id", "span_id", "parent_id", "name", "scope", "started_ns", "duration_ns", "status")
CALL_COLUMNS = (
    *("trace_id", "span_id", "scope", "response_id", "prompt_name", "version_text", "version_id", "label"),
    *("rollout", "step", "arm", "unit_bucket", "operation", "provider", "request_model", "response_model", "stream"),
    *("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("ttft_ms", "inter_token_ms", "duration_ms", "cost_usd", "cost_source", "price_version"),
    *("reported_usd", "finish_reason", "error", "error_class", "output_valid"),
    *("user_hash", "session", "feature", "environment", "attempts", "attempt_of", "observed", "held", "started_at"),
)


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call with what its span does not tell by itself.

    version_id: of the version that it names, if that exists. output_valid: None where it was not checked.
    """

    facts: CallFacts
    version_id: int | None
    cost: Cost | None
    output_valid: bool | None


def store(spans: Sequence[Span]) -> None:
    """Store what is new among the spans, in one transaction. Their ids must be valid (core.otlp.sift)."""
    by_key = {(span.trace_id, span.span_id): span for span in reversed(spans)}
    calls = _know(find_calls(by_key.values()))
    with transaction.atomic():
        new_keys = _insert_spans(by_key)
        new_calls = [call for call in calls if call.facts.key in new_keys]
        ids = _insert_calls(new_calls)
        evidence.add([*_observations(new_calls), *_scores(new_calls, ids)])


def _know(calls: Sequence[CallFacts]) -> list[KnownCall]:
    """The calls, the oldest first."""
    named = {(c.context.prompt_name, c.context.prompt_version) for c in calls}
    found = find_versions((name, version) for name, version in named if name and version)
    oldest_first = sorted(calls, key=lambda call: call.started_ns)
    versions = [found.get((c.context.prompt_name or "", c.context.prompt_version or "")) for c in oldest_first]
    valid = _check_outputs(oldest_first, versions)
    overrides = current_overrides()
    return [
        KnownCall(call, version_id, cost_of(call, overrides), valid.get(call.key))
        for call, version_id in zip(oldest_first, versions, strict=True)
    ]


def _check_outputs(calls: Sequence[CallFacts], versions: Sequence[int | None]) -> dict[SpanKey, bool | None]:
    """Whether the outputs of calls that did not fail follow the response schemas of their versions."""
    with_output = [
        (call, version_id)
        for call, version_id in zip(calls, versions, strict=True)
        if version_id and call.output_messages is not None and call.is_llm_call and not call.error
    ]
    schemas = find_response_schemas({version_id for _, version_id in with_output})
    checked = [(call, schemas[version_id]) for call, version_id in with_output if version_id in schemas]
    valid = are_valid((call.output_messages, schema) for call, schema in checked)
    return {call.key: found for (call, _), found in zip(checked, valid, strict=True)}


def _insert_spans(spans: Mapping[SpanKey, Span]) -> set[SpanKey]:
    """The keys of the spans that were new. Written in order, so that requests with the same spans cannot deadlock."""
    rows = [
        (*key, s.parent_id if len(s.parent_id) == 8 else None, s.name, s.scope, s.start_ns, s.duration_ns, s.status)
        for key, s in sorted(spans.items(), key=lambda item: item[0])
    ]
    written = bulk.insert(SpanRow, SPAN_COLUMNS, rows, returning=("trace_id", "span_id"))
    return {(bytes(trace_id), bytes(span_id)) for trace_id, span_id in written}


def _insert_calls(calls: Sequence[KnownCall]) -> dict[SpanKey, int]:
    rows = [_call_row(call) for call in calls]
    written = bulk.insert(Call, CALL_COLUMNS, rows, returning=("trace_id", "span_id", "id"))
    return {(bytes(trace_id), bytes(span_id)): int(id_) for trace_id, span_id, id_ in written}


def _call_row(known: KnownCall) -> tuple[Any, ...]:
    """A call in the order of CALL_COLUMNS."""
    call, cost = known.facts, known.cost
    context, exposure = call.context, call.context.exposure
    started_at = EPOCH + timedelta(microseconds=call.started_ns // 1000)
    return (
        *(call.trace_id, call.span_id, call.scope, call.response_id, context.prompt_name, context.prompt_version),
        *(known.version_id, context.label),
        *((exposure.rollout, exposure.step, exposure.arm, exposure.unit_bucket) if exposure else NO_EXPOSURE),
        *(call.operation, call.provider, call.request_model, call.response_model, call.stream),
        *(call.input_tokens, call.output_tokens, call.cached_tokens, call.cache_write_tokens, call.reasoning_tokens),
        *(call.ttft_ms, call.inter_token_ms, call.duration_ms),
        *(cost or NO_COST),
        call.reported_usd,
        *(call.finish_reason, call.error, call.error_class, known.output_valid),
        *(context.user and user_hash(context.user), context.session, context.feature, call.environment),
        *(call.attempts, call.attempt_of, 0, False),
        connection.ops.adapt_datetimefield_value(started_at),
    )


def _observations(calls: Sequence[KnownCall]) -> Iterator[Observation]:
    """What was measured of each LLM call that a rollout exposed to a known version."""
    for known in calls:
        call, exposure = known.facts, known.facts.context.exposure
        if call.is_llm_call and exposure and known.version_id:
            cost_usd = known.cost.usd if known.cost else None
            for measure, bin_ in measures_of(call, cost_usd=cost_usd, output_valid=known.output_valid):
                yield Observation(exposure, known.version_id, measure, bin_)


def _scores(calls: Sequence[KnownCall], ids: Mapping[SpanKey, int]) -> list[Observation]:
    """The evidence of scores that waited for these calls."""
    if not scores.is_any_score_waiting():
        return []
    by_target: dict[str, ScoredCall] = {}
    for known in calls:
        call = known.facts
        scored = ScoredCall(ids[call.key], call.context.exposure, known.version_id, call.is_llm_call)
        targets = targets_of_call(
            trace_id=call.trace_id,
            span_id=call.span_id,
            response_id=call.response_id,
            has_prompt=call.context.prompt_name is not None,
            is_llm_call=call.is_llm_call,
        )
        by_target.update(dict.fromkeys(targets, scored))
    return scores.join_scores_to(by_target)
