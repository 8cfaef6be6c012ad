"""API keys: issued with their text shown once, and revoked."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from registry import rights, services
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import KeyForm
from registry.admin.read_only import ReadOnlyAdmin
from registry.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "prefix", "scope_names", "reach", "created_at", "last_used_at", "expires_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "prefix"]
    fields = [
        *("name", "prefix", "scope_names", "reach", "created_at", "created_by"),
        *("last_used_at", "expires_at", "revoked_at"),
    ]
    actions = ["revoke"]

    @admin.display(description="scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="reaches")
    def reach(self, key: ApiKey) -> str:
        prompts = f"prompts {key.prompt_prefix}…" if key.prompt_prefix else ""
        labels = f"labels {', '.join(key.labels)}" if key.labels else ""
        return "; ".join(filter(None, (prompts, labels))) or "everything"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.ISSUE_KEYS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.REVOKE_KEYS)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The answer itself shows the key, so that its text is nowhere else: no session, no cookie, no log."""
        rights.require(request, rights.ISSUE_KEYS)
        form = KeyForm(request.POST or None, scopes=rights.scopes_to_give(request))
        issued = attempt(
            form,
            lambda: rights.under_right(
                request,
                rights.ISSUE_KEYS,
                lambda: services.issue_key(**form.cleaned_data, actor=actor_of(request)),
            ),
        )
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
            rights.under_right(
                request, rights.REVOKE_KEYS, partial(services.revoke_key, key=key, actor=actor_of(request))
            )
            self.log_change(request, key, "Revoked.")
            self.message_user(request, f"Revoked {key}: it opens nothing any more.", messages.SUCCESS)
