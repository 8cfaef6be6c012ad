"""Published versions: to be read."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from registry.admin.outlook import compared
from registry.admin.read_only import ReadOnlyAdmin, as_written
from registry.core import outline, reading
from registry.models import PromptVersion
from registry.selectors import content_of


class VersionList(ChangeList):
    """Without what they say: a template may be long."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[PromptVersion]:
        found = super().get_queryset(request, exclude_parameters)
        return found.defer("template", "config", "input_schema", "response_schema")


@admin.register(PromptVersion)
class PromptVersionAdmin(ReadOnlyAdmin):
    list_display = ["ref", "ordinal", "type", "notes", "published_at", "published_by"]
    list_select_related = ["prompt"]
    search_fields = ["prompt__name", "notes", "sha256"]
    fields = ["ref"]
    change_form_template = "registry/admin/version.html"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[VersionList]:
        return VersionList

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        version = self.get_object(request, object_id)
        context = _context(request, version) if version else {}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @admin.display(description="version", ordering="prompt__name")
    def ref(self, version: PromptVersion) -> str:
        return version.ref


def _context(request: HttpRequest, version: PromptVersion) -> dict[str, Any]:
    content = content_of(version)
    settings = {
        "Config": content.config,
        "Input schema": content.input_schema,
        "Response schema": content.response_schema,
    }
    previous = version.prompt.versions.filter(ordinal__lt=version.ordinal).first()
    return {
        "shown": reading.as_written(content.template),
        "variables": outline.variable_rows(content),
        "answers": outline.expected_answers(content.response_schema),
        "labels": version.labels.order_by("name"),
        "settings": {name: as_written(value) for name, value in settings.items() if value},
        **compared(version.prompt, content, against=request.GET.get("against", ""), otherwise=previous),
    }
