"""Webhook endpoints: made, changed, enabled and disabled, with their health in words. A secret is shown once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from common.actors import Actor
from common.clock import now
from common.errors import DomainError
from registry import rights
from registry.admin.acting import actor_of, attempt
from registry.admin.read_only import ReadOnlyAdmin
from registry.events import EVENT_TYPES
from rollout.admin.health import health_in_words
from rollout.formats import count
from rollout.models import Delivery, DeliveryStatus, WebhookEndpoint
from rollout.pages.rollout_parts import DeliveryRow, delivery_row
from rollout.webhooks import services
from rollout.webhooks.health import with_counts

DELIVERIES_SHOWN = 20


class EndpointForm(forms.Form):
    url = forms.CharField(label="Address", widget=forms.URLInput(attrs={"class": "vURLField"}))
    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENT_TYPES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None ticked means all of them.",
    )
    description = forms.CharField(max_length=200, required=False)
    format = forms.ChoiceField(
        choices=[("standard", "the event as JSON"), ("slack", "a sentence, as Slack takes it")], required=False
    )

    def clean_format(self) -> str:
        return self.cleaned_data["format"] or "standard"


class RotationForm(forms.Form):
    keep_old_for = forms.TypedChoiceField(
        label="The old secret",
        choices=[("24", "signs too for 24 hours"), ("0", "does not sign any more")],
        coerce=lambda hours: timedelta(hours=int(hours)),
    )


@dataclass(frozen=True, slots=True)
class Act:
    """What one click on a confirmation does.

    warning: with the counts `pending` and `dead` to be filled in. do: gets the endpoint's id and who acts. done: goes
    on after its name.
    """

    words: str
    warning: str
    done: str
    right: str
    possible: Callable[[WebhookEndpoint], bool]
    do: Callable[[str, Actor], object]

    def warns(self, endpoint: Any) -> str:
        return self.warning.format(dead=count(endpoint.dead), pending=count(endpoint.pending))


ACTS = {
    "disable": Act(
        "Disable",
        "It is sent nothing any more. What it was still to be sent ({pending} pending) is dead until it is replayed.",
        "is disabled.",
        rights.CHANGE_WEBHOOKS,
        lambda endpoint: not endpoint.disabled_at,
        lambda endpoint_id, actor: services.disable_endpoint(endpoint_id=endpoint_id, actor=actor),
    ),
    "enable": Act(
        "Enable",
        "It is told again of what happens from now on. What is dead, {dead} of it, can then be replayed.",
        "is enabled.",
        rights.CHANGE_WEBHOOKS,
        lambda endpoint: bool(endpoint.disabled_at),
        lambda endpoint_id, actor: services.enable_endpoint(endpoint_id=endpoint_id, actor=actor),
    ),
    "replay": Act(
        "Replay what is dead",
        "Everything that is dead, {dead} of it, is sent again, now, with all retries and the same ids.",
        "is being sent again what was dead.",
        rights.REPLAY,
        lambda endpoint: not endpoint.disabled_at,
        lambda endpoint_id, actor: services.replay_all(
            endpoint_id=endpoint_id, status=DeliveryStatus.DEAD, actor=actor
        ),
    ),
}


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = ["url", "health", "wants", "format", "description", "last_success_at"]
    search_fields = ["id", "url", "description"]
    fields = [
        *("url", "health", "wants", "format", "description", "secrets", "last_success_at", "last_failure_at"),
        *("disabled_at", "id", "created_at", "created_by"),
    ]
    readonly_fields = ["health", "wants", "secrets"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return with_counts(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.ADD_WEBHOOKS)

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, Callable[..., HttpResponse]] = {"edit": self.edit, "rotate": self.rotate}
        for name in ACTS:
            views[name] = partial(self.act, name=name)
        guarded = {name: self.admin_site.admin_view(view) for name, view in views.items()}
        return [
            *(
                path(f"<slug:endpoint_id>/{name}/", view, name=f"rollout_webhookendpoint_{name}")
                for name, view in guarded.items()
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        endpoint = self.get_queryset(request).filter(pk=unquote(object_id)).first()
        context = {"pages": _pages(request, endpoint), "deliveries": _newest_deliveries(request, endpoint)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The answer itself shows the secret, so that its text is nowhere else: no session, no cookie, no log."""
        rights.require(request, rights.ADD_WEBHOOKS)
        form = EndpointForm(request.POST or None)

        def create() -> WebhookEndpoint:
            return services.create_endpoint(**form.cleaned_data, actor=actor_of(request))

        endpoint = attempt(form, lambda: rights.under_right(request, rights.ADD_WEBHOOKS, create))
        if endpoint:
            self.log_addition(request, endpoint, "Added.")
        return self._page(request, "add_webhook", "Add a webhook", {"form": form, "original": endpoint})

    def edit(self, request: HttpRequest, endpoint_id: str) -> HttpResponse:
        endpoint = self._find(request, endpoint_id)
        form = EndpointForm(request.POST or None, initial=vars(endpoint))

        def change() -> WebhookEndpoint:
            return services.change_endpoint(endpoint_id=endpoint_id, **form.cleaned_data, actor=actor_of(request))

        if changed := attempt(form, lambda: rights.under_right(request, rights.CHANGE_WEBHOOKS, change)):
            return self._done(request, changed, "is changed.")
        return self._page(request, "edit_webhook", f"Change {endpoint}", {"form": form, "original": endpoint})

    def rotate(self, request: HttpRequest, endpoint_id: str) -> HttpResponse:
        """As at its making, the answer alone shows the new secret."""
        endpoint = self._find(request, endpoint_id)
        form = RotationForm(request.POST or None)

        def change() -> WebhookEndpoint:
            return services.rotate_secret(endpoint_id=endpoint_id, **form.cleaned_data, actor=actor_of(request))

        rotated = attempt(form, lambda: rights.under_right(request, rights.CHANGE_WEBHOOKS, change))
        if rotated:
            self.log_change(request, rotated, "Secret rotated.")
        kept_until = [until for _, until in rotated.kept_at(now())] if rotated else []
        context = {"form": form, "original": endpoint, "rotated": rotated, "kept_until": kept_until}
        return self._page(request, "rotate_webhook", f"Rotate the secret of {endpoint}", context)

    def act(self, request: HttpRequest, endpoint_id: str, *, name: str) -> HttpResponse:
        act = ACTS[name]
        endpoint = self._find(request, endpoint_id, act.right)
        if request.method == "POST":
            try:
                rights.under_right(request, act.right, lambda: act.do(endpoint_id, actor_of(request)))
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
                return redirect("admin:rollout_webhookendpoint_change", endpoint_id)
            return self._done(request, endpoint, act.done)
        context = {"original": endpoint, "act": act, "warning": act.warns(endpoint)}
        return self._page(request, "act_webhook", f"{act.words}: {endpoint}", context)

    @admin.display(description="events")
    def wants(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events) or "all"

    @admin.display(description="secrets that sign")
    def secrets(self, endpoint: WebhookEndpoint) -> str:
        kept = [f"{until:%Y-%m-%d %H:%M} UTC" for _, until in endpoint.kept_at(now())]
        return "the present one" + "".join(f", an older one until {until}" for until in kept)

    @admin.display(description="health")
    def health(self, endpoint: WebhookEndpoint) -> SafeString:
        return health_in_words(endpoint, now())

    def _find(self, request: HttpRequest, endpoint_id: str, right: str = rights.CHANGE_WEBHOOKS) -> WebhookEndpoint:
        rights.require(request, right)
        return get_object_or_404(with_counts(WebhookEndpoint.objects.all()), pk=endpoint_id)

    def _done(self, request: HttpRequest, endpoint: WebhookEndpoint, words: str) -> HttpResponse:
        self.log_change(request, endpoint, words.capitalize())
        self.message_user(request, f"{endpoint} {words}", messages.SUCCESS)
        return redirect("admin:rollout_webhookendpoint_change", endpoint.pk)

    def _page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, f"admin/rollout/{name}.html", shared | context)


def _newest_deliveries(request: HttpRequest, endpoint: WebhookEndpoint | None) -> list[tuple[Delivery, DeliveryRow]]:
    if endpoint is None or not request.user.has_perm("rollout.view_delivery"):
        return []
    newest = endpoint.deliveries.select_related("event", "endpoint").prefetch_related("log")
    return [
        (delivery, delivery_row(delivery, now()))
        for delivery in newest.defer("payload", "event__data")[:DELIVERIES_SHOWN]
    ]


def _pages(request: HttpRequest, endpoint: WebhookEndpoint | None) -> dict[str, str]:
    """What this person may do with the endpoint: the words of the links by the names of their pages."""
    if endpoint is None:
        return {}
    edits = {"edit": "Change", "rotate": "Rotate the secret"}
    pages = edits if request.user.has_perm(rights.CHANGE_WEBHOOKS) else {}
    acts = {n: a.words for n, a in ACTS.items() if a.possible(endpoint) and request.user.has_perm(a.right)}
    return {f"admin:rollout_webhookendpoint_{name}": words for name, words in {**pages, **acts}.items()}
