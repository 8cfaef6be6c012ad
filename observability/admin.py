"""The admin shows what happened, which nobody edits, and the prices, which are added and deleted and never changed."""

import re
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.clock import now
from observability.models import Alert, Call, CallText, PriceOverride, Score, Silence
from observability.selectors import UNPRICED_FOR, unpriced_models
from observability.services.prices import add_override, pattern_of, provider_of, remove_override
from registry import rights
from registry.admin.acting import actor_of
from registry.admin.read_only import BoundedPaginator, ReadOnlyInline, as_written

SHOWN = 10
TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TextInline(ReadOnlyInline):
    """For people with the permission `observability.view_calltext`."""

    model = CallText
    fields = ["kept_because", "input", "output", "stored_at"]
    readonly_fields = ["input", "output"]

    def input(self, text: CallText) -> str:
        return as_written(text.input_text)

    def output(self, text: CallText) -> str:
        return as_written(text.output_text)


@admin.register(Call)
class CallAdmin(ReadOnly):
    list_display = [
        *("started_at", "prompt_name", "version_number", "operation", "request_model", "error", "duration_ms"),
        "trace_page",
    ]
    list_select_related = ["version"]
    list_filter = ["error", "is_embedding"]
    search_fields = ["prompt_name"]
    search_help_text = "A prompt's whole name, a trace's or a response's id"
    sortable_by = ()
    inlines = [TextInline]
    show_full_result_count = False
    paginator = BoundedPaginator
    readonly_fields = ["trace_page"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Call], search_term: str
    ) -> tuple[QuerySet[Call], bool]:
        """Only what an index finds: there may be millions of calls."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if TRACE_ID.fullmatch(term):
            of_trace = Call.objects.of_trace(bytes.fromhex(term)).values("pk")
            return queryset.filter(Q(pk__in=of_trace) | Q(response_id=term)), False
        return queryset.filter(Q(prompt_name=term) | Q(response_id=term)), False

    @admin.display(description="trace")
    def trace_page(self, call: Call) -> SafeString:
        return link_to_trace(call)


@admin.register(Score)
class ScoreAdmin(ReadOnly):
    list_display = ["received_at", "name", "value", "source", "target", "waiting", "gave_up", "counts", "trace_page"]
    list_select_related = ["call"]
    list_filter = ["waiting", "gave_up", "source"]
    search_fields = ["name__exact", "target__exact"]
    search_help_text = "A whole name or target"
    ordering = ["-id"]
    sortable_by = ()
    show_full_result_count = False
    paginator = BoundedPaginator
    readonly_fields = ["trace_page"]

    @admin.display(description="trace")
    def trace_page(self, score: Score) -> SafeString | str:
        return link_to_trace(score.call) if score.call else "none yet"


def link_to_trace(call: Call) -> SafeString:
    trace_id = bytes(call.trace_id).hex()
    return format_html('<a href="{}">{}…</a>', reverse("trace_page", args=[trace_id]), trace_id[:8])


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Says before anything is written that there is such a price already, however its names are written."""

    def clean_provider(self) -> str:
        return provider_of(self.cleaned_data["provider"])

    def clean_pattern(self) -> str:
        return pattern_of(self.cleaned_data["pattern"])


@admin.register(PriceOverride)
class PriceOverrideAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    form = PriceForm
    list_display = ["pattern", "provider", "effective_from", "input", "output", "call", "note"]
    search_fields = ["pattern", "provider", "note"]
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list says as its subtitle which models have no price."""
        unpriced = [model.model or "no model" for model in unpriced_models(since=now() - UNPRICED_FOR)[:SHOWN]]
        subtitle = f"Without a price in the last 7 days: {', '.join(unpriced) or 'none'}"
        return super().changelist_view(request, {"subtitle": subtitle, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: PriceOverride, form: Any, change: bool) -> None:
        add = partial(add_override, **form.cleaned_data, actor=actor_of(request))
        obj.pk = rights.under_right(request, rights.ADD_PRICES, add).pk

    def delete_model(self, request: HttpRequest, obj: PriceOverride) -> None:
        remove = partial(remove_override, override_id=obj.pk, actor=actor_of(request))
        rights.under_right(request, rights.DELETE_PRICES, remove)


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
