"""One trace as a tree of its spans, with the calls that they tell of."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from common.errors import NotFound
from observability.core.trees import Node, Stage, Timed, nest, stages
from observability.models import Call, OtherSpan, Span
from registry.reach import EVERYTHING, Reach

MOST_SPANS = 5_000
TEXTS_OF_VERSIONS = tuple(
    f"version__{name}" for name in ("template", "config", "input_schema", "response_schema", "notes")
)
LLM, EMBEDDINGS, TWIN, SPAN = "llm", "embeddings", "twin", "span"


@dataclass(frozen=True, slots=True)
class Told:
    """What a span of the tree is. kind: a call, a further span of a call, or any other. call: for the first of these
    the call itself; tells_of: for the second the span that stands for it, which may be of another trace."""

    name: str
    kind: str
    status: int
    scope: str
    call: Call | None = None
    tells_of: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """start_ns, end_ns: of all spans. told: span id → what it is. cut: there are more spans than are told."""

    trace_id: bytes
    start_ns: int
    end_ns: int
    nodes: list[Node]
    told: dict[bytes, Told]
    stages: list[Stage]
    cut: bool


def trace(trace_id: bytes, reach: Reach = EVERYTHING) -> Trace:
    """The trace's first MOST_SPANS spans. Raises NotFound.

    Where the reach does not hold all of the trace's calls, only the spans that tell of those it holds.
    """
    spans = _within(reach, trace_id, Span.objects.filter(trace_id=trace_id))
    rows = list(spans.defer("context").order_by("started_ns", "id")[: MOST_SPANS + 1])
    if not rows:
        raise NotFound("unknown_trace", f"There is no trace {trace_id.hex()}")
    cut, rows = len(rows) > MOST_SPANS, rows[:MOST_SPANS]
    found = Call.objects.filter(pk__in=[row.pk for row in rows])  # a call has the id of the span that stands for it
    with_scores = found.select_related("version").defer(*TEXTS_OF_VERSIONS).prefetch_related("scores")
    calls = {bytes(call.span_id): call for call in with_scores}
    twins = _twins(trace_id, [bytes(row.span_id) for row in rows])
    told = {bytes(row.span_id): _told(row, calls, twins) for row in rows}
    timed = [_timed(row, told[bytes(row.span_id)]) for row in rows]
    nodes = nest(timed)
    return Trace(
        trace_id,
        min(span.start_ns for span in timed),
        max(span.end_ns for span in timed),
        nodes,
        told,
        stages(nodes),
        cut=cut,
    )


def _within(reach: Reach, trace_id: bytes, spans: QuerySet[Span]) -> QuerySet[Span]:
    if reach.is_everything:
        return spans
    calls = Call.objects.of_trace(trace_id).order_by()
    seen = calls.filter(reach.rows(prompt="prompt_name", label="label"))
    if seen.exists() and seen.count() == calls.count():
        return spans
    twins = OtherSpan.objects.filter(trace_id=trace_id).filter(
        reach.rows(prompt="call__prompt_name", label="call__label")
    )
    return spans.filter(Q(span_id__in=seen.values("span_id")) | Q(span_id__in=twins.values("span_id")))


def _twins(trace_id: bytes, span_ids: list[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
    """Span id → the trace and span that stand for the call it tells of too."""
    found = OtherSpan.objects.filter(trace_id=trace_id, span_id__in=span_ids)
    return {
        bytes(span_id): (bytes(of_trace), bytes(of_span))
        for span_id, of_trace, of_span in found.values_list("span_id", "call__trace_id", "call__span_id")
    }


def _told(row: Span, calls: dict[bytes, Call], twins: dict[bytes, tuple[bytes, bytes]]) -> Told:
    span_id = bytes(row.span_id)
    if call := calls.get(span_id):
        return Told(row.name, _kind(call), row.status, row.scope, call)
    tells_of = twins.get(span_id)
    return Told(row.name, TWIN if tells_of else SPAN, row.status, row.scope, tells_of=tells_of)


def _kind(call: Call) -> str:
    return LLM if call.is_llm_call else EMBEDDINGS


def _timed(row: Span, told: Told) -> Timed:
    parent_id = None if row.parent_id is None else bytes(row.parent_id)
    return Timed(bytes(row.span_id), parent_id, row.started_ns, row.duration_ns, told.name)
