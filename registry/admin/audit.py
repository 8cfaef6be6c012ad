"""The audit trail: read, searched and exported, and changed by nobody."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from registry.admin.read_only import BoundedPaginator, ReadOnlyAdmin
from registry.audit_export import FORMATS
from registry.models import AuditEntry

CONTENT_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor", "action", "target", "reason", "address"]
    list_filter = ["at", "action"]
    change_list_template = "registry/admin/audit.html"
    search_fields = ["actor", "action", "target", "reason", "address", "request_id"]
    fields = ["at", "actor", "action", "target", "what_changed", "reason", "address", "request_id"]
    readonly_fields = ["what_changed"]
    actions = ["export_as_jsonl", "export_as_csv"]
    show_full_result_count = False
    paginator = BoundedPaginator

    class Media:
        css = {"all": ["admin.css"]}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.export_view))
        return [path("export/<str:ending>/", view, name="registry_auditentry_export"), *super().get_urls()]

    def export_view(self, request: HttpRequest, ending: str) -> StreamingHttpResponse:
        """All that the list's filters and search leave, in one file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if ending not in FORMATS:
            raise Http404(ending)
        return _file(self.get_changelist_instance(request).get_queryset(request), ending)

    @admin.display(description="what changed")
    def what_changed(self, entry: AuditEntry) -> SafeString | str:
        """Each member that the change touched, before and after."""
        rows = [
            {"name": name, "before": before, "after": after, "is_same": before == after}
            for name, before, after in _members(entry.before or {}, entry.after or {})
        ]
        return render_to_string("registry/admin/parts/changed.html", {"rows": rows, "entry": entry})

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


def _members(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*before, *after]):
        yield name, _words(before, name), _words(after, name)


def _words(side: dict[str, Any], name: str) -> str:
    value = side.get(name, "")
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
