"""The audit trail: read, searched and exported, and changed by nobody."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.safestring import SafeString

from registry.admin.read_only import ReadOnlyAdmin, as_written
from registry.audit_export import FORMATS
from registry.models import AuditEntry

CONTENT_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor", "action", "target", "reason", "address"]
    list_filter = ["action", "at"]
    search_fields = ["actor", "action", "target", "reason", "address", "request_id"]
    fields = ["at", "actor", "action", "target", "before_text", "after_text", "reason", "address", "request_id"]
    readonly_fields = ["before_text", "after_text"]
    actions = ["export_as_jsonl", "export_as_csv"]
    show_full_result_count = False

    @admin.display(description="before")
    def before_text(self, entry: AuditEntry) -> SafeString | str:
        return as_written(entry.before)

    @admin.display(description="after")
    def after_text(self, entry: AuditEntry) -> SafeString | str:
        return as_written(entry.after)

    @admin.action(description="Export as JSON lines", permissions=["view"])
    def export_as_jsonl(self, request: HttpRequest, entries: QuerySet[AuditEntry]) -> StreamingHttpResponse:
        return _file(entries, "jsonl")

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_as_csv(self, request: HttpRequest, entries: QuerySet[AuditEntry]) -> StreamingHttpResponse:
        return _file(entries, "csv")


def _file(entries: QuerySet[AuditEntry], ending: str) -> StreamingHttpResponse:
    disposition = f'attachment; filename="audit.{ending}"'
    return StreamingHttpResponse(
        FORMATS[ending](entries), content_type=CONTENT_TYPES[ending], headers={"Content-Disposition": disposition}
    )
