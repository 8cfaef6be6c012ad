"""Webhook endpoints, whose secret is shown once, and deliveries, which can be replayed."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from common.errors import DomainError
from registry.admin.acting import actor_of, attempt
from registry.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from registry.events import EVENT_TYPES
from rollout.models import Delivery, DeliveryAttempt, WebhookEndpoint
from rollout.webhooks import services


class EndpointForm(forms.Form):
    url = forms.CharField(label="Address", widget=forms.URLInput(attrs={"class": "vURLField"}))
    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENT_TYPES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None ticked means all of them.",
    )
    description = forms.CharField(max_length=200, required=False)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = ["url", "wants", "description", "created_at", "disabled_at"]
    search_fields = ["id", "url", "description"]
    fields = ["id", "url", "wants", "description", "created_at", "created_by", "disabled_at", "disabled_reason"]
    readonly_fields = ["wants"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("rollout.add_webhookendpoint")

    def get_urls(self) -> list[URLPattern]:
        disable = self.admin_site.admin_view(self.disable)
        return [
            path("<slug:endpoint_id>/disable/", disable, name="rollout_webhookendpoint_disable"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        endpoint = WebhookEndpoint.objects.filter(pk=object_id, disabled_at=None).first()
        context = {"can_disable": endpoint is not None and may_disable(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The answer itself shows the secret, so that its text is nowhere else: no session, no cookie, no log."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = EndpointForm(request.POST or None)
        endpoint = attempt(form, lambda: services.create_endpoint(**form.cleaned_data, actor=actor_of(request)))
        if endpoint:
            self.log_addition(request, endpoint, "Added.")
        return self._page(request, "add_webhook", "Add a webhook", {"form": form, "original": endpoint})

    def disable(self, request: HttpRequest, endpoint_id: str) -> HttpResponse:
        if not may_disable(request):
            raise PermissionDenied
        endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
        if request.method == "POST":
            services.disable_endpoint(endpoint_id=endpoint_id, actor=actor_of(request))
            self.log_change(request, endpoint, "Disabled.")
            self.message_user(request, f"{endpoint} is disabled.", messages.SUCCESS)
            return redirect("admin:rollout_webhookendpoint_change", endpoint_id)
        return self._page(request, "disable_webhook", f"Disable {endpoint}", {"original": endpoint})

    @admin.display(description="events")
    def wants(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events) or "all"

    def _page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, f"admin/rollout/{name}.html", shared | context)


class AttemptInline(ReadOnlyInline):
    model = DeliveryAttempt
    fields = ["number", "attempted_at", "http_status", "error", "duration_ms"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["event_type", "endpoint", "status", "dead_reason", "attempts", "created_at", "next_attempt_at"]
    list_filter = ["status", "dead_reason"]
    search_fields = ["id", "event__id", "event__prompt", "endpoint__url"]
    fields = [
        *("id", "event_type", "endpoint", "status", "dead_reason", "attempts"),
        *("created_at", "next_attempt_at", "delivered_at", "sent"),
    ]
    readonly_fields = ["event_type", "sent"]
    inlines = [AttemptInline]
    actions = ["replay"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related("event", "endpoint").defer("payload", "event__data")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("rollout.change_delivery")

    @admin.action(description="Replay: send again, now, with all retries", permissions=["replay"])
    def replay(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        for delivery in deliveries:
            try:
                services.replay(endpoint_id=delivery.endpoint_id, delivery_id=delivery.pk, actor=actor_of(request))
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.log_change(request, delivery, "Replayed.")
                self.message_user(request, f"{delivery} is being sent again.", messages.SUCCESS)

    @admin.display(description="event", ordering="event__type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="payload")
    def sent(self, delivery: Delivery) -> str:
        return bytes(delivery.payload).decode(errors="replace")


def may_disable(request: HttpRequest) -> bool:
    return request.user.has_perm("rollout.change_webhookendpoint")
