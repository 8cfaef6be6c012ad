"""What a request's spans have to do with what was stored before: parents and twins may come in any order.

A trace that arrives in one request, as most do, costs one look at an index.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from observability.core.calls import CallFacts, Context, SpanKey, inherit
from observability.core.merging import Related
from observability.core.merging.grouping import RESPONSE_WINDOW_NS
from observability.core.merging.groups import NS_PER_MS, TOLERANCE_NS
from observability.core.otlp import Span
from observability.ingest.rows import CALL_COLUMNS, KnownCall, as_stored, call_of_row, context_of
from observability.models import Call, OtherSpan
from observability.models import Span as SpanRow

MOST_PARAMETERS = 10_000  # in one statement
# Of a trace that comes in very many requests no more than this is looked at, so that no trace can make ingest slow.
MOST_SPANS = 5_000
MOST_CALLS = 1_000
MOST_ANCESTORS = 100
MOST_GENERATIONS = 20  # of ancestors, each a query, in a trace of more spans than are looked at
MOST_APART_NS = 60 * 10**9
SAME_RESPONSE = """
    SELECT call.id FROM (VALUES {values}) AS sent
    JOIN observability_call AS call ON call.response_id = column1 AND call.scope {than} column2
    WHERE call.started_at >= %s
"""
WITHOUT_RESPONSE_ID = """
    SELECT id, scope, input_tokens, error FROM observability_call
    WHERE response_id IS NULL AND NOT is_embedding AND started_at BETWEEN %s AND %s
"""
# Among the newest spans alone, since no index is by time and response id.
NEWEST_WITH_RESPONSE_ID = """
    SELECT id, scope, input_tokens, error FROM observability_call
    WHERE id > (SELECT MAX(id) FROM observability_span) - 5000
    AND response_id IS NOT NULL AND NOT is_embedding AND started_at BETWEEN %s AND %s
"""


@dataclass(slots=True)
class Family:
    """Spans that belong together by their traces, stored ones and new ones.

    is_older: whether anything is stored of it. parents: by span. contexts: what spans say for their descendants.
    calls: stored ones. stands_for: spans that tell of a call for which another span stands. told_by: the same, by that
    other span.
    """

    is_older: bool
    parents: dict[SpanKey, bytes] = field(default_factory=dict)
    contexts: dict[SpanKey, Context] = field(default_factory=dict)
    calls: list[KnownCall] = field(default_factory=list)
    stands_for: dict[SpanKey, SpanKey] = field(default_factory=dict)
    told_by: dict[SpanKey, list[SpanKey]] = field(default_factory=dict)

    def ancestors(self, key: SpanKey) -> Iterator[SpanKey]:
        """The nearest first; a circle of parents ends the line."""
        trace_id, seen = key[0], {key}
        while len(seen) <= MOST_ANCESTORS and (parent_id := self.parents.get(key)):
            key = (trace_id, parent_id)
            if key in seen:
                return
            seen.add(key)
            yield key

    def awaits_parent(self, key: SpanKey) -> bool:
        """Whether an ancestor has not come yet."""
        *_, farthest = key, *self.ancestors(key)
        return farthest not in self.parents

    def with_context(self, call: CallFacts) -> CallFacts:
        """Own values first, then those of the ancestors that are known, of every span that tells of the call."""
        context = call.context
        for key in (call.key, *self.told_by.get(call.key, ())):
            for ancestor in self.ancestors(key):
                if ancestor in self.contexts:
                    context = inherit(context, self.contexts[ancestor])
        return call._replace(context=context)

    def related(self, call: CallFacts) -> Related:
        line = list(self.ancestors(call.key))
        standing = [self.stands_for[key] for key in line if key in self.stands_for]
        ended = call.attempt_of is not None and (call.trace_id, call.attempt_of) in self.parents
        return Related(call, frozenset(span_id for _, span_id in chain(line, standing)), ended)


def known_traces(trace_ids: Collection[bytes]) -> set[bytes]:
    """Those of which a span is stored."""
    known: set[bytes] = set()
    ids = sorted(trace_ids)
    with connection.cursor() as cursor:
        for start in range(0, len(ids), MOST_PARAMETERS):
            chunk = ids[start : start + MOST_PARAMETERS]
            values = ", ".join(["(%s)"] * len(chunk))
            cursor.execute(
                f"SELECT column1 FROM (VALUES {values}) AS traces WHERE EXISTS"  # noqa: S608 (placeholders only)
                " (SELECT 1 FROM observability_span WHERE trace_id = column1)",
                chunk,
            )
            known.update(bytes(trace_id) for (trace_id,) in cursor.fetchall())
    return known


def family(trace_ids: Collection[bytes], new_spans: Mapping[int, Span], contexts: Mapping[SpanKey, Context]) -> Family:
    """The new spans, with all that was stored of those traces before.

    new_spans: by the ids of their rows. contexts: what they say for their descendants.
    """
    found = Family(
        is_older=bool(trace_ids),
        parents={(span.trace_id, span.span_id): span.parent_id for span in new_spans.values()},
        contexts=dict(contexts),
    )
    if trace_ids:
        _add_stored(found, trace_ids, before=min(new_spans))
    return found


def twins(calls: Sequence[CallFacts]) -> list[KnownCall]:
    """Stored calls of any trace that may be one of these, told by another instrumentation."""
    calls = [call for call in calls if call.is_llm_call]
    if not calls:
        return []
    ids = {*_same_response(calls), *_simultaneous(calls)}
    return _calls(Q(id__in=ids)) if ids else []


def _same_response(calls: Sequence[CallFacts]) -> Iterator[int]:
    """Those of another scope that bear the response id of one of these."""
    sent = sorted({(call.response_id, call.scope) for call in calls if call.response_id})
    since = as_stored(min(call.started_ns for call in calls) - RESPONSE_WINDOW_NS)
    for start in range(0, len(sent), MOST_PARAMETERS // 4):
        chunk = list(chain.from_iterable(sent[start : start + MOST_PARAMETERS // 4]))
        values = ", ".join(["(%s, %s)"] * (len(chunk) // 2))
        # In two halves, so that the index leads past any number of calls of the scope itself: clients that replay a
        # cached response repeat its id.
        halves = (SAME_RESPONSE.format(values=values, than=than) for than in "<>")
        yield from (id_ for (id_,) in _rows(" UNION ALL ".join(halves), [*chunk, since, *chunk, since]))


def _simultaneous(calls: Sequence[CallFacts]) -> Iterator[int]:
    """Those of another scope that ran at the same time, with as many tokens or failed too, where no id can tell."""
    starts = [call.started_ns for call in calls]
    margin_ns = min(MOST_APART_NS, int(max(call.duration_ms or 0 for call in calls) * NS_PER_MS / 4) + TOLERANCE_NS)
    times = [as_stored(min(starts) - margin_ns), as_stored(max(starts) + margin_ns)]
    alike = {(call.scope, call.input_tokens, call.error) for call in calls}
    for id_, scope, input_tokens, error in _rows(WITHOUT_RESPONSE_ID, times):
        if any(_alike(scope, input_tokens, error, *one) for one in alike):
            yield id_
    without_id = {
        (call.scope, call.input_tokens, call.error)
        for call in calls
        if call.response_id is None and (call.input_tokens is not None or call.error)
    }
    if without_id:
        for id_, scope, input_tokens, error in _rows(NEWEST_WITH_RESPONSE_ID, times):
            if any(_alike(scope, input_tokens, error, *one) for one in without_id):
                yield id_


def _alike(scope: str, tokens: int | None, error: bool, of: str, sent: int | None, failed: bool) -> bool:
    return scope != of and ((tokens is not None and tokens == sent) or (error and failed))


def _rows(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchmany(MOST_CALLS))


def _add_stored(found: Family, trace_ids: Collection[bytes], before: int) -> None:
    ids = _add_spans(found, SpanRow.objects.filter(trace_id__in=trace_ids, id__lt=before))
    if len(ids) == MOST_SPANS:
        ids |= _add_ancestors(found)
    others = OtherSpan.objects.filter(trace_id__in=trace_ids).select_related("call")[:MOST_CALLS]
    for other in others:
        key = bytes(other.call.trace_id), bytes(other.call.span_id)
        told = bytes(other.trace_id), bytes(other.span_id)
        found.stands_for[told] = key
        found.told_by.setdefault(key, []).append(told)
        ids.add(other.call_id)
    found.calls += [_with_parent(call, found.parents) for call in _calls(Q(id__in=ids))]
    found.contexts.update((call.facts.key, call.facts.context) for call in found.calls)


def _add_spans(found: Family, stored: QuerySet[SpanRow]) -> set[int]:
    ids = set()
    columns = stored.order_by().values_list("id", "trace_id", "span_id", "parent_id", "context")
    for id_, trace_id, span_id, parent_id, context in columns[:MOST_SPANS]:
        key = bytes(trace_id), bytes(span_id)
        ids.add(id_)
        found.parents.setdefault(key, bytes(parent_id or b""))
        if context is not None:
            found.contexts.setdefault(key, context_of(context))
    return ids


def _add_ancestors(found: Family) -> set[int]:
    """The ancestors that are not among the spans that were looked at, one generation after the other."""
    ids: set[int] = set()
    looked_for: set[SpanKey] = set()
    for _ in range(MOST_GENERATIONS):
        parents = {(trace_id, parent_id) for (trace_id, _), parent_id in found.parents.items() if parent_id}
        missing = sorted(parents - found.parents.keys() - looked_for)[:MOST_PARAMETERS]
        if not missing:
            break
        looked_for.update(missing)
        traces, spans = zip(*missing, strict=True)
        ids |= _add_spans(found, SpanRow.objects.filter(trace_id__in=set(traces), span_id__in=set(spans)))
    return ids


def _with_parent(call: KnownCall, parents: Mapping[SpanKey, bytes]) -> KnownCall:
    """Its row does not say what it is inside of; the row of its span does."""
    return call._replace(facts=call.facts._replace(parent_id=parents.get(call.facts.key, b"")))


def _calls(condition: Q) -> list[KnownCall]:
    """The newest that meet the condition, ascending, and locked so."""
    newest = Call.objects.filter(condition).order_by("-id").values("id")[:MOST_CALLS]
    rows = Call.objects.filter(id__in=newest).select_for_update(no_key=True).order_by("id")
    return [call_of_row(row) for row in rows.values_list(*CALL_COLUMNS)]
