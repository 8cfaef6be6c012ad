"""What happened, the newest first: what webhooks are told, in words."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from registry import events
from rollout.formats import moment
from rollout.pages import asked
from rollout.pages.events_parts import event_row
from rollout.pages.readers import for_readers, is_person

SHOWN = 50


@require_safe
@never_cache
@for_readers
def events_page(request: HttpRequest) -> HttpResponse:
    at = now()
    prompt = asked.word(request, "prompt")
    type_ = asked.choice(request, "type", events.EVENT_TYPES, "")
    before = asked.number(request, "before")
    found, more = events.newest(before=before, limit=SHOWN, type=type_ or None, prompt=prompt or None)
    context = {
        "rows": [event_row(event, at, to_person=is_person(request)) for event in found],
        "older": found[-1].sequence if more else None,
        "before": before,
        "prompt": prompt,
        "type": type_,
        "types": events.EVENT_TYPES,
        "at": moment(at, at),
    }
    return render(request, "insights/events.html", context)
