"""Calls and scores, as they came."""

import re

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from observability.admin.read_only import ReadOnly
from observability.models import Call, CallText, Score
from registry.admin.read_only import BoundedPaginator, ReadOnlyInline, as_written

TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)


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
