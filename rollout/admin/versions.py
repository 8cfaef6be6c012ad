"""The registry's pages of prompts and versions, with what it cannot know: their usage, and the way to a rollout."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from registry import rights
from registry.admin.prompts import PromptAdmin
from registry.admin.versions import PromptVersionAdmin
from registry.models import Prompt, PromptVersion
from rollout.admin.usage import usage_of

admin.site.unregister(Prompt)
admin.site.unregister(PromptVersion)


@admin.register(Prompt)
class RolledOutPromptAdmin(PromptAdmin):
    change_form_template = "admin/rollout/prompt.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_start": request.user.has_perm(rights.START), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)


@admin.register(PromptVersion)
class UsedVersionAdmin(PromptVersionAdmin):
    change_form_template = "admin/rollout/version.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        version = self.get_queryset(request).filter(pk=object_id).first() if object_id.isdecimal() else None
        context = {
            "may_start": request.user.has_perm(rights.START),
            "usage": usage_of(version) if version and self.has_view_permission(request, version) else None,
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))
