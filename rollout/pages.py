"""The pages for people: what runs, what needs them, and one rollout with everything it was judged on.

They show names and numbers, never the text of a prompt or what was sent to a webhook, since settings.STATUS_PAGES may
leave them open to whoever reaches the server. Everything works without a script.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from common.errors import NotFound
from rollout import page_parts as parts
from rollout import selectors, wording
from rollout.core.plan import Plan
from rollout.formats import moment

ATTENTION = timedelta(hours=24)
ENDED_SHOWN = 10
TRANSITIONS_SHOWN = 100
DELIVERIES_SHOWN = 50
REFRESH_S = 5

View = Callable[..., HttpResponse]


def for_readers(view: View) -> View:
    """The view, for everyone who reaches the server or, with settings.STATUS_PAGES "login", after a login."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.STATUS_PAGES == "login" and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@never_cache
@for_readers
def status_page(request: HttpRequest) -> HttpResponse:
    at = now()
    active = list(selectors.active_rollouts())
    rolled_back = list(selectors.rolled_back_since(at - ATTENTION))
    ended = list(selectors.ended_rollouts(limit=ENDED_SHOWN))
    last = selectors.newest_transitions([*active, *rolled_back, *ended])
    cards = [parts.card(rollout, last.get(rollout.pk), at) for rollout in active]
    held = [card for card in cards if card.rollout.hold_reason]
    attention = [*(parts.card(rollout, last.get(rollout.pk), at) for rollout in rolled_back), *held]
    dead = selectors.dead_deliveries()
    context = {
        "headline": wording.headline(attention=len(attention), dead_deliveries=dead, active=len(cards)),
        "cards": cards,
        "attention": attention,
        "dead_deliveries": dead,
        "ended": [parts.end(rollout, last[rollout.pk], at) for rollout in ended],
        "base_url": settings.BASE_URL,
        "at": moment(at, at),
        "refresh_s": REFRESH_S if active else None,
    }
    return render(request, "status.html", context)


@require_safe
@never_cache
@for_readers
def rollout_page(request: HttpRequest, rollout_id: str) -> HttpResponse:
    try:
        rollout = selectors.find_rollout(rollout_id)
    except NotFound as error:
        raise Http404(error.detail) from error
    at = now()
    plan = Plan.from_json(rollout.plan)
    transitions = list(rollout.transitions.select_related("verdict")[:TRANSITIONS_SHOWN])
    context = {
        "card": parts.card(rollout, transitions[0] if transitions else None, at),
        "metrics": parts.metric_rows(rollout),
        "evidence": parts.evidence(rollout.verdict, at) if rollout.verdict else None,
        "happenings": [parts.happening(transition, at) for transition in transitions],
        "deliveries": [
            parts.delivery_row(delivery, at) for delivery in selectors.deliveries_about(rollout, limit=DELIVERIES_SHOWN)
        ],
        "plan": wording.plan_in_words(plan),
        "e_values": wording.e_values_in_words(plan),
        "at": moment(at, at),
        "refresh_s": REFRESH_S if rollout.active else None,
    }
    return render(request, "rollout.html", context)
