"""Deliveries with their attempts and what was sent, which can be replayed: one on its page, several from the list.

What was sent may quote a version, and the path of an address be a secret: each is for those who may look at that.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.clock import now
from common.errors import DomainError
from registry import rights
from registry.admin.acting import actor_of
from registry.admin.read_only import BoundedPaginator, ReadOnlyAdmin, ReadOnlyInline
from rollout import wording
from rollout.formats import DASH, moment
from rollout.models import Delivery, DeliveryAttempt, DeliveryStatus
from rollout.webhooks import services


class AttemptInline(ReadOnlyInline):
    model = DeliveryAttempt
    fields = ["number", "attempted_at", "http_status", "error", "duration_ms"]
    verbose_name_plural = "attempts"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["event_type", "about", "host", "state", "attempts", "created_at", "next_attempt"]
    list_filter = ["status", "dead_reason"]
    search_fields = ["id__exact"]
    search_help_text = "The whole id of a delivery or an event, a prompt's whole name, or an endpoint's whole address"
    fields = [
        *("event_type", "about", "host", "state", "attempts", "next_attempt"),
        *("created_at", "delivered_at", "id", "sent"),
    ]
    readonly_fields = ["event_type", "about", "endpoint_page", "host", "state", "next_attempt", "sent"]
    inlines = [AttemptInline]
    actions = ["replay"]
    show_full_result_count = False
    paginator = BoundedPaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related("event", "endpoint").defer("payload", "event__data")

    def get_list_display(self, request: HttpRequest) -> Any:
        return _shown(request, self.list_display, host="endpoint")

    def get_fields(self, request: HttpRequest, obj: Delivery | None = None) -> Any:
        fields = _shown(request, self.fields, host="endpoint_page")
        return [field for field in fields if field != "sent" or request.user.has_perm(rights.VIEW_VERSIONS)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        """Only what an index finds: there may be hundreds of thousands."""
        term = search_term.strip()
        if not term:
            return queryset, False
        addresses = ["endpoint__url"] if request.user.has_perm(rights.VIEW_WEBHOOKS) else []
        by_id, *others = (
            Delivery.objects.filter(**{name: term}).order_by().values("pk")
            for name in ("pk", "event__id", "event__prompt", *addresses)
        )
        return queryset.filter(pk__in=by_id.union(*others)), False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.replay_view)
        return [path("<slug:delivery_id>/replay/", view, name="rollout_delivery_replay"), *super().get_urls()]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.REPLAY)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        delivery = self.get_queryset(request).filter(pk=unquote(object_id)).first()
        ended = delivery is not None and delivery.status != DeliveryStatus.PENDING
        context = {"may_replay": ended and self.has_replay_permission(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def replay_view(self, request: HttpRequest, delivery_id: str) -> HttpResponse:
        rights.require(request, rights.REPLAY)
        delivery = get_object_or_404(self.get_queryset(request), pk=delivery_id)
        if request.method == "POST":
            self._replay(request, delivery)
            return redirect("admin:rollout_delivery_change", delivery.pk)
        return self._ask(request, [delivery], original=delivery)

    @admin.action(description="Replay: send again, now, with all retries", permissions=["replay"])
    def replay(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> HttpResponse | None:
        """Asks before it does it; what is asked for is then posted again, with `confirmed`."""
        if "confirmed" not in request.POST:
            return self._ask(request, list(deliveries), action="replay", chosen=ACTION_CHECKBOX_NAME)
        for delivery in deliveries:
            self._replay(request, delivery)
        return None

    @admin.display(description="event", ordering="event__type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="prompt", ordering="event__prompt")
    def about(self, delivery: Delivery) -> str:
        return delivery.event.prompt or DASH

    @admin.display(description="endpoint")
    def endpoint_page(self, delivery: Delivery) -> SafeString:
        address = reverse("admin:rollout_webhookendpoint_change", args=[delivery.endpoint_id])
        return format_html('<a href="{}">{}</a>', address, delivery.endpoint)

    @admin.display(description="endpoint")
    def host(self, delivery: Delivery) -> str:
        return delivery.endpoint.host

    @admin.display(description="state", ordering="status")
    def state(self, delivery: Delivery) -> str:
        return wording.state_of_delivery(delivery).words

    @admin.display(description="next attempt", ordering="next_attempt_at")
    def next_attempt(self, delivery: Delivery) -> SafeString | str:
        return format_html("{} UTC", moment(delivery.next_attempt_at, now())) if delivery.next_attempt_at else DASH

    @admin.display(description="payload")
    def sent(self, delivery: Delivery) -> SafeString:
        return format_html("<pre>{}</pre>", bytes(delivery.payload).decode(errors="replace"))

    def _replay(self, request: HttpRequest, delivery: Delivery) -> None:
        replay = partial(
            services.replay, endpoint_id=delivery.endpoint_id, delivery_id=delivery.pk, actor=actor_of(request)
        )
        try:
            rights.under_right(request, rights.REPLAY, replay)
        except DomainError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.log_change(request, delivery, "Replayed.")
            self.message_user(request, f"{delivery} is being sent again.", messages.SUCCESS)

    def _ask(self, request: HttpRequest, deliveries: list[Delivery], **context: Any) -> TemplateResponse:
        title = "Replay one delivery" if len(deliveries) == 1 else f"Replay {len(deliveries)} deliveries"
        may_view_webhooks = request.user.has_perm(rights.VIEW_WEBHOOKS)
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        shared |= {"may_view_webhooks": may_view_webhooks}
        return TemplateResponse(request, "admin/rollout/replay.html", {**shared, "deliveries": deliveries, **context})


def _shown(request: HttpRequest, fields: Sequence[Any], *, host: str) -> list[Any]:
    """The fields, with this one in place of the host for those who may see the whole address."""
    may = request.user.has_perm(rights.VIEW_WEBHOOKS)
    return [host if may and field == "host" else field for field in fields]
