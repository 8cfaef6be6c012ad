"""Prices of the project's own, and the models that have none."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.clock import now
from common.rest import CursorPages, StrictSerializer, read_body, read_query
from observability.api.fields import Text
from observability.core.conversions import TEXT_LIMIT
from observability.models import PriceOverride
from observability.models.prices import MOST_USD
from observability.selectors import UNPRICED_FOR, unpriced_models
from observability.services.prices import add_override, remove_override
from registry.idempotency import idempotent
from registry.keys import grant_behind, reach_of
from registry.models import Scope

READ_OR_CHANGE = {"POST": Scope.ADMIN, "DELETE": Scope.ADMIN}


def usd(**options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=18, decimal_places=12, min_value=0, max_value=MOST_USD, **options)


class NewPrice(StrictSerializer):
    provider = Text(max_length=TEXT_LIMIT, required=False, allow_blank=True)
    pattern = Text(max_length=TEXT_LIMIT)
    effective_from = serializers.DateTimeField()
    input = usd()
    cached_input = usd(required=False, allow_null=True)
    cache_write = usd(required=False, allow_null=True)
    output = usd()
    call = usd(required=False)
    note = Text(max_length=TEXT_LIMIT, required=False, allow_blank=True)


class PriceSerializer(serializers.ModelSerializer[PriceOverride]):
    class Meta:
        model = PriceOverride
        fields = [
            *("id", "provider", "pattern", "effective_from", "input", "cached_input", "cache_write", "output", "call"),
            *("note", "created_at"),
        ]


class PricesView(ListAPIView[PriceOverride]):
    """GET: the overrides, the last made first. POST: one more."""

    scopes = READ_OR_CHANGE
    serializer_class = PriceSerializer

    def get_queryset(self) -> QuerySet[PriceOverride]:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return PriceOverride.objects.all()

    @idempotent()
    def post(self, request: Request) -> Response:
        override = add_override(**read_body(NewPrice, request), actor=grant_behind(request).actor)
        return Response(PriceSerializer(override).data, status=status.HTTP_201_CREATED)


class PriceView(APIView):
    scopes = READ_OR_CHANGE

    def delete(self, request: Request, override_id: int) -> Response:
        remove_override(override_id=override_id, actor=grant_behind(request).actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class UnpricedView(APIView):
    """GET: the models of calls of the last seven days that told tokens and have no cost, the most tokens first."""

    def get(self, request: Request) -> Response:
        read_query(StrictSerializer, request)
        found = unpriced_models(since=now() - UNPRICED_FOR, reach=reach_of(request))
        return Response({"items": [asdict(model) for model in found]})
