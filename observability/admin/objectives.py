"""Objectives, as a form in words."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from common.errors import DomainError
from observability.core.shares import read_share_bp
from observability.models import Objective
from observability.services.objectives import (
    change_objective,
    check_promise,
    create_objective,
    delete_objective,
    usual_days,
    usual_target_bp,
)
from registry import rights
from registry.admin.acting import actor_of


class ObjectiveForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """What is wrong is said by the service, so that the form refuses what the API does, in the same words."""

    target = forms.CharField(
        label="Calls that keep it, %",
        required=False,
        help_text="Of times, speed and cost: which share of the calls must keep the number, 95 if not said. Of scores "
        "and rates it is the mean that is promised: leave it empty.",
    )
    read_revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Objective
        fields = ["prompt", "label", "name", "metric", "comparison", "threshold", "target", "days", "active"]
        help_texts = {
            "label": "Calls that name it count, whatever their version.",
            "name": "What alerts and plans call it, such as faithfulness.",
            "metric": "The name of a score, or error_rate, output_valid, ttft, latency, inter_token_latency, "
            "tokens_per_second or cost_per_call.",
            "comparison": "What the metric has to stay.",
            "threshold": "Of scores and rates between 0 and 1 (0.02 is 2 %); of times in ms; of costs in USD.",
            "days": "Of which the error budget is: 28 if not said, and 7 of output_valid and cost_per_call.",
            "active": "Unticked: it is shown, and nobody is told when its budget burns.",
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk:
            self.initial["read_revision"] = self.instance.revision
            bp = self.instance.target_bp
            self.initial["target"] = "" if bp is None else f"{bp / 100:g}"
        else:
            self.initial["days"] = None
        if "days" in self.fields:  # it is not for those who may only look
            self.fields["days"].required = False

    def clean_target(self) -> int | None:
        written = self.cleaned_data["target"].strip().removesuffix("%")
        try:
            return read_share_bp(f"{written}%") if written else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return found
        metric = found.get("metric", self.instance.metric)
        found["target_bp"] = found.pop("target")
        if found["target_bp"] is None:
            found["target_bp"] = usual_target_bp(metric)
        found["days"] = found.get("days") or usual_days(metric)
        if self.instance.pk and found.pop("read_revision", None) not in (None, self.instance.revision):
            raise forms.ValidationError("Somebody has changed it meanwhile: look at what it is now, then change it.")
        self._judge(found)
        return found

    def _judge(self, found: dict[str, Any]) -> None:
        judged = Objective(**{name: found.get(name, getattr(self.instance, name, None)) for name in JUDGED})
        try:
            check_promise(judged)
        except DomainError as error:
            for wrong in error.errors:
                self.add_error(wrong.field if wrong.field in self.fields else None, wrong.message)


JUDGED = ("label", "name", "metric", "comparison", "threshold", "target_bp", "days")
STAYS = ["prompt", "label", "name", "metric", "comparison"]


@admin.register(Objective)
class ObjectiveAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    """Another prompt, label, name, metric or comparison makes another objective."""

    form = ObjectiveForm
    list_display = ["name", "prompt", "label", "metric", "comparison", "threshold", "days", "active"]
    list_select_related = ["prompt"]
    list_filter = ["active", "label"]
    search_fields = ["prompt__name", "name", "metric"]
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return STAYS if obj else []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*ObjectiveForm.Meta.fields, "read_revision"] if obj else list(ObjectiveForm.Meta.fields)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.CHANGE_OBJECTIVES)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CHANGE_OBJECTIVES)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CHANGE_OBJECTIVES)

    def save_model(self, request: HttpRequest, obj: Objective, form: Any, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in ("threshold", "target_bp", "days", "active")}
        if change:
            act = partial(change_objective, objective_id=obj.pk, **fields, actor=actor_of(request))
        else:
            names = {name: form.cleaned_data[name] for name in ("label", "name", "metric", "comparison")}
            prompt_name = form.cleaned_data["prompt"].name
            act = partial(create_objective, prompt_name=prompt_name, **names, **fields, actor=actor_of(request))
        obj.pk = rights.under_right(request, rights.CHANGE_OBJECTIVES, act).pk

    def delete_model(self, request: HttpRequest, obj: Objective) -> None:
        delete = partial(delete_objective, objective_id=obj.pk, actor=actor_of(request))
        rights.under_right(request, rights.CHANGE_OBJECTIVES, delete)
