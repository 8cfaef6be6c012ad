"""What of a call is kept for its judges, and for how long? Its texts and what was retrieved for it, scrubbed, until its
last evaluation is settled, and never for longer than a day.

SERINUS_STORE_TEXT has no say in this: it is about what people may read later (observability.texts).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from common.clock import now
from observability import bulk
from observability.core import content
from observability.core.calls import CallFacts
from observability.core.otlp import Span
from observability.core.retrieval import documents_of
from observability.models import Call, Evaluation, EvaluationStatus, EvaluationText, RetrievedText
from observability.models import Span as SpanRow
from observability.texts import scrubbed_text

KEPT_IN_DOUBT = timedelta(minutes=10)  # by then all spans of a trace have come
MOST_DROPPED, MOST_ROUNDS = 500, 40  # at once, and how often

COLUMNS = ("call_id", "input_text", "output_text", "stored_at", "in_doubt")
JOIN_TEXTS = (
    "(call_id) DO UPDATE SET input_text = COALESCE(observability_evaluationtext.input_text, excluded.input_text),"
    " output_text = COALESCE(observability_evaluationtext.output_text, excluded.output_text),"
    " in_doubt = observability_evaluationtext.in_doubt AND excluded.in_doubt"
)
COLUMNS_OF_DOCUMENTS = ("trace_id", "span_id", "documents", "stored_at", "in_doubt")
JOIN_DOCUMENTS = (
    "(trace_id, span_id) DO UPDATE SET in_doubt = observability_retrievedtext.in_doubt AND excluded.in_doubt"
)


def keep(calls: Iterable[tuple[int, CallFacts]], *, in_doubt: bool) -> None:
    """Keep the texts of the calls with these ids, in the caller's transaction; what was in doubt may be certain now."""
    at = _at()
    rows, without_text = [], []
    for call_id, facts in calls:
        texts = scrubbed_text(content.input_text(facts)), scrubbed_text(content.output_text(facts))
        if texts == (None, None):
            without_text.append(call_id)
        else:
            rows.append((call_id, *texts, at, in_doubt))
    bulk.insert(EvaluationText, COLUMNS, rows, on_conflict=JOIN_TEXTS)
    if without_text and not in_doubt:
        EvaluationText.objects.filter(call_id__in=without_text, in_doubt=True).update(in_doubt=False)


def move(*, from_calls: Collection[int], to_call: int) -> None:
    """Give a call the texts of others that turned out to be the same, where it has none."""
    adapt = connection.ops.adapt_datetimefield_value
    found = EvaluationText.objects.filter(call_id__in=from_calls).order_by("call_id").values_list(*COLUMNS[1:])
    rows = [(to_call, into, out, adapt(at), in_doubt) for into, out, at, in_doubt in found]
    for row in rows:  # of one key no statement may have two
        bulk.insert(EvaluationText, COLUMNS, [row], on_conflict=JOIN_TEXTS)


def with_output(call_ids: Collection[int]) -> set[int]:
    """Those of the calls of which an output is kept."""
    if not call_ids:
        return set()
    kept = EvaluationText.objects.filter(call_id__in=call_ids, output_text__isnull=False)
    return set(kept.order_by().values_list("call_id", flat=True))


def drop(call_ids: Collection[int]) -> None:
    """Forget the texts of calls, in the caller's transaction."""
    EvaluationText.objects.filter(call_id__in=call_ids).delete()


def keep_documents(spans: Iterable[Span], *, chosen: Mapping[bytes, bool]) -> None:
    """Keep what the retrievals among the spans brought, in the caller's transaction.

    chosen: of the traces of which a call is stored now and decided on, whether one is chosen. Of others a call may have
    come before or may still come.
    """
    found = {
        (span.trace_id, span.span_id): documents
        for span in spans
        if chosen.get(span.trace_id, True) and (documents := documents_of(span))
    }
    certain = {trace_id for trace_id, is_chosen in chosen.items() if is_chosen}
    if certain:
        _documents_of(certain).filter(in_doubt=True).update(in_doubt=False)
    if found:
        certain = {*certain, *_with_waiting({id_ for id_, _ in found} - certain)}
        at = _at()
        rows = [(*key, _as_json(texts), at, key[0] not in certain) for key, texts in sorted(found.items())]
        bulk.insert(RetrievedText, COLUMNS_OF_DOCUMENTS, rows, on_conflict=JOIN_DOCUMENTS)


def drop_of_settled(calls: Mapping[int, bytes]) -> None:
    """Forget the texts of calls, given with their traces, of which no evaluation waits any more; and the documents of
    traces of which that is true of all calls."""
    waiting = Evaluation.objects.filter(call_id__in=calls, status=EvaluationStatus.WAITING)
    still = set(waiting.order_by().values_list("call_id", flat=True))
    EvaluationText.objects.filter(call_id__in=calls.keys() - still).delete()
    traces = {trace_id for call_id, trace_id in calls.items() if call_id not in still}
    if kept := {bytes(id_) for id_ in _documents_of(traces).order_by().values_list("trace_id", flat=True)}:
        _documents_of(kept - _with_waiting(kept)).delete()


def drop_in_doubt() -> int:
    """Forget what was kept in case its call would be chosen, and was not; how much. To be called every minute.

    In small statements, since SQLite has one writer: at most MOST_ROUNDS of them, more than a minute ever brings.
    """
    overdue = Q(in_doubt=True, stored_at__lt=now() - KEPT_IN_DOUBT)
    dropped = 0
    for kept in (EvaluationText, RetrievedText):
        for _ in range(MOST_ROUNDS):
            rows = kept._default_manager.filter(overdue).order_by("stored_at")
            ids = list(rows.values_list("pk", flat=True)[:MOST_DROPPED])
            if ids:
                dropped += kept._default_manager.filter(overdue, pk__in=ids).delete()[0]
            if len(ids) < MOST_DROPPED:
                break
    return dropped


def documents_of_traces(trace_ids: Collection[bytes]) -> dict[bytes, list[str]]:
    """What was retrieved in each trace, the earliest span first."""
    found: dict[bytes, list[str]] = {}
    rows = _documents_of(trace_ids).order_by("id").values_list("trace_id", "documents")
    for trace_id, documents in rows:
        found.setdefault(bytes(trace_id), []).extend(documents)
    return found


def _documents_of(trace_ids: Collection[bytes]) -> Any:
    return RetrievedText.objects.filter(trace_id__in=trace_ids)


def _with_waiting(trace_ids: Collection[bytes]) -> set[bytes]:
    """Those of the traces of which a call waits to be judged. A call has the id of its span."""
    spans = SpanRow.objects.filter(trace_id__in=trace_ids).order_by().values("pk")
    calls = Call.objects.filter(pk__in=spans, evaluations__status=EvaluationStatus.WAITING)
    return {bytes(id_) for id_ in calls.order_by().values_list("trace_id", flat=True)}


def _as_json(documents: Collection[str]) -> Any:
    """As a parameter of a statement past the ORM."""
    field = RetrievedText._meta.get_field("documents")
    scrubbed = [text for document in documents if (text := scrubbed_text(document)) is not None]
    return field.get_db_prep_save(scrubbed, connection)


def _at() -> Any:
    return connection.ops.adapt_datetimefield_value(now())
