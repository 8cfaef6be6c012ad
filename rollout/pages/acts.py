"""What people may do to a rollout, each on a page that says what will happen and asks for the reason."""

from collections.abc import Sequence
from functools import partial

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from common.clock import now
from common.errors import NotFound
from registry import rights
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import RevisionForm
from rollout import selectors, services, wording
from rollout.core.lifecycle import is_allowed
from rollout.models import Rollout
from rollout.pages.readers import for_people
from rollout.pages.rollout_parts import Happening, happening

RIGHTS = {"start": rights.START, "promote": rights.PROMOTE}  # all others take rights.STEER
WORDS = {"rollback": "Roll back"}
CHANGES_SHOWN = 20


class ActForm(RevisionForm):
    """revision: of the rollout that was read."""

    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))
    revision = forms.IntegerField(widget=forms.HiddenInput)


def offered(rollout: Rollout, person: User | AnonymousUser) -> dict[str, str]:
    """The acts that its state allows and the person has the right to, with their words."""
    return {
        act: words_of(act)
        for act in services.ACTIONS
        if is_allowed(act, rollout.status) and person.has_perm(right_to(act))
    }


def right_to(act: str) -> str:
    return RIGHTS.get(act, rights.STEER)


def words_of(act: str) -> str:
    return WORDS.get(act, act.capitalize())


@for_people()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def rollout_act(request: HttpRequest, rollout_id: str, act: str) -> HttpResponse:
    """Ask for the reason, showing what is true now; then do it. Whoever was overtaken sees what has changed."""
    if act not in services.ACTIONS:
        raise Http404(act)
    rights.require(request, right_to(act))
    rollout = _found(rollout_id)
    form = ActForm(request.POST or None, initial={"revision": rollout.revision})
    done = attempt(form, lambda: rights.under_right(request, right_to(act), partial(_do, request, rollout, act, form)))
    if done:
        _note(request, done, f"{words_of(act)}: {form.cleaned_data['reason']}")
        messages.success(request, f"{done}: {wording.state_of(done).words}.")
        return redirect("rollout_page", rollout.pk)
    return _ask(request, _found(rollout_id), act, form)


def _found(rollout_id: str) -> Rollout:
    try:
        return selectors.find_rollout(rollout_id)
    except NotFound as error:
        raise Http404(error.detail) from error


def _do(request: HttpRequest, rollout: Rollout, act: str, form: ActForm) -> Rollout:
    return services.ACTIONS[act](
        rollout_id=rollout.pk,
        actor=actor_of(request),
        reason=form.cleaned_data["reason"],
        expected_revision=form.cleaned_data["revision"],
    )


def _note(request: HttpRequest, rollout: Rollout, words: str) -> None:
    """In the admin's history of the rollout."""
    person = User.objects.get(username=request.user.get_username())
    LogEntry.objects.log_actions(person.pk, [rollout], CHANGE, words, single_object=True)


def _ask(request: HttpRequest, rollout: Rollout, act: str, form: ActForm) -> HttpResponse:
    seen = form.cleaned_data.get("revision") if form.is_bound else None
    overtaken = form.sees_now(rollout.revision)
    last = selectors.newest_transitions([rollout]).get(rollout.pk)
    context = {
        "rollout": rollout,
        "state": wording.state_of(rollout),
        "sentence": wording.sentence(rollout, last, now()),
        "changes": _since(rollout, seen) if overtaken and seen is not None else [],
        "form": form,
        "words": words_of(act),
        "what": wording.what_will_happen(act, rollout) if is_allowed(act, rollout.status) else "",
        "is_rollback": act == "rollback",
    }
    return render(request, "act.html", context)


def _since(rollout: Rollout, revision: int) -> Sequence[Happening]:
    """What has happened since the rollout was at this revision, the newest first."""
    newer = rollout.transitions.select_related("verdict").filter(revision__gt=revision)
    at = now()
    return [happening(transition, at) for transition in newer[:CHANGES_SHOWN]]
