"""The page on which a draft is edited, with what it would look like beside it, and its preview as it is typed."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from registry import rights, selectors, services
from registry.admin import kept_texts
from registry.admin.acting import actor_of, attempt
from registry.admin.example import value_fields, values_of
from registry.admin.forms import DraftForm
from registry.admin.outlook import outlook
from registry.admin.pages import PagesAdmin
from registry.core import reading
from registry.core.content import Content
from registry.models import Draft, Prompt

EMPTY = Content("text", "")


def draft_view(pages: PagesAdmin, request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Edit the draft, which begins as the newest version. Whoever was overtaken sees both texts, and may go on."""
    prompt = pages.find(request, prompt_id, rights.EDIT_DRAFTS)
    draft = _draft_of(prompt)
    form = DraftForm(request.POST or None, initial=DraftForm.initial_of(_begun(prompt, draft), draft))
    kept, saved = kept_texts.read_kept(request.POST), None
    if kept_texts.TAKE in request.POST:
        form.data, kept = kept_texts.take(kept, request.POST)
    elif "_preview" not in request.POST:
        saved = _save(request, prompt, form)
    if saved:
        pages.done(request, prompt, f"Saved revision {saved.revision} of the draft.")
        if not kept or "_publish" in request.POST:
            page = "publish" if "_publish" in request.POST else "draft"
            return HttpResponseRedirect(reverse(f"admin:registry_prompt_{page}", args=[prompt.pk]))
        form.sees_now(saved.revision)
    elif (stored := _draft_of(prompt)) and form.sees_now(stored.revision):
        title = f"Stored by {stored.updated_by} while you edited, revision {stored.revision}"
        kept = kept_texts.keep(kept, title, _as_typed(stored))
    compared = [(text, kept_texts.differing(text, form.data)) for text in kept]
    context = {"kept": compared, "is_saved": saved, "title_of_form": kept_texts.title_of(form.data)}
    beside = _beside(request, prompt, form, draft)
    return pages.page(request, prompt, "draft", f"Draft of {prompt.name}", context | beside | _fields(form, beside))


def preview_view(pages: PagesAdmin, request: HttpRequest, prompt_id: int) -> HttpResponse:
    """What stands beside the form, for the text in it (static/editor.js). Nothing is stored."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    prompt = pages.find(request, prompt_id, rights.EDIT_DRAFTS)
    form, draft = DraftForm(request.POST), _draft_of(prompt)
    is_stale = draft is not None and form.data.get("revision") != str(draft.revision)
    context = _beside(request, prompt, form, draft) | {"overtaken_by": draft if is_stale else None}
    return TemplateResponse(request, "registry/admin/parts/beside.html", context)


def _beside(request: HttpRequest, prompt: Prompt, form: DraftForm, draft: Draft | None) -> dict[str, Any]:
    """The preview with its example, and the outlook, of what is typed or, before that, of what the form begins with."""
    if form.is_bound:
        (content, found), notes = form.typed, form.data.get("notes", "")
    else:
        content, found, notes = _begun(prompt, draft), [], draft.notes if draft else ""
    against = (request.POST or request.GET).get("against", "")
    values = value_fields(content, request.POST)
    return {
        "value_fields": values,
        "shown": reading.as_rendered(content.template, values_of(values)),
        **outlook(prompt, content, notes=notes, against=against, found=found),
    }


def _fields(form: DraftForm, beside: dict[str, Any]) -> dict[str, Any]:
    """The form, and its fields with what is wrong with each."""
    told = beside["problems_of"]
    return {"form": form, "fields": [(field, told.get(field.name, ())) for field in form.visible_fields()]}


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


def _draft_of(prompt: Prompt) -> Draft | None:
    return Draft.objects.filter(prompt=prompt).first()


def _begun(prompt: Prompt, draft: Draft | None) -> Content:
    begun = draft or prompt.versions.first()
    return selectors.content_of(begun) if begun else EMPTY


def _as_typed(draft: Draft) -> dict[str, Any]:
    form = DraftForm(initial=DraftForm.initial_of(selectors.content_of(draft), draft))
    return {field.name: field.value() for field in form}
