"""The pages on which a label is moved: to a version, or back to what it pointed at before."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from registry import rights, selectors, services
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import MoveForm, RestoreForm
from registry.admin.pages import PagesAdmin
from registry.models import Label


def move_view(pages: PagesAdmin, request: HttpRequest, prompt_id: int) -> HttpResponse:
    """Move a label of the prompt, or make one."""
    prompt = pages.find(request, prompt_id, rights.MOVE_LABELS, rights.MOVE_PRODUCTION)
    initial = {"label": request.GET.get("label", rights.PRODUCTION), "version": prompt.versions.only("pk").first()}
    form = MoveForm(request.POST or None, initial=initial, prompt=prompt)
    label = attempt(
        form,
        lambda: _move(
            request,
            prompt_name=prompt.name,
            label=form.cleaned_data["label"],
            version=form.cleaned_data["version"].number,
            reason=form.cleaned_data["reason"],
        ),
    )
    if label:
        pages.done(request, prompt, f"Moved {label} to {label.version.number}.")
        return HttpResponseRedirect(reverse("admin:registry_label_change", args=[label.pk]))
    return pages.page(request, prompt, "move", f"Move a label of {prompt.name}", {"form": form})


def restore_view(pages: PagesAdmin, request: HttpRequest, label_id: int) -> HttpResponse:
    """Move the label to what it pointed at then. Whoever was overtaken by another move sees where it points now."""
    label = pages.find(request, label_id, rights.MOVE_LABELS, rights.MOVE_PRODUCTION)
    rights.require(request, rights.of_label(label.name))
    revision = selectors.label_revision(label)
    initial = {"at": request.GET.get("at", ""), "revision": revision}
    form = RestoreForm(request.POST or None, initial=initial, label=label)
    moved = attempt(
        form,
        lambda: _move(
            request,
            prompt_name=label.prompt.name,
            label=label.name,
            version=form.cleaned_data["at"].to_version.number,
            reason=form.cleaned_data["reason"],
            expected_revision=form.cleaned_data["revision"],
        ),
    )
    if moved:
        pages.done(request, label, f"Restored {moved} to {moved.version.number}.")
        return HttpResponseRedirect(reverse("admin:registry_label_change", args=[label.pk]))
    form.sees_now(revision)
    return pages.page(request, label, "restore", f"Restore {label}", {"form": form})


def _move(request: HttpRequest, *, label: str, **how: Any) -> Label:
    return rights.under_right(
        request, rights.of_label(label), lambda: services.move_label(label=label, actor=actor_of(request), **how)
    )
