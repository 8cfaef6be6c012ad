"""Alerts and silences, which are acted on from their pages."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from observability.admin.read_only import ReadOnly
from observability.models import Alert, Silence
from registry.admin.read_only import BoundedPaginator


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    """What people do about one they do on its page, `/alerts/…`."""

    list_display = ["fired_at", "severity", "kind", "summary", "acknowledged_by", "resolved_at", "page"]
    list_filter = ["kind", "severity"]
    search_fields = ["prompt"]
    search_help_text = "A prompt's whole name"
    sortable_by = ()
    show_full_result_count = False
    paginator = BoundedPaginator
    readonly_fields = ["page"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Alert], search_term: str
    ) -> tuple[QuerySet[Alert], bool]:
        term = search_term.strip()
        return (queryset.filter(prompt=term) if term else queryset), False

    @admin.display(description="page")
    def page(self, alert: Alert) -> SafeString:
        return format_html('<a href="{}">What to do</a>', reverse("alert_page", args=[alert.pk]))


@admin.register(Silence)
class SilenceAdmin(ReadOnly):
    list_display = ["cause", "until", "reason", "created_by"]
    ordering = ["-until"]
    sortable_by = ()
    show_full_result_count = False
