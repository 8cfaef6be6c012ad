"""One rollout, with everything it was judged on."""

from typing import Any, TypeVar

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from common.errors import NotFound
from registry import rights
from rollout import selectors, wording
from rollout.core.plan import Plan
from rollout.evidence_over_time import evidence_over_time
from rollout.formats import moment
from rollout.models import Rollout, Transition
from rollout.pages import rollout_cache as cache
from rollout.pages import rollout_checks as checks
from rollout.pages import rollout_parts as parts
from rollout.pages import rollout_ramp as ramp
from rollout.pages.acts import offered
from rollout.pages.readers import for_readers
from rollout.pages.rollout_chart import chart_of
from rollout.pages.rollout_samples import samples_of_arms
from rollout.pages.rollout_texts import changes
from rollout.pages.status_parts import Card

REFRESH_S = 5
TRANSITIONS_SHOWN, DELIVERIES_SHOWN = 100, 50
Row = TypeVar("Row")
UNFOLDED = 10  # of each; the others can be unfolded


@require_safe
@never_cache
@for_readers
def rollout_page(request: HttpRequest, rollout_id: str) -> HttpResponse:
    try:
        rollout = selectors.find_rollout(rollout_id)
    except NotFound as error:
        raise Http404(error.detail) from error
    return render(request, "rollout.html", {**_for_everyone(rollout), **_for_some(request, rollout)})


def _for_everyone(rollout: Rollout) -> dict[str, Any]:
    """Names and numbers."""
    at = now()
    plan, verdict = Plan.from_json(rollout.plan), rollout.verdict
    transitions = list(rollout.transitions.select_related("verdict")[:TRANSITIONS_SHOWN])
    stays = ramp.stays(list(selectors.weight_changes(rollout)))
    points = evidence_over_time(rollout, deciding=_deciding(transitions))
    return {
        "card": Card(rollout, transitions[0] if transitions else None, at),
        "rungs": ramp.rungs(rollout, stays, at),
        "chart": chart_of(rollout, points, stays, at),
        "found_at": moment(verdict.found_at, at) if verdict else None,
        "metrics": parts.metric_rows(rollout),
        "ratio": checks.ratio(verdict.body) if verdict else None,
        "judged_ratio": checks.judged_ratio(verdict.body) if verdict else None,
        "budgets": checks.budgets(rollout, at),
        "cold_start": cache.cold_start(rollout, at),
        "cold": cache.COLD,
        "happenings": _folded([parts.happening(transition, at) for transition in transitions]),
        "deliveries": _folded(
            [
                parts.delivery_row(delivery, at)
                for delivery in selectors.deliveries_about(rollout, limit=DELIVERIES_SHOWN)
            ]
        ),
        "plan": wording.plan_in_words(plan),
        "e_values": wording.e_values_in_words(plan),
        "limit": f"{1 / plan.alpha:g}",
        "of_100": f"{100 * plan.alpha:g}",
        "at": moment(at, at),
        "refresh_s": REFRESH_S if rollout.active else None,
    }


def _for_some(request: HttpRequest, rollout: Rollout) -> dict[str, Any]:
    """What takes a right: to act, to read what the versions say, to look at calls."""
    may = request.user.has_perm
    return {
        "acts": offered(rollout, request.user),
        "changes": changes(rollout) if may(rights.VIEW_VERSIONS) else None,
        "samples": samples_of_arms(rollout) if may(rights.VIEW_CALLS) else [],
        "may_replay": may(rights.REPLAY),
        "may_look_at_calls": may(rights.VIEW_CALLS),
    }


def _deciding(transitions: list[Transition]) -> set[int]:
    """The verdicts that something followed from."""
    return {transition.verdict_id for transition in transitions if transition.verdict_id}


def _folded(rows: list[Row]) -> list[list[Row]]:
    """The newest, and those before."""
    return [part for part in (rows[:UNFOLDED], rows[UNFOLDED:]) if part]
