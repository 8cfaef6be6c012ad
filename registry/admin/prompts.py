"""Prompts, and what is done with one: edit its draft, publish it, move its labels, take it out of service."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from common.clock import now
from common.errors import DomainError
from registry import rights, selectors, services
from registry.admin.acting import actor_of
from registry.admin.draft_page import draft_view, preview_view
from registry.admin.forms import PromptForm
from registry.admin.label_pages import move_view
from registry.admin.pages import PagesAdmin
from registry.admin.publish_page import publish_view
from registry.admin.read_only import ReadOnlyInline
from registry.models import Label, Prompt

PAGES = {"draft": draft_view, "draft/preview": preview_view, "publish": publish_view, "label": move_view}
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
NONE = "\N{EN DASH}"


class LabelInline(ReadOnlyInline):
    model = Label
    fields = ["name", "version", "held_by", "updated_at"]
    readonly_fields = ["held_by"]
    show_change_link = True


@admin.register(Prompt)
class PromptAdmin(PagesAdmin):
    form = PromptForm
    list_display = ["name", "production", "draft_state", "description", "tag_names", "archived_at"]
    list_filter = [("archived_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "description"]
    actions = ["archive", "unarchive"]
    change_form_template = "registry/admin/prompt.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prompt]:
        return selectors.with_states(super().get_queryset(request))

    @admin.display(description="production")
    def production(self, prompt: Prompt) -> str:
        found = (label.version.number for label in prompt.labels.all() if label.name == rights.PRODUCTION)
        return next(found, NONE)

    @admin.display(description="draft")
    def draft_state(self, prompt: Prompt) -> str:
        """Who wrote what is not published yet, and how long ago."""
        draft = getattr(prompt, "draft", None)
        if draft is None or prompt.draft_is_published:  # type: ignore[attr-defined]  # of selectors.with_states
            return NONE
        return f"draft by {draft.updated_by.removeprefix('user:')}, {_ago(draft.updated_at)}"

    @admin.display(description="tags")
    def tag_names(self, prompt: Prompt) -> str:
        return ", ".join(prompt.tags)

    def get_fields(self, request: HttpRequest, obj: Prompt | None = None) -> list[Any]:
        if obj is None:
            return ["name", "description", "tags"]
        return ["name", "description", "tag_names", "created_at", "created_by", "archived_at"]

    def get_inlines(self, request: HttpRequest, obj: Prompt | None) -> list[Any]:
        return [LabelInline] if obj else []

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<int:prompt_id>/{address}/",
                self.admin_site.admin_view(partial(view, self)),
                name=f"registry_prompt_{address.replace('/', '_')}",
            )
            for address, view in PAGES.items()
        ]
        return [*pages, *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CREATE_PROMPTS)

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.ARCHIVE)

    def save_model(self, request: HttpRequest, obj: Prompt, form: Any, change: bool) -> None:
        """Always a new prompt, as nobody may change one here."""
        made = rights.under_right(
            request,
            rights.CREATE_PROMPTS,
            lambda: services.create_prompt(**form.cleaned_data, actor=actor_of(request)),
        )
        obj.pk = made.pk

    def changeform_view(self, request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *arguments, **options)
        except DomainError as error:  # another took the name after the form had been checked
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    @admin.action(description="Archive selected prompts (they answer 410)", permissions=["archive"])
    def archive(self, request: HttpRequest, prompts: QuerySet[Prompt]) -> None:
        self._each(request, prompts.filter(archived_at=None), services.archive_prompt, "Archived")

    @admin.action(description="Serve selected prompts again", permissions=["archive"])
    def unarchive(self, request: HttpRequest, prompts: QuerySet[Prompt]) -> None:
        self._each(request, prompts.exclude(archived_at=None), services.unarchive_prompt, "Took back into service")

    def _each(self, request: HttpRequest, prompts: QuerySet[Prompt], change: Callable[..., None], what: str) -> None:
        for prompt in prompts:
            try:
                rights.under_right(request, rights.ARCHIVE, partial(change, prompt=prompt, actor=actor_of(request)))
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.done(request, prompt, f"{what} {prompt}.")


def _ago(at: datetime) -> str:
    seconds = int((now() - at).total_seconds())
    return next((f"{seconds // size} {unit} ago" for size, unit in UNITS if seconds >= size), "just now")
