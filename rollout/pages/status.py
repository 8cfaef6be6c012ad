"""The status page: what runs, what needs somebody, what ended lately, and how good the data is."""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from rollout import selectors, wording, work
from rollout.formats import moment
from rollout.pages import status_parts as parts
from rollout.pages.alerts_parts import alerts_at_a_glance
from rollout.pages.readers import for_readers, is_person
from rollout.pages.status_alarms import alarms
from rollout.pages.status_quality import quality_lately

ATTENTION = timedelta(hours=24)
FAILING = timedelta(minutes=15)  # a receiver that restarts, or a blip, has come back by then
ENDED_SHOWN = 10
REFRESH_S = 5


@require_safe
@never_cache
@for_readers
def status_page(request: HttpRequest) -> HttpResponse:
    at = now()
    active = list(selectors.active_rollouts())
    rolled_back = list(selectors.rolled_back_since(at - ATTENTION))
    ended = list(selectors.ended_rollouts(limit=ENDED_SHOWN))
    last = selectors.newest_transitions([*active, *rolled_back, *ended])
    cards = [parts.Card(rollout, last.get(rollout.pk), at) for rollout in active]
    held = [card for card in cards if card.rollout.hold_reason]
    attention = [*(parts.Card(rollout, last.get(rollout.pk), at) for rollout in rolled_back), *held]
    found = alarms(
        work.measure(),
        failing=list(selectors.endpoints_failing_since(at - FAILING)),
        dead=selectors.dead_deliveries(),
        active=len(active),
        now=at,
    )
    alerts = alerts_at_a_glance(at, to_person=is_person(request))
    wrong = [*([alerts.in_short] if alerts.needing else []), *(alarm.in_short for alarm in found)]
    context = {
        "headline": wording.headline(attention=len(attention), alarms=wrong, active=len(cards)),
        "groups": parts.grouped(cards),
        "active": len(cards),
        "attention": attention,
        "alarms": found,
        "alerts": alerts,
        "needed": len(attention) + len(found) + alerts.needing,
        "ended": [parts.end(rollout, last[rollout.pk], at) for rollout in ended],
        "quality": quality_lately(at) if active or ended else None,
        "base_url": settings.BASE_URL,
        "at": moment(at, at),
        "refresh_s": REFRESH_S,
    }
    return render(request, "status.html", context)
