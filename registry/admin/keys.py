"""API keys: issued with their text shown once, and revoked."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from registry import services
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import KeyForm
from registry.admin.read_only import ReadOnlyAdmin
from registry.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "prefix", "scope_names", "created_at", "created_by", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "prefix"]
    fields = ["name", "prefix", "scope_names", "created_at", "created_by", "revoked_at"]
    actions = ["revoke"]

    @admin.display(description="scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("registry.add_apikey")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("registry.change_apikey")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The answer itself shows the key, so that its text is nowhere else: no session, no cookie, no log."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = KeyForm(request.POST or None)
        issued = attempt(form, lambda: services.issue_key(**form.cleaned_data, actor=actor_of(request)))
        key, text = issued or (None, None)
        if key:
            self.log_addition(request, key, "Issued.")
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Issue an API key"}
        return TemplateResponse(
            request, "registry/admin/key.html", {**shared, "form": form, "original": key, "key": text}
        )

    @admin.action(description="Revoke selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys.filter(revoked_at=None):
            services.revoke_key(key=key, actor=actor_of(request))
            self.log_change(request, key, "Revoked.")
            self.message_user(request, f"Revoked {key}: it opens nothing any more.", messages.SUCCESS)
