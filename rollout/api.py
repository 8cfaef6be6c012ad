"""Rollouts over REST (product.md, sections 4 and 10)."""

from typing import Any

from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import CursorPages, StrictSerializer, etag, expected_revision, read_body, read_query
from observability.api.ranges import RangeFilters
from registry.idempotency import idempotent
from registry.keys import beyond_reach, grant_behind, reach_of, refuse_restricted
from registry.models import Scope
from rollout import selectors, services
from rollout.data_quality import data_quality_json
from rollout.models import Rollout, Status, Transition, Verdict
from rollout.representation import rollout_json, transition_json, verdict_json


class RolloutForm(StrictSerializer):
    prompt = serializers.CharField(max_length=128)
    canary = serializers.CharField(max_length=40)
    label = serializers.CharField(max_length=64, default="production")  # type: ignore[assignment]  # hides DRF's own label
    plan = serializers.JSONField(required=False)
    start = serializers.BooleanField(default=True)
    force_reason = serializers.CharField(max_length=2000, default="", allow_blank=True)


class ForecastForm(StrictSerializer):
    prompt = serializers.CharField(max_length=128)
    canary = serializers.CharField(max_length=40, default="")
    label = serializers.CharField(max_length=64, default="production")  # type: ignore[assignment]  # hides DRF's own label
    plan = serializers.JSONField(required=False)


class ActionForm(StrictSerializer):
    reason = serializers.CharField(max_length=2000)
    revision = serializers.IntegerField(min_value=1, required=False)


class RolloutFilters(StrictSerializer):
    prompt = serializers.CharField(max_length=128, required=False)
    label = serializers.CharField(max_length=64, required=False)  # type: ignore[assignment]  # hides DRF's own label
    status = serializers.ChoiceField(Status.choices, required=False)


class RolloutSerializer(serializers.BaseSerializer[Rollout]):
    def to_representation(self, instance: Rollout) -> dict[str, Any]:
        return rollout_json(instance)


class VerdictSerializer(serializers.BaseSerializer[Verdict]):
    def to_representation(self, instance: Verdict) -> dict[str, Any]:
        return verdict_json(instance)


class TransitionSerializer(serializers.BaseSerializer[Transition]):
    def to_representation(self, instance: Transition) -> dict[str, Any]:
        return transition_json(instance)


class RolloutList(generics.ListAPIView[Rollout]):
    """GET: all rollouts, newest first; filters `prompt`, `label`, `status`. POST: a new one."""

    serializer_class = RolloutSerializer

    def get_queryset(self) -> Any:
        wanted = read_query(RolloutFilters, self.request, pages=CursorPages)
        return selectors.rollouts(**wanted, reach=reach_of(self.request))

    @idempotent()
    def post(self, request: Request) -> Response:
        fields = read_body(RolloutForm, request)
        selectors.find_subject(**_subject(fields), reach=reach_of(request))
        rollout = services.create_rollout(prompt_name=fields.pop("prompt"), actor=grant_behind(request).actor, **fields)
        return Response(rollout_json(rollout), status=201, headers={"Location": f"/api/v1/rollouts/{rollout.id}"})


class RolloutForecast(APIView):
    """How long the plan needs to find harm and to prove safety, before anything is started. It changes nothing."""

    scopes = {"POST": Scope.READ}

    def post(self, request: Request) -> Response:
        from rollout import forecasting  # numpy and scipy: whoever asks first waits for them, not the server's start

        fields, grant = read_body(ForecastForm, request), grant_behind(request)
        selectors.find_subject(**_subject(fields), reach=grant.reach)
        if grant.reach.labels:
            raise beyond_reach(grant, "a forecast is made of the traffic of all labels")
        forecast = forecasting.forecast(prompt_name=fields.pop("prompt"), **fields)
        return Response(forecasting.forecast_json(forecast))


class RolloutDetail(APIView):
    def get(self, request: Request, rollout_id: str) -> Response:
        rollout = selectors.find_rollout(rollout_id, reach_of(request))
        return Response(rollout_json(rollout), headers=etag(rollout.revision))


class RolloutAction(APIView):
    """One change by hand, with a reason; `revision` or If-Match guard against acting on a state not seen."""

    def post(self, request: Request, rollout_id: str, action: str) -> Response:
        asked = read_body(ActionForm, request)
        selectors.find_rollout(rollout_id, reach_of(request))
        rollout = services.ACTIONS[action](
            rollout_id=rollout_id,
            actor=grant_behind(request).actor,
            reason=asked["reason"],
            expected_revision=expected_revision(request, asked.get("revision")),
        )
        return Response(rollout_json(rollout), headers=etag(rollout.revision))


class VerdictList(generics.ListAPIView[Verdict]):
    serializer_class = VerdictSerializer

    def get_queryset(self) -> Any:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return selectors.find_rollout(self.kwargs["rollout_id"], reach_of(self.request)).verdicts.all()


class TransitionList(generics.ListAPIView[Transition]):
    serializer_class = TransitionSerializer

    def get_queryset(self) -> Any:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return selectors.find_rollout(self.kwargs["rollout_id"], reach_of(self.request)).transitions.select_related(
            "verdict"
        )


class DataQuality(APIView):
    """GET: what was refused, and what was taken but is not all it should be; since a day ago, or `since`, `until`."""

    def get(self, request: Request) -> Response:
        refuse_restricted(grant_behind(request), "what was refused or has found no prompt is not told apart by prompts")
        return Response(data_quality_json(**read_query(RangeFilters, request)))


def _subject(fields: dict[str, Any]) -> dict[str, str]:
    return {name: fields[name] for name in ("prompt", "label", "canary")}
