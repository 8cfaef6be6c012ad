"""The admin shows what happened, which nobody edits; the prices, which are added and deleted and never changed; soft
budgets, which are raised and lowered; and objectives."""

import re
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.clock import now
from common.errors import DomainError
from observability import admin_evaluators as admin_evaluators  # registers its pages
from observability.core.conversions import clean
from observability.core.shares import read_share_bp
from observability.models import Call, CallText, Objective, PriceOverride, Score, SpendBudget
from observability.representation import named
from observability.selectors import UNPRICED_FOR, unpriced_models
from observability.services.budgets import add_budget, change_budget, remove_budget
from observability.services.objectives import (
    change_objective,
    check_promise,
    create_objective,
    delete_objective,
    usual_days,
    usual_target_bp,
)
from observability.services.prices import add_override, pattern_of, provider_of, remove_override
from registry import rights
from registry.admin.acting import actor_of
from registry.admin.read_only import BoundedPaginator, ReadOnlyInline, as_written

SHOWN = 10
TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TextInline(ReadOnlyInline):
    """For people with the permission `observability.view_calltext`."""

    model = CallText
    fields = ["kept_because", "input", "output", "stored_at"]
    readonly_fields = ["input", "output"]

    def input(self, text: CallText) -> str:
        return as_written(text.input_text)

    def output(self, text: CallText) -> str:
        return as_written(text.output_text)


@admin.register(Call)
class CallAdmin(ReadOnly):
    list_display = [
        *("started_at", "prompt_name", "version_number", "operation", "request_model", "error", "duration_ms"),
        "trace_page",
    ]
    list_select_related = ["version"]
    list_filter = ["error", "is_embedding"]
    search_fields = ["prompt_name"]
    search_help_text = "A prompt's whole name, a trace's or a response's id"
    sortable_by = ()
    inlines = [TextInline]
    show_full_result_count = False
    paginator = BoundedPaginator
    readonly_fields = ["trace_page"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Call], search_term: str
    ) -> tuple[QuerySet[Call], bool]:
        """Only what an index finds: there may be millions of calls."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if TRACE_ID.fullmatch(term):
            of_trace = Call.objects.of_trace(bytes.fromhex(term)).values("pk")
            return queryset.filter(Q(pk__in=of_trace) | Q(response_id=term)), False
        return queryset.filter(Q(prompt_name=term) | Q(response_id=term)), False

    @admin.display(description="trace")
    def trace_page(self, call: Call) -> SafeString:
        return link_to_trace(call)


@admin.register(Score)
class ScoreAdmin(ReadOnly):
    list_display = ["received_at", "name", "value", "source", "target", "waiting", "gave_up", "counts", "trace_page"]
    list_select_related = ["call"]
    list_filter = ["waiting", "gave_up", "source"]
    search_fields = ["name__exact", "target__exact"]
    search_help_text = "A whole name or target"
    ordering = ["-id"]
    sortable_by = ()
    show_full_result_count = False
    paginator = BoundedPaginator
    readonly_fields = ["trace_page"]

    @admin.display(description="trace")
    def trace_page(self, score: Score) -> SafeString | str:
        return link_to_trace(score.call) if score.call else "none yet"


def link_to_trace(call: Call) -> SafeString:
    trace_id = bytes(call.trace_id).hex()
    return format_html('<a href="{}">{}…</a>', reverse("trace_page", args=[trace_id]), trace_id[:8])


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Says before anything is written that there is such a price already, however its names are written."""

    def clean_provider(self) -> str:
        return provider_of(self.cleaned_data["provider"])

    def clean_pattern(self) -> str:
        return pattern_of(self.cleaned_data["pattern"])


@admin.register(PriceOverride)
class PriceOverrideAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    form = PriceForm
    list_display = ["pattern", "provider", "effective_from", "input", "output", "call", "note"]
    search_fields = ["pattern", "provider", "note"]
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list says as its subtitle which models have no price."""
        unpriced = [model.model or "no model" for model in unpriced_models(since=now() - UNPRICED_FOR)[:SHOWN]]
        subtitle = f"Without a price in the last 7 days: {', '.join(unpriced) or 'none'}"
        return super().changelist_view(request, {"subtitle": subtitle, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: PriceOverride, form: Any, change: bool) -> None:
        add = partial(add_override, **form.cleaned_data, actor=actor_of(request))
        obj.pk = rights.under_right(request, rights.ADD_PRICES, add).pk

    def delete_model(self, request: HttpRequest, obj: PriceOverride) -> None:
        remove = partial(remove_override, override_id=obj.pk, actor=actor_of(request))
        rights.under_right(request, rights.DELETE_PRICES, remove)


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Says before anything is written that there is such a budget already, however its value is written."""

    def clean_value(self) -> str:
        return clean(self.cleaned_data["value"]).strip()


@admin.register(SpendBudget)
class SpendBudgetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    """One right for all: who may raise a budget may as well remove it. What it is of stays."""

    form = BudgetForm
    list_display = ["dimension", "of", "period", "usd", "active", "created_by"]
    list_filter = ["dimension", "period", "active"]
    actions = None

    @admin.display(description="value", ordering="value")
    def of(self, budget: SpendBudget) -> str:
        return named(budget.dimension, budget.value) or "each by itself"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.CHANGE_BUDGETS)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(rights.CHANGE_BUDGETS)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["dimension", "value", "period"] if obj else []

    def save_model(self, request: HttpRequest, obj: SpendBudget, form: Any, change: bool) -> None:
        fields, actor = form.cleaned_data, actor_of(request)
        save = partial(change_budget, budget_id=obj.pk) if change else add_budget
        obj.pk = rights.under_right(request, rights.CHANGE_BUDGETS, lambda: save(**fields, actor=actor)).pk

    def delete_model(self, request: HttpRequest, obj: SpendBudget) -> None:
        remove = partial(remove_budget, budget_id=obj.pk, actor=actor_of(request))
        rights.under_right(request, rights.CHANGE_BUDGETS, remove)


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
