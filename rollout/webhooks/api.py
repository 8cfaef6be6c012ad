"""REST for webhooks, for keys with the scope `admin`. A secret is shown once, in the answer that made it."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.clock import now
from common.errors import NotFound
from common.rest import CursorPages, StrictSerializer, read_body, read_query
from registry.idempotency import idempotent
from registry.keys import ADMIN_ONLY, grant_behind
from rollout.core.plan import read_duration_s
from rollout.models import Delivery, DeliveryAttempt, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import services
from rollout.webhooks.health import with_counts


class WebhookForm(StrictSerializer):
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField(), allow_empty=False, allow_null=True, required=False)
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    format = serializers.CharField(required=False)


class Rotation(StrictSerializer):
    keep_old_for = serializers.CharField(required=False)

    def validate_keep_old_for(self, written: str) -> timedelta:
        try:
            return timedelta(seconds=0 if written == "0" else read_duration_s(written))
        except ValueError as error:
            raise serializers.ValidationError(f"{error}; or 0 for not at all") from error


class DeliveryQuery(StrictSerializer):
    status = serializers.ChoiceField(choices=DeliveryStatus.choices, required=False)


class ReplayQuery(StrictSerializer):
    status = serializers.CharField(required=False)
    since = serializers.DateTimeField(required=False)


class HealthSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """pending, dead: deliveries of the endpoint now."""

    pending = serializers.IntegerField(read_only=True)
    dead = serializers.IntegerField(read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields = ["last_success_at", "last_failure_at", "failing_since", "consecutive_failures", "pending", "dead"]


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """events: null for all. previous_secret_until: until then more secrets than the present one sign."""

    events = serializers.SerializerMethodField()
    previous_secret_until = serializers.SerializerMethodField()
    health = HealthSerializer(source="*", read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields = [
            *("id", "url", "events", "description", "format", "created_at", "created_by"),
            *("previous_secret_until", "disabled_at", "disabled_reason", "health"),
        ]

    def get_events(self, endpoint: WebhookEndpoint) -> list[str] | None:
        return endpoint.events or None

    def get_previous_secret_until(self, endpoint: WebhookEndpoint) -> datetime | None:
        return max((until for _, until in endpoint.kept_at(now())), default=None)


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    class Meta:
        model = DeliveryAttempt
        fields = ["number", "attempted_at", "duration_ms", "http_status", "error"]


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    event_id = serializers.CharField(source="event.id")
    event_type = serializers.CharField(source="event.type")
    sequence = serializers.IntegerField(source="event_id")
    attempts = AttemptSerializer(source="log", many=True)

    class Meta:
        model = Delivery
        fields = [
            *("id", "event_id", "event_type", "sequence", "status", "dead_reason"),
            *("created_at", "next_attempt_at", "delivered_at", "attempts"),
        ]


class Webhooks(ListAPIView[WebhookEndpoint]):
    scopes = ADMIN_ONLY
    serializer_class = WebhookSerializer

    def get_queryset(self) -> QuerySet[WebhookEndpoint]:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return with_counts(WebhookEndpoint.objects.all())

    @idempotent(shown_once="secret")
    def post(self, request: Request) -> Response:
        new = read_body(WebhookForm, request)
        endpoint = services.create_endpoint(**new, actor=grant_behind(request).actor)
        return Response(_with_secret(endpoint), status=status.HTTP_201_CREATED)


class Webhook(APIView):
    scopes = ADMIN_ONLY

    def get(self, request: Request, webhook_id: str) -> Response:
        return Response(_json(webhook_id))

    def patch(self, request: Request, webhook_id: str) -> Response:
        changes = read_body(WebhookForm, request, partial=True)
        if "events" in changes:
            changes["events"] = changes["events"] or ()
        services.change_endpoint(endpoint_id=webhook_id, **changes, actor=grant_behind(request).actor)
        return Response(_json(webhook_id))

    def delete(self, request: Request, webhook_id: str) -> Response:
        services.disable_endpoint(endpoint_id=webhook_id, actor=grant_behind(request).actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Enable(APIView):
    scopes = ADMIN_ONLY

    def post(self, request: Request, webhook_id: str) -> Response:
        services.enable_endpoint(endpoint_id=webhook_id, actor=grant_behind(request).actor)
        return Response(_json(webhook_id))


class Rotate(APIView):
    scopes = ADMIN_ONLY

    def post(self, request: Request, webhook_id: str) -> Response:
        how = read_body(Rotation, request)
        actor = grant_behind(request).actor
        return Response(_with_secret(services.rotate_secret(endpoint_id=webhook_id, **how, actor=actor)))


class Deliveries(ListAPIView[Delivery]):
    scopes = ADMIN_ONLY
    serializer_class = DeliverySerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        wanted = read_query(DeliveryQuery, self.request, pages=CursorPages)
        deliveries = _find(self.kwargs["webhook_id"]).deliveries.filter(**wanted)
        return deliveries.select_related("event").prefetch_related("log").defer("payload", "event__data")


class Replay(APIView):
    scopes = ADMIN_ONLY

    def post(self, request: Request, **ids: Any) -> Response:
        delivery = services.replay(
            endpoint_id=ids["webhook_id"], delivery_id=ids["delivery_id"], actor=grant_behind(request).actor
        )
        return Response(DeliverySerializer(delivery).data)


class ReplayAll(APIView):
    scopes = ADMIN_ONLY

    def post(self, request: Request, webhook_id: str) -> Response:
        chosen = read_query(ReplayQuery, request)
        actor = grant_behind(request).actor
        return Response({"replayed": services.replay_all(endpoint_id=webhook_id, **chosen, actor=actor)})


def _find(webhook_id: str) -> WebhookEndpoint:
    endpoint = with_counts(WebhookEndpoint.objects.filter(pk=webhook_id)).first()
    if endpoint is None:
        raise NotFound("unknown_webhook", f"There is no webhook {webhook_id}")
    return endpoint


def _json(webhook_id: str) -> dict[str, Any]:
    return dict(WebhookSerializer(_find(webhook_id)).data)


def _with_secret(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {**_json(endpoint.pk), "secret": endpoint.secret}
