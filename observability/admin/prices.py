"""Prices of the project's own, which are added and deleted and never changed."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from common.clock import now
from observability.models import PriceOverride
from observability.selectors import UNPRICED_FOR, unpriced_models
from observability.services.prices import add_override, pattern_of, provider_of, remove_override
from registry import rights
from registry.admin.acting import actor_of

SHOWN = 10


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
