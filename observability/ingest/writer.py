"""One OTLP request becomes rows in one transaction: spans, calls, evidence, and the scores that waited for the calls.

Only spans that were not known before bring anything, so a request sent again, or over several connections at once,
counts once. What came before and belongs to the same calls is completed (ingest.late). What a call was observed for
goes into evidence once for each measure and is never taken back. Nothing is acknowledged before `store` returns, which
is after the COMMIT.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache, reduce
from itertools import chain
from operator import attrgetter, or_
from typing import NamedTuple

from django.db import transaction

from common.clock import now
from observability import bulk, evidence, texts
from observability.core.calls import INCOMPLETE, NS_PER_MS, CallFacts, Context, Found, SpanKey, find_calls
from observability.core.conversions import TEXT_LIMIT
from observability.core.evaluations import scores_of_events
from observability.core.evidence import COST_PER_CALL, Observation
from observability.core.measures import BITS, measures_of
from observability.core.merging import Related, awaits_another_attempt, group, unite
from observability.core.otlp import ERROR, Span
from observability.core.scores import NewScore, targets_of_call
from observability.ingest import late
from observability.ingest.knowledge import complete
from observability.ingest.rows import (
    CALL_COLUMNS,
    SPAN_COLUMNS,
    KnownCall,
    bucket_of_ns,
    call_of_row,
    call_rows,
    span_row,
)
from observability.ingest.trace_locks import lock_traces
from observability.judging import sampling
from observability.models import Call, OtherSpan
from observability.models import Span as SpanRow
from observability.privacy import user_hash
from observability.rollups import mark_stale
from observability.services import scores
from observability.services.scored_calls import ScoredCall

HELD_FOR = timedelta(minutes=2)  # exporters send every few seconds, and a client gives up its attempts within a minute
MOST_SETTLED = 1_000


def store(spans: Sequence[Span]) -> Counter[str]:
    """Store what is new among the spans, in one transaction. Their ids must be valid (core.otlp.sift).

    Answers how many evaluations among their events cannot be scores, by reason.
    """
    by_key = {(span.trace_id, span.span_id): span for span in reversed(spans)}
    return _store(by_key, find_calls(by_key.values(), cache(user_hash)))


def store_calls(calls: Sequence[CallFacts]) -> None:
    """Store what is new among calls that no span tells of, in one transaction: each gets a span that says the same."""
    by_key = {call.key: call._replace(context=_hashed(call.context)) for call in reversed(calls)}
    _store({key: _span_of(call) for key, call in by_key.items()}, Found(list(by_key.values()), {}))


def _span_of(call: CallFacts) -> Span:
    """end_ns: before the start where the call does not say how long it took, so that the span does not either."""
    duration_ns = None if call.duration_ms is None else round(call.duration_ms * NS_PER_MS)
    return Span(
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_id=call.parent_id,
        name=f"{call.operation} {call.request_model or ''}".strip()[:TEXT_LIMIT],
        scope=call.scope,
        start_ns=call.started_ns,
        end_ns=0 if duration_ns is None else call.started_ns + duration_ns,
        status=ERROR if call.error else 0,
        attributes={},
        events=(),
        resource={},
    )


def _store(spans: Mapping[SpanKey, Span], found: Found) -> Counter[str]:
    calls, contexts = found
    with transaction.atomic():
        trace_ids = {trace_id for trace_id, _ in spans}
        lock_traces(trace_ids, {call.response_id for call in calls if call.response_id})
        known = late.known_traces(trace_ids)
        ids = _insert_spans(spans, contexts)
        new_spans = {id_: spans[key] for key, id_ in ids.items()}
        evaluations, rejected = scores_of_events(new_spans.values(), {call.key for call in calls})
        if ids:
            new = [KnownCall(ids[call.key], call) for call in calls if call.key in ids]
            family = late.family(known, new_spans, contexts | {call.key: call.context for call in calls})
            observations = _store_calls(sorted(new, key=lambda call: call.facts.started_ns), family, new_spans.values())
            evidence.add([*observations, *_record(evaluations)])
    return rejected


def _record(evaluations: Sequence[NewScore]) -> list[Observation]:
    return scores.record(scores=evaluations)[1] if evaluations else []


def settle_held() -> int:
    """Failed calls that waited in vain for what would tell otherwise become evidence; answers how many."""
    overdue = Call.objects.filter(held=True).before(now() - HELD_FOR)
    ids = list(overdue.order_by("place").values_list("id", flat=True)[:MOST_SETTLED])  # in the order of their index
    if not ids:
        return 0
    with transaction.atomic():
        locked = Call.objects.filter(id__in=ids, held=True).select_for_update().order_by("id")
        held = [call_of_row(row) for row in locked.values_list(*CALL_COLUMNS)]
        settled, observations = _observe([call._replace(held=False) for call in held])
        bulk.update(Call, CALL_COLUMNS[:-1], call_rows(settled))
        sampling.choose(_candidate(call, is_new=False, awaits_parent=False) for call in settled)
        mark_stale({bucket_of_ns(call.facts.started_ns) for call in settled})
        evidence.add(observations)
    return len(held)


def _insert_spans(spans: Mapping[SpanKey, Span], contexts: Mapping[SpanKey, Context]) -> dict[SpanKey, int]:
    """Ids of the spans that were new, ascending with their starts: calls are listed by them."""
    in_order = sorted(spans, key=lambda key: spans[key].start_ns)
    ids = bulk.insert_new(SpanRow, SPAN_COLUMNS, [span_row(spans[key], contexts.get(key)) for key in in_order])
    return {key: id_ for key, id_ in zip(in_order, ids, strict=True) if id_ is not None}


def _store_calls(new: Sequence[KnownCall], family: late.Family, spans: Iterable[Span]) -> list[Observation]:
    """Write what the new spans tell: calls of their own, and more about calls that are stored. Answers the evidence."""
    stored = {call.id: call for call in chain(family.calls, late.twins([call.facts for call in new]))}
    merged = [
        one
        for one in _merge([*stored.values(), *new], stored, family)
        if one.others or one.call != stored.get(one.call.id)
    ]
    calls, observations = _observe(complete([one.call for one in merged]))
    bulk.append(Call, CALL_COLUMNS, call_rows([call for call in calls if call.id not in stored]))
    changed = [call for call in calls if call.id in stored]
    bulk.update(Call, CALL_COLUMNS[:-1], call_rows(changed))
    by_id = {call.id: call for call in calls}
    brought_together = {one.call.id for one in merged if one.stored_others(stored)}
    moved = [o for one in merged if one.others for o in _write_others(one, by_id[one.call.id], stored)]
    # Scores that were joined before the exposure of their call was known are evidence only now.
    exposed = [call for call in changed if call.is_evidence and not stored[call.id].is_evidence]
    late_scores = scores.observations_of([_scored(call) for call in exposed if call.id not in brought_together])
    waiting = _join_scores(merged, by_id)
    texts.store((call.id, call.facts) for call in calls)
    candidates = (
        _candidate(call, is_new=call.id not in stored, awaits_parent=family.awaits_parent(call.facts.key))
        for call in calls
    )
    sampling.choose(candidates, spans)
    mark_stale({bucket_of_ns(call.facts.started_ns) for call in calls})
    return [*observations, *moved, *late_scores, *waiting]


class Merged(NamedTuple):
    """One call, and all others that turned out to be the same."""

    call: KnownCall
    others: Sequence[KnownCall]

    def stored_others(self, stored: Mapping[int, KnownCall]) -> list[KnownCall]:
        return [other for other in self.others if other.id in stored]


def _merge(calls: Sequence[KnownCall], stored: Mapping[int, KnownCall], family: late.Family) -> Iterator[Merged]:
    if family.is_older:
        calls = [call._replace(facts=family.with_context(call.facts)) for call in calls]
    scopes = {call.facts.scope for call in calls}
    related = family.related if len(scopes) > 1 else Related  # no call is inside another one of its own scope
    for indexes in group([related(call.facts) for call in calls]):
        yield _merged([calls[index] for index in indexes], stored, family)


def _merged(calls: Sequence[KnownCall], stored: Mapping[int, KnownCall], family: late.Family) -> Merged:
    """The call that is stored stands for the others; else the one that unite() chooses."""
    if len(calls) == 1:
        return Merged(_held(calls[0], family), ())
    facts = unite([call.facts for call in calls])
    earlier = [call for call in calls if call.id in stored]
    standing = min(earlier, key=attrgetter("id")) if earlier else next(c for c in calls if c.facts.key == facts.key)
    call = standing._replace(
        facts=facts._replace(trace_id=standing.facts.trace_id, span_id=standing.facts.span_id),
        observed=reduce(or_, (call.observed for call in calls)),
        output_valid=next((call.output_valid for call in calls if call.output_valid is not None), None),
    )
    return Merged(_held(call, family), [other for other in calls if other.id != standing.id])


def _held(call: KnownCall, family: late.Family) -> KnownCall:
    """Whether what may follow could tell otherwise of a failed call that is no evidence yet."""
    facts = call.facts
    if not facts.error or call.observed:
        return call._replace(held=False) if call.held else call
    return call._replace(held=facts.error_class == INCOMPLETE or awaits_another_attempt(family.related(facts)))


def _observe(calls: Iterable[KnownCall]) -> tuple[list[KnownCall], list[Observation]]:
    """The calls with a note of all that has been observed of them, and what of it was not before."""
    noted: list[KnownCall] = []
    observations: list[Observation] = []
    for call in calls:
        observed = call.observed
        exposure, version_id = call.facts.context.exposure, call.version_id
        if exposure and version_id and call.facts.is_llm_call and not call.held:
            cost_usd = call.cost.usd if call.cost else None
            for measure, bin_ in measures_of(call.facts, cost_usd=cost_usd, output_valid=call.output_valid):
                if not observed & BITS[measure]:
                    observed |= BITS[measure]
                    usd = cost_usd if measure == COST_PER_CALL else None
                    observations.append(Observation(exposure, version_id, measure, bin_, usd=usd))
            call = call._replace(observed=observed)
        noted.append(call)
    return noted, observations


def _write_others(merged: Merged, call: KnownCall, stored: Mapping[int, KnownCall]) -> list[Observation]:
    """Note which further spans tell of the call; a stored call that turned out to be the same is taken into it.

    call: the merged one, completed. Answers the evidence of scores that were none with the call that they had before.
    """
    observations: list[Observation] = []
    if taken_in := [other.id for other in merged.stored_others(stored)]:
        were_evidence = {id_ for id_ in (call.id, *taken_in) if stored[id_].is_evidence}
        observations = scores.move(from_calls=taken_in, to_call=_scored(call), were_evidence=were_evidence)
        texts.move(from_calls=taken_in, to_call=call.id)
        sampling.move(from_calls=taken_in, to_call=call.id)
        OtherSpan.objects.filter(call_id__in=taken_in).update(call_id=call.id)
        Call.objects.filter(id__in=taken_in).delete()
    rows = [(*other.facts.key, call.id) for other in merged.others]
    bulk.append(OtherSpan, ("trace_id", "span_id", "call_id"), rows)
    return observations


def _join_scores(merged: Sequence[Merged], calls: Mapping[int, KnownCall]) -> list[Observation]:
    """The evidence of scores that waited for these calls, by whatever span of theirs they name."""
    if not scores.is_any_score_waiting():
        return []
    by_target: dict[str, ScoredCall] = {}
    for one in merged:
        call = calls[one.call.id]
        for facts in (call.facts, *(other.facts for other in one.others)):
            targets = targets_of_call(
                trace_id=facts.trace_id,
                span_id=facts.span_id,
                response_id=facts.response_id,
                has_prompt=call.facts.context.prompt_name is not None,
                is_llm_call=facts.is_llm_call,
            )
            by_target.update(dict.fromkeys(targets, _scored(call)))
    return scores.join_scores_to(by_target)


def _scored(call: KnownCall) -> ScoredCall:
    return ScoredCall(call.id, call.facts.context.exposure, call.version_id, call.facts.is_llm_call)


def _candidate(call: KnownCall, *, is_new: bool, awaits_parent: bool) -> sampling.Candidate:
    return sampling.Candidate(call.id, call.facts, call.version_id, is_new, call.held, awaits_parent)


def _hashed(context: Context) -> Context:
    return context._replace(user=user_hash(context.user)) if context.user else context
