"""Labels with their moves. A label is moved from its prompt's page (registry.admin.prompts)."""

from django.contrib import admin

from registry.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from registry.models import Label, LabelMove


class MoveInline(ReadOnlyInline):
    model = LabelMove
    fields = ["moved_at", "from_number", "to_number", "reason", "actor"]
    readonly_fields = ["moved_at", "from_number", "to_number", "reason", "actor"]
    verbose_name_plural = "moves"

    @admin.display(description="from")
    def from_number(self, move: LabelMove) -> str:
        return move.from_version.number if move.from_version else "nowhere"

    @admin.display(description="to")
    def to_number(self, move: LabelMove) -> str:
        return move.to_version.number


@admin.register(Label)
class LabelAdmin(ReadOnlyAdmin):
    list_display = ["prompt", "name", "version", "held_by", "updated_at"]
    list_display_links = ["name"]
    list_select_related = ["prompt", "version__prompt"]
    list_filter = ["name"]
    search_fields = ["prompt__name"]
    fields = ["prompt", "name", "version", "held_by", "updated_at"]
    inlines = [MoveInline]
    change_form_template = "registry/admin/label.html"
