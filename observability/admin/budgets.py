"""Soft budgets of spending, which are raised and lowered."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from observability.core.conversions import clean
from observability.models import SpendBudget
from observability.representation import named
from observability.services.budgets import add_budget, change_budget, remove_budget
from registry import rights
from registry.admin.acting import actor_of


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
