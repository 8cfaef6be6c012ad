"""Objectives over REST: what is promised, how well it is kept, and how much may still go wrong."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.clock import now
from common.rest import CursorPages, StrictSerializer, etag, expected_revision, if_match, read_body, read_query
from observability.core.shares import read_share_bp
from observability.models import Objective
from observability.models.objectives import LEAST_DAYS, MOST_DAYS
from observability.representation import objective_json
from observability.selectors.objectives import find_objective, objectives, standings
from observability.services.objectives import change_objective, create_objective, delete_objective
from registry import selectors as registry
from registry.idempotency import idempotent
from registry.keys import beyond_reach, grant_behind, reach_of
from registry.rights import PRODUCTION


class Target(serializers.Field[int, Any, int, Any]):
    """The share of calls that keep a threshold, written "95%" or 0.95, in basis points."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return read_share_bp(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class ObjectiveChanges(StrictSerializer):
    threshold = serializers.FloatField()
    target = Target(source="target_bp", required=False, allow_null=True)
    days = serializers.IntegerField(min_value=LEAST_DAYS, max_value=MOST_DAYS, required=False)
    active = serializers.BooleanField(required=False)
    revision = serializers.IntegerField(min_value=1, required=False)


class NewObjective(ObjectiveChanges):
    prompt = serializers.CharField(max_length=128)
    label = serializers.CharField(max_length=64, required=False)  # type: ignore[assignment]  # hides DRF's own label
    name = serializers.CharField(max_length=100)
    metric = serializers.CharField(max_length=100)
    comparison = serializers.ChoiceField(["above", "below"])
    revision = None  # type: ignore[assignment]  # of a new one there is none


class ObjectiveFilters(StrictSerializer):
    prompt = serializers.CharField(max_length=128, required=False)
    label = serializers.CharField(max_length=64, required=False)  # type: ignore[assignment]  # hides DRF's own label


class ManyWithStatus(serializers.ListSerializer[Objective]):
    """How they do is read for all together."""

    def to_representation(self, data: Any) -> Any:
        found = list(data)
        stand = standings(found, now())
        return [objective_json(objective, stand[objective.pk]) for objective in found]


class ObjectiveSerializer(serializers.BaseSerializer[Objective]):
    class Meta:
        list_serializer_class = ManyWithStatus

    def to_representation(self, instance: Objective) -> dict[str, Any]:
        return objective_json(instance, standings([instance], now())[instance.pk])


class ObjectivesView(ListAPIView[Objective]):
    """GET: the objectives with how they do, the last made first; filters `prompt`, `label`. POST: one more."""

    serializer_class = ObjectiveSerializer

    def get_queryset(self) -> QuerySet[Objective]:
        wanted = read_query(ObjectiveFilters, self.request, pages=CursorPages)
        return objectives(**wanted, reach=reach_of(self.request))

    @idempotent()
    def post(self, request: Request) -> Response:
        fields, grant = read_body(NewObjective, request), grant_behind(request)
        prompt_name = registry.known_prompt(fields.pop("prompt"), grant.reach).name
        if not grant.reach.may_use(label := fields.setdefault("label", PRODUCTION)):
            raise beyond_reach(grant, f"{label} is none of its labels")
        objective = create_objective(prompt_name=prompt_name, **fields, actor=grant.actor)
        headers = {"Location": f"/api/v1/objectives/{objective.pk}", **etag(objective.revision)}
        return Response(ObjectiveSerializer(objective).data, status=status.HTTP_201_CREATED, headers=headers)


class ObjectiveView(APIView):
    """`revision` or If-Match guard against changing what was not seen."""

    def get(self, request: Request, objective_id: int) -> Response:
        return _answer(find_objective(objective_id, reach_of(request)))

    def patch(self, request: Request, objective_id: int) -> Response:
        changes = read_body(ObjectiveChanges, request, partial=True)
        find_objective(objective_id, reach_of(request))
        revision = expected_revision(request, changes.pop("revision", None))
        actor = grant_behind(request).actor
        return _answer(change_objective(objective_id=objective_id, expected_revision=revision, actor=actor, **changes))

    def delete(self, request: Request, objective_id: int) -> Response:
        find_objective(objective_id, reach_of(request))
        actor = grant_behind(request).actor
        delete_objective(objective_id=objective_id, expected_revision=if_match(request), actor=actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _answer(objective: Objective) -> Response:
    return Response(ObjectiveSerializer(objective).data, headers=etag(objective.revision))
