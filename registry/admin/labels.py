"""Labels with their whole history, and what one pointed at at any time. Moved on pages of their own (label_pages)."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from registry import rights, selectors
from registry.admin.forms import MomentForm
from registry.admin.label_pages import restore_view
from registry.admin.pages import PagesAdmin
from registry.models import Label

MOVES_ON_A_PAGE = 100


@admin.register(Label)
class LabelAdmin(PagesAdmin):
    list_display = ["prompt", "name", "version", "held_by", "updated_at"]
    list_display_links = ["name"]
    list_select_related = ["prompt", "version__prompt"]
    list_filter = ["name"]
    search_fields = ["prompt__name"]
    fields = ["prompt", "name"]
    change_form_template = "registry/admin/label.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(partial(restore_view, self))
        return [path("<int:label_id>/restore/", view, name="registry_label_restore"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        label = self.get_object(request, object_id)
        context = _context(request, label) if label else {}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))


def _context(request: HttpRequest, label: Label) -> dict[str, Any]:
    moves = Paginator(selectors.moves(label), MOVES_ON_A_PAGE).get_page(request.GET.get("page"))
    may_move = request.user.has_perm(rights.of_label(label.name)) and label.name != "latest"
    return {"moves": moves, "may_move": may_move, **_answer(request, label)}


def _answer(request: HttpRequest, label: Label) -> dict[str, Any]:
    """What the label pointed at at the time that was asked for: a move, or None before its first."""
    form = MomentForm(request.GET if "at" in request.GET else None)
    if not form.is_valid():
        return {"moment_form": form}
    at = form.cleaned_data["at"]
    return {"moment_form": form, "asked_at": at, "in_force": selectors.moves(label, at=at).first()}
