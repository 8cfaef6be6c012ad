"""Prompts, and what is done with one: edit its draft, publish it, move its labels, take it out of service."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms.utils import pretty_name
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from common.errors import DomainError
from registry import rights, selectors, services
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import DraftForm, MoveForm, PromptForm, PublishForm
from registry.admin.read_only import ReadOnlyAdmin, ReadOnlyInline, as_written
from registry.core.content import Content
from registry.core.problems import ProblemsFound
from registry.core.validation import publishable
from registry.models import Draft, Label, Prompt

EMPTY = Content("text", "")


class LabelInline(ReadOnlyInline):
    model = Label
    fields = ["name", "version", "held_by", "updated_at"]
    readonly_fields = ["held_by"]
    show_change_link = True


@admin.register(Prompt)
class PromptAdmin(ReadOnlyAdmin):
    form = PromptForm
    list_display = ["name", "description", "tag_names", "created_at", "archived_at"]
    list_filter = [("archived_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "description"]
    actions = ["archive", "unarchive"]
    change_form_template = "registry/admin/prompt.html"

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
        views = {"draft": self.draft_view, "publish": self.publish_view, "label": self.label_view}
        pages = [
            path(f"<int:prompt_id>/{name}/", self.admin_site.admin_view(view), name=f"registry_prompt_{name}")
            for name, view in views.items()
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

    def draft_view(self, request: HttpRequest, prompt_id: int) -> HttpResponse:
        """Edit the draft, which begins as the newest version. Whoever was overtaken sees both texts, and may go on."""
        prompt = self._prompt(request, prompt_id, rights.EDIT_DRAFTS)
        form = DraftForm(request.POST or None, initial=_initial(prompt))
        saved = attempt(
            form,
            lambda: rights.under_right(
                request,
                rights.EDIT_DRAFTS,
                lambda: services.save_draft(
                    prompt=prompt,
                    content=form.content,
                    notes=form.cleaned_data["notes"],
                    expected_revision=form.cleaned_data["revision"],
                    actor=actor_of(request),
                ),
            ),
        )
        if saved:
            self._done(request, prompt, f"Saved revision {saved.revision} of the draft.")
            page = "publish" if "_publish" in request.POST else "draft"
            return HttpResponseRedirect(reverse(f"admin:registry_prompt_{page}", args=[prompt.pk]))
        draft = _draft_of(prompt)
        context: dict[str, Any] = {"form": form}
        if draft:
            context |= _outlook(prompt, selectors.content_of(draft))
            if form.sees_now(draft.revision):
                context |= {"overtaken_by": draft, "stored": _whole(draft)}
        return self._page(request, prompt, "draft", f"Draft of {prompt.name}", context)

    def publish_view(self, request: HttpRequest, prompt_id: int) -> HttpResponse:
        """Publish the draft, after a look at what it changes and the smallest step that this allows."""
        prompt = self._prompt(request, prompt_id, rights.PUBLISH)
        draft = get_object_or_404(Draft, prompt=prompt)
        outlook = _outlook(prompt, selectors.content_of(draft))
        form = PublishForm(
            request.POST or None, initial={"revision": draft.revision}, smallest=outlook["proposal"].smallest
        )
        published = attempt(
            form,
            lambda: rights.under_right(
                request,
                rights.PUBLISH,
                lambda: services.publish_draft(
                    prompt=prompt,
                    expected_revision=form.cleaned_data["revision"],
                    bump=form.cleaned_data["bump"],
                    version=form.cleaned_data["version"],
                    actor=actor_of(request),
                ),
            ),
        )
        if published:
            self._done(request, prompt, f"Published {published.version}.")
            return HttpResponseRedirect(reverse("admin:registry_promptversion_change", args=[published.version.pk]))
        form.sees_now(draft.revision)
        return self._page(
            request, prompt, "publish", f"Publish {prompt.name}", outlook | {"form": form, "draft": draft}
        )

    def label_view(self, request: HttpRequest, prompt_id: int) -> HttpResponse:
        """Move a label of the prompt, or make one."""
        prompt = self._prompt(request, prompt_id, rights.MOVE_LABELS, rights.MOVE_PRODUCTION)
        initial = {"label": request.GET.get("label", "production"), "version": prompt.versions.first()}
        form = MoveForm(request.POST or None, initial=initial, prompt=prompt)
        label = attempt(
            form,
            lambda: rights.under_right(
                request,
                rights.of_label(form.cleaned_data["label"]),
                lambda: services.move_label(
                    prompt_name=prompt.name,
                    label=form.cleaned_data["label"],
                    version=form.cleaned_data["version"].number,
                    reason=form.cleaned_data["reason"],
                    actor=actor_of(request),
                ),
            ),
        )
        if label:
            self._done(request, prompt, f"Moved {label} to {label.version.number}.")
            return HttpResponseRedirect(reverse("admin:registry_label_change", args=[label.pk]))
        return self._page(request, prompt, "move", f"Move a label of {prompt.name}", {"form": form})

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
                self._done(request, prompt, f"{what} {prompt}.")

    def _prompt(self, request: HttpRequest, prompt_id: int, *any_of: str) -> Prompt:
        rights.require(request, *any_of)
        return get_object_or_404(Prompt, pk=prompt_id)

    def _done(self, request: HttpRequest, prompt: Prompt, sentence: str) -> None:
        self.log_change(request, prompt, sentence)
        self.message_user(request, sentence, messages.SUCCESS)

    def _page(
        self, request: HttpRequest, prompt: Prompt, name: str, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "original": prompt, "title": title}
        return TemplateResponse(request, f"registry/admin/{name}.html", shared | context)


def _draft_of(prompt: Prompt) -> Draft | None:
    return Draft.objects.filter(prompt=prompt).first()


def _initial(prompt: Prompt) -> dict[str, Any]:
    draft, newest = _draft_of(prompt), prompt.versions.first()
    begun = draft or newest
    return DraftForm.initial_of(selectors.content_of(begun) if begun else EMPTY, draft)


def _whole(draft: Draft) -> dict[str, str]:
    """Everything that an editor sees of a draft, by the form's labels."""
    names = ("type", "template", "config", "input_schema", "response_schema", "notes")
    return {pretty_name(name): as_written(getattr(draft, name)) for name in names}


def _outlook(prompt: Prompt, content: Content) -> dict[str, Any]:
    """What publishing the content would mean, and everything that keeps it from being published."""
    try:
        content = publishable(content)
    except ProblemsFound as found:
        return {"problems": found.problems, "proposal": selectors.Proposal(None, (), None)}
    proposal = selectors.propose(prompt, content)
    outlook: dict[str, Any] = {"proposal": proposal, "variables": content.variables, "problems": ()}
    if proposal.base:
        outlook["diffs"] = selectors.diff_contents(
            selectors.content_of(proposal.base), content, names=(proposal.base.ref, "draft")
        )
    return outlook
