"""One trace: its spans below each other, and the stage that took the time. Never a text."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from common.errors import NotFound
from observability.core.times import moment as moment_of
from observability.selectors import trace
from observability.selectors.listed import calls_with_text
from registry import rights
from rollout.formats import count, moment
from rollout.pages import traces_parts as parts
from rollout.pages.readers import for_people

SHOWN = 500
STAGES_SHOWN = 8


@for_people(rights.VIEW_CALLS)
@require_safe
@never_cache
def trace_page(request: HttpRequest, trace_id: str) -> HttpResponse:
    try:
        found = trace(bytes.fromhex(trace_id))
    except NotFound as error:
        raise Http404(error.detail) from error
    at = now()
    kept = parts.worth_showing(found, SHOWN)
    calls = [told.call.pk for told in found.told.values() if told.call]
    readable = calls_with_text(calls) if request.user.has_perm(rights.READ_TEXTS) else frozenset()
    context = {
        "trace_id": trace_id.lower(),
        "headline": parts.headline(found),
        "about": parts.about(found),
        "started_at": moment(moment_of(found.start_ns), at),
        "rows": [parts.span_row(placed, found, readable) for placed in kept],
        "spans": count(len(found.told)),
        "shown": count(len(kept)) if len(kept) < len(found.told) else "",
        "cut": found.cut,
        "stages": parts.stage_bars(found.stages[:STAGES_SHOWN]),
        "more_stages": max(0, len(found.stages) - STAGES_SHOWN),
        "at": moment(at, at),
    }
    return render(request, "insights/trace.html", context)
