"""What people may do about an alert, each on a page that says what will happen and asks for the reason."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from common.clock import now
from common.errors import NotFound
from observability.models import Alert
from observability.selectors.alerts import find_alert
from observability.services import alerts
from registry import rights
from registry.admin.acting import actor_of, attempt
from rollout.pages import alerts_parts as parts
from rollout.pages.readers import for_people

ACTS = {"acknowledge": "Acknowledge", "silence": "Silence", "unsilence": "End the silence"}
WHAT = {
    "acknowledge": "Everyone sees that you are at it, and no notice of it is repeated unless it becomes critical.",
    "silence": "Nobody is told of this cause until the silence ends, though it may go and come back meanwhile.",
    "unsilence": "The silence ends now: if the cause still holds, the next check may tell of it.",
}
DONE = {
    "acknowledge": "The alert is acknowledged.",
    "silence": "Its cause is silenced.",
    "unsilence": "The silence is over.",
}
HOURS = {"1": "1 hour", "4": "4 hours", "24": "1 day", "72": "3 days", "168": "7 days", "720": "30 days"}


class AlertActForm(forms.Form):
    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class SilenceForm(AlertActForm):
    hours = forms.ChoiceField(choices=list(HOURS.items()), initial="4", label="For how long")
    field_order = ("hours", "reason")

    def until(self, at: datetime) -> datetime:
        return at + timedelta(hours=int(self.cleaned_data["hours"]))


def offered(alert: Alert) -> dict[str, str]:
    """The acts that its state allows, with their words. alert: with silenced_until."""
    silenced = alert.silenced_until is not None  # type: ignore[attr-defined]  # annotated
    possible = {
        "acknowledge": alert.acknowledged_at is None and alert.resolved_at is None,
        "silence": alert.resolved_at is None or silenced,
        "unsilence": silenced,
    }
    return {act: words for act, words in ACTS.items() if possible[act]}


@for_people()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def alert_act(request: HttpRequest, alert_id: str, act: str) -> HttpResponse:
    """Ask for the reason, showing what is true now; then do it. Whoever was overtaken sees what it is now."""
    rights.require(request, rights.HANDLE_ALERTS)
    if act not in ACTS:
        raise Http404(act)
    _found(alert_id)
    form = (SilenceForm if act == "silence" else AlertActForm)(request.POST or None)
    if attempt(
        form, lambda: rights.under_right(request, rights.HANDLE_ALERTS, partial(_do, request, alert_id, act, form))
    ):
        messages.success(request, DONE[act])
        return redirect("alert_page", alert_id)
    return _ask(request, _found(alert_id), act, form)


def _found(alert_id: str) -> Alert:
    try:
        return find_alert(alert_id)
    except NotFound as error:
        raise Http404(error.detail) from error


def _do(request: HttpRequest, alert_id: str, act: str, form: AlertActForm) -> Any:
    given = {"alert_id": alert_id, "reason": form.cleaned_data["reason"], "actor": actor_of(request)}
    match act:
        case "acknowledge":
            return alerts.acknowledge(**given)
        case "silence" if isinstance(form, SilenceForm):
            return alerts.silence(until=form.until(now()), **given)
        case _:
            return alerts.unsilence(**given)


def _ask(request: HttpRequest, alert: Alert, act: str, form: AlertActForm) -> HttpResponse:
    possible = act in offered(alert)
    context = {
        "alert": alert,
        "line": parts.line(alert, now()),
        "form": form,
        "words": ACTS[act],
        "what": WHAT[act] if possible else "",
    }
    return render(request, "alert_act.html", context)
