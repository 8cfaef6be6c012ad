"""All prompts: what each serves, how much it is used, and which of its scores got worse."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from observability.selectors.over_time import prompts_over_days
from registry import selectors as registry
from rollout import selectors
from rollout.formats import count, moment
from rollout.pages import asked
from rollout.pages import prompts_parts as parts
from rollout.pages.readers import for_readers
from rollout.pages.windows import DAY, window

SHOWN = 50
DAYS = 7


@require_safe
@never_cache
@for_readers
def prompts_page(request: HttpRequest) -> HttpResponse:
    at = now()
    q, archived = asked.word(request, "q"), asked.choice(request, "archived", ("yes",), "") == "yes"
    pages = Paginator(registry.prompts(name_contains=q, archived=archived), SHOWN)
    page = pages.get_page(asked.number(request, "page") or 1)
    both = window(2 * DAYS, at)
    weeks = parts.weeks(
        prompts_over_days(prompts=[prompt.name for prompt in page], since=both.since, until=both.until),
        since=both.since + DAYS * DAY,
    )
    active = list(selectors.active_rollouts().filter(prompt__in=[prompt.pk for prompt in page]))
    context = {
        "rows": [parts.prompt_row(prompt, active, weeks, at) for prompt in page],
        "page": page,
        "total": count(pages.count),
        "n": pages.count,
        "apart": registry.prompts(name_contains=q, archived=not archived).count(),
        "q": q,
        "archived": archived,
        "at": moment(at, at),
    }
    return render(request, "insights/prompts.html", context)
