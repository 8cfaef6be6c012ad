"""The admin shows what happened; nobody edits it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from observability.models import Call, CallText, Score
from registry.admin.read_only import ReadOnlyInline, as_written


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
    list_display = ["started_at", "prompt_name", "version_number", "operation", "request_model", "error", "duration_ms"]
    list_select_related = ["version"]
    list_filter = ["error", "operation"]
    search_fields = ["prompt_name", "response_id"]
    inlines = [TextInline]
    show_full_result_count = False


@admin.register(Score)
class ScoreAdmin(ReadOnly):
    list_display = ["received_at", "name", "value", "source", "target", "waiting", "counts"]
    list_filter = ["waiting", "source"]
    search_fields = ["name", "target"]
    show_full_result_count = False
