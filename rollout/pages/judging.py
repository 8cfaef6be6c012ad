"""How judging fares: what each evaluator judged of each prompt, what is missing and why, its cost, and what waits."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from observability.selectors.judging import judged
from rollout.formats import moment
from rollout.pages import asked
from rollout.pages import judging_parts as parts
from rollout.pages.readers import for_people

DAYS = (1, 7)


@for_people()
@require_safe
@never_cache
def judging_page(request: HttpRequest) -> HttpResponse:
    at = now()
    days = int(asked.choice(request, "days", [str(days) for days in DAYS], "1"))
    found = judged(since=at - timedelta(days=days))
    context = {
        "headline": parts.headline(found, days),
        "rows": [parts.row(key, of, at) for key, of in found.items()],
        "days": days,
        "windows": DAYS,
        "at": moment(at, at),
    }
    return render(request, "insights/judging.html", context)
