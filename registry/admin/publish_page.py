"""The page on which a draft becomes a version, after a look at what it changes."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from registry import rights, selectors, services
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import PublishForm
from registry.admin.outlook import outlook
from registry.admin.pages import PagesAdmin
from registry.models import Draft, Prompt
from registry.services import Published


def publish_view(pages: PagesAdmin, request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Publish the draft, after a look at what it changes and the smallest step that this allows."""
    prompt = pages.find(request, prompt_id, rights.PUBLISH)
    draft = get_object_or_404(Draft, prompt=prompt)
    context: dict[str, Any] = {"draft": draft} | outlook(
        prompt, selectors.content_of(draft), notes=draft.notes, against=request.GET.get("against", "")
    )
    smallest = context["proposal"].smallest if "proposal" in context else None
    form = PublishForm(request.POST or None, initial={"revision": draft.revision}, smallest=smallest)
    if published := _publish(request, prompt, form):
        pages.done(request, prompt, f"Published {published.version}.")
        return HttpResponseRedirect(reverse("admin:registry_promptversion_change", args=[published.version.pk]))
    form.sees_now(draft.revision)
    return pages.page(request, prompt, "publish", f"Publish {prompt.name}", context | {"form": form})


def _publish(request: HttpRequest, prompt: Prompt, form: PublishForm) -> Published | None:
    return attempt(
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
