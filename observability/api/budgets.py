"""Soft budgets of spending, and how they stand."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.clock import now
from common.rest import CursorPages, StrictSerializer, read_body, read_query
from observability.api.fields import Text
from observability.core.budgets import Period
from observability.core.conversions import TEXT_LIMIT
from observability.models import SpendBudget
from observability.models.budgets import BUDGETED, LEAST_USD, MOST_USD
from observability.representation import budget_json
from observability.selectors.budgets import standings
from observability.services.budgets import add_budget, change_budget, find_budget, remove_budget
from registry.idempotency import idempotent
from registry.keys import Grant, grant_behind, refuse_restricted
from registry.models import Scope

READ_OR_CHANGE = {"POST": Scope.WRITE, "PATCH": Scope.WRITE, "DELETE": Scope.WRITE}
SHOWN = 10  # values of a budget of each


def usd(**options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=20, decimal_places=6, min_value=LEAST_USD, max_value=MOST_USD, **options)


class NewBudget(StrictSerializer):
    dimension = serializers.ChoiceField([each.value for each in BUDGETED])
    value = Text(max_length=TEXT_LIMIT, required=False, allow_blank=True)
    period = serializers.ChoiceField([each.value for each in Period])
    usd = usd()
    active = serializers.BooleanField(required=False)


class BudgetChange(StrictSerializer):
    usd = usd(required=False)
    active = serializers.BooleanField(required=False)


class BudgetsView(ListAPIView[SpendBudget]):
    """GET: the budgets, the last made first, each as it stands. POST: one more."""

    scopes = READ_OR_CHANGE

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        read_query(StrictSerializer, request, pages=CursorPages)
        _grant(request)
        page = self.paginate_queryset(SpendBudget.objects.all()) or []
        return self.get_paginated_response(_as_they_stand(page))

    @idempotent()
    def post(self, request: Request) -> Response:
        grant = _grant(request)
        budget = add_budget(**read_body(NewBudget, request), actor=grant.actor)
        return Response(_as_they_stand([budget])[0], status=status.HTTP_201_CREATED)


class BudgetView(APIView):
    scopes = READ_OR_CHANGE

    def get(self, request: Request, budget_id: int) -> Response:
        read_query(StrictSerializer, request)
        _grant(request)
        return Response(_as_they_stand([find_budget(budget_id)])[0])

    def patch(self, request: Request, budget_id: int) -> Response:
        grant = _grant(request)
        budget = change_budget(budget_id=budget_id, **read_body(BudgetChange, request), actor=grant.actor)
        return Response(_as_they_stand([budget])[0])

    def delete(self, request: Request, budget_id: int) -> Response:
        remove_budget(budget_id=budget_id, actor=_grant(request).actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _grant(request: Request) -> Grant:
    """Of a key that may use budgets: they are of the spending of all prompts together."""
    grant = grant_behind(request)
    refuse_restricted(grant, "budgets are of the spending of all prompts together")
    return grant


def _as_they_stand(budgets: Sequence[SpendBudget]) -> list[dict[str, Any]]:
    """In their order. Values are told that have spent anything, at most SHOWN of a budget of each."""
    found = standings(budgets, now(), limit=SHOWN, least=Decimal("0.000001"))
    by_id = {standing.budget.pk: budget_json(standing) for standing in found}
    return [by_id[budget.pk] for budget in budgets]
