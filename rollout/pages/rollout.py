"""One rollout, with everything it was judged on."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from common.errors import NotFound
from rollout import selectors, wording
from rollout.core.plan import Plan
from rollout.formats import moment
from rollout.pages import rollout_parts as parts
from rollout.pages.readers import for_readers
from rollout.pages.status_parts import card

REFRESH_S = 5
TRANSITIONS_SHOWN = 100
DELIVERIES_SHOWN = 50


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
        "card": card(rollout, transitions[0] if transitions else None, at),
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
