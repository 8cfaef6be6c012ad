"""Starting a rollout: of which version, under which plan, what that may be expected to come to, and the start."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from common.errors import DomainError
from registry import rights
from registry import selectors as registry
from registry.admin.acting import actor_of
from registry.admin.read_only import ReadOnlyAdmin
from registry.models import Prompt
from rollout import services
from rollout.admin.plan_editor import ABOVE
from rollout.admin.prepared import Prepared, labels_of, prepare
from rollout.formats import weight
from rollout.models import Rollout


class StartsRollouts(ReadOnlyAdmin):
    """The part of the admin of rollouts that makes new ones."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.START)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.forecast))
        return [path("forecast/", view, name="rollout_rollout_forecast"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """What is posted is turned into the other way of writing it, forecast, or started: as the button says."""
        rights.require(request, rights.START)
        if "prompt" not in request.GET:
            prompts = registry.prompts().values_list("name", flat=True)
            return self._start_page(request, "Start a rollout", "choose_prompt", {"prompts": prompts})
        prompt = _prompt(request)
        title = f"Start a rollout of {prompt.name}"
        if missing := _missing(prompt):
            return self._start_page(request, title, missing, {"prompt": prompt})
        start = _prepared(request, prompt)
        if request.method == "POST" and (rollout := self._posted(request, start)):
            self.log_addition(request, rollout, "Started.")
            words = f"{rollout} is started: {weight(rollout.weight_bp)} of units get {rollout.canary.number}."
            self.message_user(request, words, messages.SUCCESS)
            return redirect("rollout_page", rollout.pk)
        return self._start_page(request, title, "start", {"start": start, **_told(start)})

    def forecast(self, request: HttpRequest) -> HttpResponse:
        """For the page's script: the forecast as it stands on the page, and what is wrong by the ids of the fields."""
        rights.require(request, rights.START)
        start = _prepared(request, _prompt(request))
        if start.is_filled_in():
            start.attempt(start.foresee)
        html = render_to_string("admin/rollout/forecast.html", {"start": start, **_told(start)}, request)
        return JsonResponse({"forecast": html, "errors": start.told})

    def _posted(self, request: HttpRequest, start: Prepared) -> Rollout | None:
        """The rollout that was started; None for whatever leads back to the page."""
        if "_more" in request.POST or not start.is_filled_in():
            return None
        if "_forecast" in request.POST:
            start.attempt(start.foresee)
        elif "_as_json" in request.POST:
            start.editor.turn_into_json()
        elif "_as_fields" in request.POST:
            start.attempt(lambda: start.editor.turn_into_fields(start.plan()))
        else:
            return start.attempt(lambda: _start(request, start))
        return None

    def _start_page(self, request: HttpRequest, title: str, name: str, context: dict[str, Any]) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, f"admin/rollout/{name}.html", shared | context)


def _missing(prompt: Prompt) -> str | None:
    """The page about what a rollout of it takes first."""
    if not labels_of(prompt).exists():
        return "no_label"
    return None if prompt.versions.all()[1:].exists() else "one_version"


def _start(request: HttpRequest, start: Prepared) -> Rollout:
    return rights.under_right(
        request,
        rights.START,
        lambda: services.create_rollout(
            prompt_name=start.prompt.name,
            canary=start.canary.number,
            label=start.label.name,
            plan=start.editor.written(),
            force_reason=start.subject.cleaned_data["force_reason"],
            actor=actor_of(request),
        ),
    )


def _prompt(request: HttpRequest) -> Prompt:
    try:
        return registry.find_prompt(request.GET.get("prompt", ""))
    except DomainError as error:
        raise Http404(error.detail) from error


def _prepared(request: HttpRequest, prompt: Prompt) -> Prepared:
    try:
        return prepare(prompt, request.GET, request.POST or None)
    except DomainError as error:
        raise Http404(error.detail) from error


def _told(start: Prepared) -> dict[str, list[str]]:
    """What is wrong with no single field."""
    return {f"told_{place}": start.told.get(place, []) for place in (ABOVE, "steps", "metrics")}
