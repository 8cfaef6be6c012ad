"""One prompt: how its versions do beside each other and over time, what its labels point at, and its rollouts."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import now
from common.errors import NotFound
from observability.selectors.objectives import objectives
from observability.selectors.over_time import Part, first_hour, prompt_over_time
from registry import rights
from registry import selectors as registry
from registry.models import LabelMove, Prompt, PromptVersion
from rollout import selectors
from rollout.formats import moment
from rollout.models import Rollout
from rollout.pages import asked
from rollout.pages import versions_parts as parts
from rollout.pages.objectives_parts import objective_rows
from rollout.pages.readers import for_readers, is_person
from rollout.pages.versions_over_time import Asked, over_time
from rollout.pages.windows import DAYS, window

MOVES_SHOWN, MOVES_MARKED = 10, 50
ROLLOUTS_SHOWN, ROLLOUTS_MARKED = 10, 30
STEPS = {"minutes": True, "hours": False}


@require_safe
@never_cache
@for_readers
def prompt_page(request: HttpRequest, name: str) -> HttpResponse:
    try:
        prompt = registry.known_prompt(name)
    except NotFound as error:
        raise Http404(error.detail) from error
    at = now()
    shown = window(int(asked.choice(request, "days", [str(days) for days in DAYS], _usual_days(prompt, at))), at)
    label, environment = asked.word(request, "label"), asked.word(request, "environment")
    read = list(prompt_over_time(prompt=name, since=shown.since, until=shown.until, step=shown.step))
    labels = list(registry.labels(prompt))
    rollouts = list(selectors.rollouts(prompt=name)[:ROLLOUTS_MARKED])
    active = list(selectors.active_rollouts().filter(prompt=prompt))
    moves = list(_moves(prompt)[:MOVES_MARKED])
    versions = PromptVersion.objects.filter(prompt=prompt).only("ordinal", "major", "minor", "patch", "published_at")
    numbers = {version.pk: version for version in versions}

    def tracks_of(found: Iterable[Part]) -> list[parts.Track]:
        asked_for = (part for part in found if parts.asked_for(part.key, label, environment))
        return parts.tracks(asked_for, numbers=numbers, labels=labels, active=active)

    tracks = tracks_of(read)
    compared = tracks[: parts.VERSIONS_SHOWN]
    promised = list(objectives(prompt=name))
    step = asked.choice(request, "step", tuple(STEPS), "") if shown.days == 1 else "hours"
    last = selectors.newest_transitions(active)
    context = {
        "prompt": prompt,
        "headline": parts.headline(tracks, labels, shown.days, label=label, environment=environment),
        "active": [parts.active_row(rollout, last.get(rollout.pk), at) for rollout in active],
        "versions": [parts.version_row(track) for track in compared],
        "more_versions": len(tracks) - len(compared),
        "scores": parts.score_tables(compared),
        "rates": parts.rate_bars(compared),
        "objectives": objective_rows(promised, at),
        "over_time": over_time(
            Asked(prompt, label, shown, STEPS.get(step), to_person=is_person(request)),
            compared,
            of_parts=tracks_of,
            versions=numbers.values(),
            moves=moves,
            rollouts=rollouts,
            promised=promised,
            now=at,
        ),
        "labels": [parts.label_row(each, moves, at) for each in labels],
        "moves": [parts.move_row(move, at) for move in moves[:MOVES_SHOWN]],
        "rollouts": [parts.rollout_row(rollout, at) for rollout in rollouts[:ROLLOUTS_SHOWN]],
        "in_labels": parts.values(read, "label"),
        "in_environments": parts.values(read, "environment"),
        "label": label,
        "environment": environment,
        "days": shown.days,
        "windows": DAYS,
        "may_edit_drafts": request.user.has_perm(rights.EDIT_DRAFTS),
        "may_change_objectives": request.user.has_perm(rights.CHANGE_OBJECTIVES),
        "may_view_prompts": admin.site.get_model_admin(Prompt).has_view_permission(request),
        "may_view_versions": request.user.has_perm(rights.VIEW_VERSIONS),
        "newest": parts.to_roll_out(numbers.values(), labels) if _may_start(request) else None,
        "at": moment(at, at),
    }
    return render(request, "insights/prompt.html", context)


def _usual_days(prompt: Prompt, at: datetime) -> str:
    """A day as long as there is nothing before it; `first_hour` has no answer until the first hour is over."""
    began = first_hour(prompt.name) or prompt.created_at
    return "1" if began >= window(1, at).since else "7"


def _moves(prompt: Prompt) -> parts.Moves:
    """Of labels that people and rollouts move: `latest` follows every publication."""
    found = LabelMove.objects.filter(label__prompt=prompt).exclude(label__name="latest")
    return found.select_related("label", "from_version", "to_version")


def _may_start(request: HttpRequest) -> bool:
    """Whether the admin has a form for it that this person may use."""
    return admin.site.get_model_admin(Rollout).has_add_permission(request)
