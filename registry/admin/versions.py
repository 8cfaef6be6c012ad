"""Published versions: to be read."""

from django.contrib import admin

from registry.admin.read_only import ReadOnlyAdmin, as_written
from registry.models import PromptVersion
from registry.selectors import content_of


@admin.register(PromptVersion)
class PromptVersionAdmin(ReadOnlyAdmin):
    list_display = ["ref", "ordinal", "type", "notes", "published_at", "published_by"]
    list_select_related = ["prompt"]
    search_fields = ["prompt__name", "notes", "sha256"]
    fields = [
        "ref", "ordinal", "type", "template_text", "variables", "config_text", "input_schema_text",
        "response_schema_text", "notes", "published_at", "published_by", "sha256",
    ]  # fmt: skip

    @admin.display(description="version", ordering="prompt__name")
    def ref(self, version: PromptVersion) -> str:
        return version.ref

    @admin.display(description="template")
    def template_text(self, version: PromptVersion) -> str:
        return as_written(version.template)

    @admin.display
    def variables(self, version: PromptVersion) -> str:
        return ", ".join(content_of(version).variables) or "none"

    @admin.display(description="config")
    def config_text(self, version: PromptVersion) -> str:
        return as_written(version.config)

    @admin.display(description="input schema")
    def input_schema_text(self, version: PromptVersion) -> str:
        return as_written(version.input_schema)

    @admin.display(description="response schema")
    def response_schema_text(self, version: PromptVersion) -> str:
        return as_written(version.response_schema)
