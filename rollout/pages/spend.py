"""What calls cost: by day, and who or what spent it; by user for those who may look at calls."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from observability.models import Dimension
from observability.models.budgets import BUDGETED
from observability.selectors.spend import spent, spent_by_day, spent_by_value
from registry import rights
from registry.models import Prompt
from rollout.formats import moment
from rollout.pages import asked
from rollout.pages import spend_parts as parts
from rollout.pages.readers import for_people
from rollout.pages.spend_budgets import budget_rows
from rollout.pages.windows import window

SHOWN = 50
DAYS = (7, 28)


@for_people()
@require_safe
@never_cache
def spend_page(request: HttpRequest) -> HttpResponse:
    at = now()
    by = asked.choice(request, "by", Dimension.values, Dimension.PROMPT)
    if by == Dimension.USER:
        rights.require(request, rights.VIEW_CALLS)
    days = int(asked.choice(request, "days", [str(days) for days in DAYS], "7"))
    shown = window(days, at)
    found = spent(by=by, since=shown.since, until=shown.until, limit=SHOWN)
    by_model = spent_by_value(by=Dimension.MODEL, since=shown.since, until=shown.until)
    may_see_users = request.user.has_perm(rights.VIEW_CALLS)
    known = set()
    if by == Dimension.PROMPT:
        named = [spender.value for spender in found.spenders if spender.value]
        known = set(Prompt.objects.filter(name__in=named).values_list("name", flat=True))
    context = {
        "headline": parts.headline(found, days, by),
        "chart": parts.chart(spent_by_day(since=shown.since, until=shown.until), found, shown, by),
        "rows": [parts.spender_row(spender, found.total, by, known) for spender in found.spenders],
        "left_out": found.left_out,
        "unpriced": parts.unpriced(by_model),
        "may_add_prices": request.user.has_perm(rights.ADD_PRICES),
        "budgets": budget_rows(by, at) if by in BUDGETED else [],
        "by": by,
        "dimensions": [each for each in Dimension.values if each != Dimension.USER or may_see_users],
        "days": days,
        "windows": DAYS,
        "at": moment(at, at),
    }
    return render(request, "insights/spend.html", context)
