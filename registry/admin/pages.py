"""Pages of the admin with a form of their own, and what all of them need."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from registry import rights
from registry.admin.read_only import ReadOnlyAdmin


class PagesAdmin(ReadOnlyAdmin):
    def find(self, request: HttpRequest, row_id: int, *any_of: str) -> Any:
        """The row, for someone who has one of the rights. Raises PermissionDenied or Http404."""
        rights.require(request, *any_of)
        return get_object_or_404(self.model, pk=row_id)

    def done(self, request: HttpRequest, row: Any, sentence: str) -> None:
        self.log_change(request, row, sentence)
        self.message_user(request, sentence, messages.SUCCESS)

    def page(
        self, request: HttpRequest, original: Any, name: str, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "original": original, "title": title}
        return TemplateResponse(request, f"registry/admin/{name}.html", shared | context)
