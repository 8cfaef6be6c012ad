"""Rollouts with their transitions and verdicts, and the changes that a person may ask for, each with a reason."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.clock import now
from registry import rights
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import RevisionForm
from registry.admin.read_only import ReadOnlyAdmin, ReadOnlyInline, as_written
from rollout import selectors, services, wording
from rollout.core.lifecycle import is_allowed
from rollout.formats import weight
from rollout.models import Rollout, Transition, Verdict

RIGHTS = {"start": rights.START, "promote": rights.PROMOTE}  # all others take rights.STEER
WORDS = {"rollback": "Roll back"}
TIMES = (
    *("created_at", "started_at", "step_entered_at", "hold_until", "paused_at"),
    *("deadline_at", "next_look_at", "ended_at"),
)


class ActForm(RevisionForm):
    reason = forms.CharField(
        max_length=2000, widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept in the history."
    )
    revision = forms.IntegerField(widget=forms.HiddenInput)


class TransitionInline(ReadOnlyInline):
    model = Transition
    fields = ["happened_at", "action", "from_status", "to_status", "step", "to_weight", "cause", "reason", "actor"]
    readonly_fields = ["to_weight"]

    @admin.display(description="weight")
    def to_weight(self, transition: Transition) -> str:
        return weight(transition.to_weight_bp)


@admin.register(Rollout)
class RolloutAdmin(ReadOnlyAdmin):
    list_display = ["id", "versions", "label", "state", "share", "started_at", "ended_at"]
    list_filter = ["status", "hold_reason"]
    list_select_related = ["prompt", "label__prompt", "control", "canary", "verdict"]
    search_fields = ["id", "prompt__name"]
    fieldsets = [
        (
            None,
            {"fields": ["versions", "label", "state", "share", "revision", "verdicts", "created_by", "force_reason"]},
        ),
        ("Times", {"fields": TIMES, "classes": ["collapse"]}),
        ("Plan", {"fields": ["plan_written_out"], "classes": ["collapse"]}),
    ]
    readonly_fields = ["versions", "state", "share", "verdicts", "plan_written_out"]
    inlines = [TransitionInline]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act)
        return [path("<slug:rollout_id>/act/<slug:act>/", view, name="rollout_rollout_act"), *super().get_urls()]

    def view_on_site(self, rollout: Rollout) -> str:
        return reverse("rollout_page", args=[rollout.pk])

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rollout = Rollout.objects.filter(pk=object_id).first()
        acts = {
            act: _words(act)
            for act in services.ACTIONS
            if rollout and is_allowed(act, rollout.status) and request.user.has_perm(_right(act))
        }
        context = {"acts": acts, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def act(self, request: HttpRequest, rollout_id: str, act: str) -> HttpResponse:
        """Ask for the reason, showing what is true now; then do it. Whoever was overtaken sees what has changed."""
        if act not in services.ACTIONS:
            raise Http404(act)
        rights.require(request, _right(act))
        rollout = get_object_or_404(selectors.rollouts(), pk=rollout_id)
        form = ActForm(request.POST or None, initial={"revision": rollout.revision})
        done = attempt(
            form,
            lambda: rights.under_right(
                request,
                _right(act),
                lambda: services.ACTIONS[act](
                    rollout_id=rollout.pk,
                    actor=actor_of(request),
                    reason=form.cleaned_data["reason"],
                    expected_revision=form.cleaned_data["revision"],
                ),
            ),
        )
        if done:
            self.log_change(request, done, f"{_words(act)}: {form.cleaned_data['reason']}")
            self.message_user(request, f"{done}: {wording.state_of(done).words}.", messages.SUCCESS)
            return redirect("admin:rollout_rollout_change", rollout.pk)
        form.sees_now(rollout.revision)
        return self._ask(request, rollout, act, form)

    def _ask(self, request: HttpRequest, rollout: Rollout, act: str, form: ActForm) -> HttpResponse:
        last = selectors.newest_transitions([rollout]).get(rollout.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": rollout,
            "title": f"{_words(act)}: {rollout}",
            "state": wording.state_of(rollout),
            "sentence": wording.sentence(rollout, last, now()),
            "form": form,
            "words": _words(act),
        }
        return TemplateResponse(request, "admin/rollout/act.html", context)

    @admin.display(description="prompt and versions", ordering="prompt__name")
    def versions(self, rollout: Rollout) -> str:
        return str(rollout)

    @admin.display(description="state", ordering="status")
    def state(self, rollout: Rollout) -> str:
        return wording.state_of(rollout).words

    @admin.display(description="canary gets", ordering="weight_bp")
    def share(self, rollout: Rollout) -> str:
        return weight(rollout.weight_bp)

    @admin.display(description="verdicts")
    def verdicts(self, rollout: Rollout) -> SafeString:
        address = reverse("admin:rollout_verdict_changelist")
        return format_html('<a href="{}?rollout__id__exact={}">All of them, newest first</a>', address, rollout.pk)

    @admin.display(description="whole plan")
    def plan_written_out(self, rollout: Rollout) -> SafeString | str:
        return as_written(rollout.plan)


@admin.register(Verdict)
class VerdictAdmin(ReadOnlyAdmin):
    list_display = ["found_at", "rollout", "kind", "step", "reasons"]
    list_filter = ["kind"]
    list_select_related = ["rollout__prompt", "rollout__control", "rollout__canary"]
    search_fields = ["rollout__id"]
    fields = ["rollout", "kind", "step", "found_at", "numbers"]
    readonly_fields = ["numbers"]
    show_full_result_count = False

    @admin.display(description="reasons")
    def reasons(self, verdict: Verdict) -> str:
        return " ".join(verdict.body["reasons"])

    @admin.display(description="numbers")
    def numbers(self, verdict: Verdict) -> SafeString | str:
        return as_written(verdict.body)


def _right(act: str) -> str:
    return RIGHTS.get(act, rights.STEER)


def _words(act: str) -> str:
    return WORDS.get(act, act.capitalize())
