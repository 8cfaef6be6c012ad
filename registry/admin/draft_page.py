"""The page on which a draft is edited, with what it would look like beside it, and its preview as it is typed."""

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from registry import rights, selectors, services
from registry.admin import kept_texts
from registry.admin.acting import actor_of, attempt
from registry.admin.example import value_fields, values_of
from registry.admin.forms import DraftForm
from registry.admin.kept_texts import KeptText
from registry.admin.outlook import outlook
from registry.admin.pages import PagesAdmin
from registry.core import reading
from registry.core.content import Content
from registry.core.problems import Problem
from registry.models import Draft, Prompt

EMPTY = Content("text", "")
WORD = string.ascii_lowercase + "_"


def draft_view(pages: PagesAdmin, request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Edit the draft, which begins as the newest version. Whoever was overtaken sees both texts, and may go on."""
    prompt = pages.find(request, prompt_id, rights.EDIT_DRAFTS)
    kept = kept_texts.read_kept(request.POST)
    form = DraftForm(request.POST or None, initial=_initial(prompt))
    if kept_texts.TAKE in request.POST:
        form.data, kept = kept_texts.take(kept, request.POST[kept_texts.TAKE], request.POST)
    elif "_preview" not in request.POST and (saved := _save(request, prompt, form)):
        pages.done(request, prompt, f"Saved revision {saved.revision} of the draft.")
        if not kept or "_publish" in request.POST:
            page = "publish" if "_publish" in request.POST else "draft"
            return HttpResponseRedirect(reverse(f"admin:registry_prompt_{page}", args=[prompt.pk]))
        form.sees_now(saved.revision)
    elif (draft := _draft_of(prompt)) and form.sees_now(draft.revision):
        title = f"Stored by {draft.updated_by} while you edited, revision {draft.revision}"
        kept = kept_texts.keep(kept, title, _as_typed(selectors.content_of(draft), draft))
    return pages.page(request, prompt, "draft", f"Draft of {prompt.name}", _context(request, prompt, form, kept))


def preview_view(pages: PagesAdmin, request: HttpRequest, prompt_id: int) -> HttpResponse:
    """What stands beside the form, for the text in it (static/editor.js). Nothing is stored."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    prompt = pages.find(request, prompt_id, rights.EDIT_DRAFTS)
    form = DraftForm(request.POST, initial={})
    draft = _draft_of(prompt)
    context = _beside(request, prompt, form) | {"overtaken_by": draft if _is_stale(form, draft) else None}
    return TemplateResponse(request, "registry/admin/parts/beside.html", context)


def _beside(request: HttpRequest, prompt: Prompt, form: DraftForm) -> dict[str, Any]:
    """The preview with its example, and the outlook, of what is typed or, before that, of what the form begins with."""
    content, found = form.typed if form.is_bound else (_begun(prompt), ())
    notes = form.data.get("notes", "") if form.is_bound else form.initial["notes"]
    against = (request.POST or request.GET).get("against", "")
    fields = value_fields(content, request.POST)
    context = outlook(prompt, content, notes=notes, against=against, found=found)
    return context | {
        "value_fields": fields,
        "shown": reading.as_rendered(content.template, values_of(fields)),
        "problems_of": _by_field(context["problems"]),
    }


def _by_field(problems: Sequence[Problem]) -> Mapping[str, list[str]]:
    """Each problem in words at the field of the form that it is about, `` for none of them."""
    told: dict[str, list[str]] = {}
    for problem in problems:
        rest = problem.field.lstrip(WORD)
        field = problem.field.removesuffix(rest)
        told.setdefault(field, []).append(_place(rest) + problem.message)
    return told


def _place(path: str) -> str:
    message = re.match(r"\[(\d+)\]", path)
    place = f"message {int(message[1]) + 1}" if message else path.lstrip(".")
    return f"{place}: " if place else ""


def _save(request: HttpRequest, prompt: Prompt, form: DraftForm) -> Draft | None:
    return attempt(
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


def _context(request: HttpRequest, prompt: Prompt, form: DraftForm, kept: Sequence[KeptText]) -> dict[str, Any]:
    compared = [(text, kept_texts.differing(text, form.data)) for text in kept]
    context = _beside(request, prompt, form)
    fields = [(field, context["problems_of"].get(field.name, ())) for field in form.visible_fields()]
    return context | {"form": form, "fields": fields, "kept": compared}


def _draft_of(prompt: Prompt) -> Draft | None:
    return Draft.objects.filter(prompt=prompt).first()


def _initial(prompt: Prompt) -> dict[str, Any]:
    return DraftForm.initial_of(_begun(prompt), _draft_of(prompt))


def _begun(prompt: Prompt) -> Content:
    begun = _draft_of(prompt) or prompt.versions.first()
    return selectors.content_of(begun) if begun else EMPTY


def _as_typed(content: Content, draft: Draft) -> dict[str, Any]:
    form = DraftForm(initial=DraftForm.initial_of(content, draft))
    return {field.name: field.value() for field in form}


def _is_stale(form: DraftForm, draft: Draft | None) -> bool:
    return draft is not None and form.data.get("revision") != str(draft.revision)
