"""Evaluators in the admin: made, published and tried, and which prompts they judge. Versions are looked at."""

from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from common.errors import DomainError
from observability.api.evaluators import said_json
from observability.judging.evaluating import Judgement, Material, Missed, evaluate
from observability.models import Evaluator, EvaluatorKind, EvaluatorVersion, Judging, JudgingBudget
from observability.selectors.evaluators import newest_versions
from observability.services.evaluators import (
    checked_version,
    create_evaluator,
    publish_evaluator_version,
    remove_judging,
    set_judging,
    set_judging_budget,
)
from observability.services.prices import current_overrides
from registry import rights
from registry.admin.acting import actor_of, attempt
from registry.admin.forms import WIDE, JSONField
from registry.admin.pages import PagesAdmin
from registry.admin.read_only import ReadOnlyAdmin, ReadOnlyInline, as_written

TEXT = {**WIDE, "rows": 3}


class VersionInline(ReadOnlyInline):
    model = EvaluatorVersion
    fields = ["ordinal", "kind", "template", "notes", "published_at", "published_by"]
    ordering = ["-ordinal"]
    show_change_link = True


class JudgingInline(ReadOnlyInline):
    model = Judging
    fields = ["prompt", "share_bp", "canary_share_bp", "active"]
    show_change_link = True


class VersionForm(forms.Form):
    kind = forms.ChoiceField(choices=EvaluatorKind.choices)
    config = JSONField(help_text="As its kind needs it; what is left out gets its default")
    template = forms.CharField(
        required=False, help_text="Of a judge: the version of a prompt that asks it, such as judge-faithfulness@1.0"
    )
    notes = forms.CharField(
        required=False, widget=forms.Textarea(attrs=TEXT), help_text="To publish: what changed, and why"
    )
    input = forms.CharField(required=False, widget=forms.Textarea(attrs=TEXT), help_text="To try: what was asked")
    output = forms.CharField(required=False, widget=forms.Textarea(attrs=TEXT), help_text="To try: what was answered")
    documents = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs=TEXT),
        help_text="To try: what was retrieved, with an empty line between two documents",
    )

    def version(self) -> dict[str, Any]:
        told = self.cleaned_data
        return {"kind": told["kind"], "config": told["config"] or {}, "template": told["template"] or None}

    def material(self) -> Material:
        told = self.cleaned_data
        documents = told["documents"].replace("\r\n", "\n").split("\n\n")
        return Material(
            told["input"] or None, told["output"] or None, [text for text in documents if text.strip()], None, None
        )


@admin.register(Evaluator)
class EvaluatorAdmin(PagesAdmin):
    list_display = ["name", "score", "newest", "description"]
    search_fields = ["name", "score"]
    fields = ["name", "score", "description"]
    inlines = [VersionInline, JudgingInline]
    change_form_template = "registry/admin/evaluator.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluator]:
        return super().get_queryset(request).prefetch_related("versions")

    @admin.display(description="newest version")
    def newest(self, evaluator: Evaluator) -> str:
        version = next(iter(evaluator.versions.all()), None)
        return f"{version} ({version.kind})" if version else "none yet"

    def get_urls(self) -> list[URLPattern]:
        publish = self.admin_site.admin_view(self.publish_view)
        page = path("<int:evaluator_id>/publish/", publish, name="observability_evaluator_publish")
        return [page, *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CHANGE_EVALUATORS)

    def get_inlines(self, request: HttpRequest, obj: Evaluator | None) -> list[Any]:
        return self.inlines if obj else []

    def save_model(self, request: HttpRequest, obj: Evaluator, form: Any, change: bool) -> None:
        """Always a new evaluator, as nobody may change one here."""
        make = partial(create_evaluator, **form.cleaned_data, actor=actor_of(request))
        obj.pk = rights.under_right(request, rights.CHANGE_EVALUATORS, make).pk

    def publish_view(self, request: HttpRequest, evaluator_id: int) -> HttpResponse:
        """The form of the next version, filled in with the newest: it is tried or published."""
        evaluator = self.find(request, evaluator_id, rights.CHANGE_EVALUATORS)
        form = VersionForm(request.POST or None, initial=_initial(evaluator))
        context: dict[str, Any] = {"form": form}
        if "try" in request.POST:
            context["said"] = attempt(form, lambda: _said(evaluator, form))
        elif version := attempt(form, lambda: self._publish(request, evaluator, form)):
            self.done(request, evaluator, f"Published {version}.")
            return HttpResponseRedirect(reverse("admin:observability_evaluator_change", args=[evaluator.pk]))
        return self.page(request, evaluator, "publish_evaluator", f"Next version of {evaluator.name}", context)

    def _publish(self, request: HttpRequest, evaluator: Evaluator, form: VersionForm) -> EvaluatorVersion:
        publish = partial(
            publish_evaluator_version,
            evaluator_name=evaluator.name,
            **form.version(),
            notes=form.cleaned_data["notes"],
            actor=actor_of(request),
        )
        return rights.under_right(request, rights.CHANGE_EVALUATORS, publish)


def _initial(evaluator: Evaluator) -> dict[str, Any]:
    newest = newest_versions([evaluator]).get(evaluator.pk)
    if newest is None:
        return {"kind": EvaluatorKind.JUDGE}
    return {"kind": newest.kind, "config": newest.config, "template": newest.template and newest.template.ref}


def _said(evaluator: Evaluator, form: VersionForm) -> dict[str, Any]:
    """What a version as it stands in the form says of the form's texts. Nothing is stored."""
    version = checked_version(evaluator, **form.version())
    deadline_s = settings.JUDGE_DEADLINE.total_seconds()
    said: Judgement | Missed = evaluate(version, form.material(), deadline_s=deadline_s, overrides=current_overrides())
    return said_json(said)


@admin.register(EvaluatorVersion)
class EvaluatorVersionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "kind", "template", "notes", "published_at", "published_by"]
    list_select_related = ["evaluator", "template__prompt"]
    list_filter = ["kind"]
    search_fields = ["evaluator__name"]
    ordering = ["-id"]
    fields = ["evaluator", "ordinal", "kind", "written", "template", "notes", "sha256", "published_at", "published_by"]
    readonly_fields = ["written"]

    @admin.display(description="config")
    def written(self, version: EvaluatorVersion) -> SafeString | str:
        return as_written(version.config)


class _ByService(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    """Rows that a service writes, for people with the one right."""

    actions = None
    named_by: tuple[str, ...] = ("prompt",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.CHANGE_EVALUATORS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CHANGE_EVALUATORS)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CHANGE_EVALUATORS)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Which row it is stays."""
        return self.named_by if obj else ()

    def changeform_view(self, request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *arguments, **options)
        except DomainError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


@admin.register(Judging)
class JudgingAdmin(_ByService):
    list_display = ["prompt", "evaluator", "share_bp", "canary_share_bp", "active"]
    list_display_links = ["prompt", "evaluator"]
    list_select_related = ["prompt", "evaluator"]
    list_filter = ["active"]
    search_fields = ["prompt__name", "evaluator__name"]
    named_by = ("prompt", "evaluator")

    def save_model(self, request: HttpRequest, obj: Judging, form: Any, change: bool) -> None:
        told: dict[str, Any] = {name: form.cleaned_data[name] for name in ("share_bp", "canary_share_bp", "active")}
        names: dict[str, Any] = {"prompt_name": obj.prompt.name, "evaluator_name": obj.evaluator.name}
        save = partial(set_judging, **names, **told, actor=actor_of(request))
        obj.pk = rights.under_right(request, rights.CHANGE_EVALUATORS, save).pk

    def delete_model(self, request: HttpRequest, obj: Judging) -> None:
        names = {"prompt_name": obj.prompt.name, "evaluator_name": obj.evaluator.name}
        remove = partial(remove_judging, **names, actor=actor_of(request))
        rights.under_right(request, rights.CHANGE_EVALUATORS, remove)


@admin.register(JudgingBudget)
class JudgingBudgetAdmin(_ByService):
    list_display = ["prompt", "calls_a_day", "usd_a_day"]
    list_select_related = ["prompt"]
    search_fields = ["prompt__name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """An empty field is no bound."""
        form: Any = super().get_form(request, obj, change, **options)
        for name in form.base_fields.keys() & {"calls_a_day", "usd_a_day"}:  # none for those who may only look
            form.base_fields[name].required = False
            form.base_fields[name].help_text = "Of a day in UTC; empty for no bound"
        return form

    def save_model(self, request: HttpRequest, obj: JudgingBudget, form: Any, change: bool) -> None:
        told = {name: form.cleaned_data[name] for name in ("calls_a_day", "usd_a_day")}
        save = partial(set_judging_budget, prompt_name=obj.prompt.name, **told, actor=actor_of(request))
        rights.under_right(request, rights.CHANGE_EVALUATORS, save)
