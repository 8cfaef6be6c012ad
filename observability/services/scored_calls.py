"""Which call does a score mean, and what needs to be known of it?"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Max

from observability.core.evidence import Exposure
from observability.core.scores import targets_of_call
from observability.models import Call, OtherSpan, Span


@dataclass(frozen=True, slots=True)
class ScoredCall:
    """What a score needs to know of its call. version_id: None where the call names no known version."""

    id: int
    exposure: Exposure | None
    version_id: int | None
    is_llm_call: bool


def find_calls(targets: Collection[str]) -> dict[str, ScoredCall]:
    """Target → the newest call it means. The calls stay locked, so that two scores do not both count as the first."""
    if not targets:
        return {}
    by_kind: dict[str, list[str]] = {"span": [], "response": [], "trace": []}
    for target in targets:
        kind, _, name = target.partition(":")
        by_kind[kind].append(name)
    span_ids = [bytes.fromhex(name[-16:]) for name in by_kind["span"]]
    other_spans: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    others = OtherSpan.objects.filter(span_id__in=span_ids).values_list("call_id", "trace_id", "span_id")
    for call_id, trace_id, span_id in others:
        other_spans[call_id].append((bytes(trace_id), bytes(span_id)))
    ids = {*other_spans, *_ids_of_calls(span_ids, by_kind)}
    calls = Call.objects.filter(pk__in=ids).select_for_update(no_key=True).order_by("id")
    return {
        target: ScoredCall(call.pk, call.exposure, call.version_id, call.is_llm_call)
        for call in sorted(calls, key=lambda call: call.started_at)
        for target in targets_of_call(
            trace_id=bytes(call.trace_id),
            span_id=bytes(call.span_id),
            response_id=call.response_id,
            has_prompt=call.prompt_name is not None,
            is_llm_call=call.is_llm_call,
            other_spans=other_spans[call.pk],
        )
        if target in targets
    }


def _ids_of_calls(span_ids: Collection[bytes], by_kind: Mapping[str, Sequence[str]]) -> Iterator[int]:
    """Ids of calls that are meant, and of some that are not; each kind by an index of its own.

    A call has the id of its span.
    """
    traces = [bytes.fromhex(name) for name in by_kind["trace"]]
    # Of each response the newest alone: caches and stand-ins for models answer any number of calls with one.
    of_responses = Call.objects.filter(response_id__in=by_kind["response"]).order_by().values("response_id")
    yield from of_responses.annotate(newest=Max("pk")).values_list("newest", flat=True)
    for found in (
        Call.objects.filter(span_id__in=span_ids),
        Span.objects.filter(trace_id__in=traces),
        Call.objects.filter(other_spans__trace_id__in=traces),
    ):
        yield from found.order_by().values_list("pk", flat=True)
