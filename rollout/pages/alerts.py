"""The pages of alerts: what is wrong now and was lately, and what there is to know and do about one.

They take a login, since they tell what is spent and what people wrote as their reasons.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from common.errors import NotFound
from observability.models import AlertKind
from observability.selectors.alerts import OPEN, RESOLVED, alerts, find_alert
from observability.selectors.alerts_at_hand import notices_of, worst_first
from registry import rights
from rollout.formats import moment
from rollout.pages import alerts_parts as parts
from rollout.pages import asked
from rollout.pages.alert_acts import offered
from rollout.pages.alerts_words import WORDS
from rollout.pages.readers import for_people

SHOWN = 100


@for_people()
@require_safe
@never_cache
def alerts_page(request: HttpRequest) -> HttpResponse:
    at = now()
    state = asked.choice(request, "state", (OPEN, RESOLVED), OPEN)
    kind = asked.choice(request, "kind", AlertKind.values, "")
    prompt = asked.word(request, "prompt")
    wanted = {name: value for name, value in (("kind", kind), ("prompt", prompt)) if value}
    matching = alerts(state=state).filter(**wanted)
    found = list((worst_first(matching) if state == OPEN else matching)[: SHOWN + 1])
    context = {
        "lines": [parts.line(alert, at) for alert in found[:SHOWN]],
        "more": len(found) > SHOWN,
        "shown": SHOWN,
        "state": state,
        "kind": kind,
        "kinds": [(each.value, WORDS[each].title) for each in AlertKind],
        "prompt": prompt,
        "at": moment(at, at),
    }
    return render(request, "insights/alerts.html", context)


@for_people()
@require_safe
@never_cache
def alert_page(request: HttpRequest, alert_id: str) -> HttpResponse:
    at = now()
    try:
        alert = find_alert(alert_id)
    except NotFound as error:
        raise Http404(error.detail) from error
    words = WORDS[AlertKind(alert.kind)]
    context = {
        "alert": alert,
        "line": parts.line(alert, at),
        "words": words,
        "docs": f"docs/how-to/alerts/{alert.kind}.md",
        "causes": parts.causes(alert.data),
        "numbers": list(parts.numbers(alert.data, at)),
        "notices": [parts.notice(event, at) for event in notices_of(alert)],
        "acts": offered(alert),
        "may": request.user.has_perm(rights.HANDLE_ALERTS),
        "right": rights.WORDS[rights.HANDLE_ALERTS],
        "seen_at": moment(alert.seen_at, at),
        "resolved_at": moment(alert.resolved_at, at) if alert.resolved_at else "",
        "at": moment(at, at),
    }
    return render(request, "insights/alert.html", context)
