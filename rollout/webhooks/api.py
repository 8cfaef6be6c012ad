"""REST for webhooks, for keys with the scope `admin`. The secret is shown once, in the answer that made it."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import NotFound
from common.rest import StrictSerializer
from registry.idempotency import idempotent
from registry.keys import grant_behind
from registry.models import Scope
from rollout.models import Delivery, DeliveryAttempt, WebhookEndpoint
from rollout.webhooks import services

ADMIN_ONLY = dict.fromkeys(("GET", "HEAD", "OPTIONS", "POST", "DELETE"), Scope.ADMIN)


class NewWebhook(StrictSerializer):
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField(), allow_empty=False, allow_null=True, required=False)
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """events: null for all."""

    events = serializers.SerializerMethodField()

    class Meta:
        model = WebhookEndpoint
        fields = ["id", "url", "events", "description", "created_at", "created_by", "disabled_at", "disabled_reason"]

    def get_events(self, endpoint: WebhookEndpoint) -> list[str] | None:
        return endpoint.events or None


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
    queryset = WebhookEndpoint.objects.all()
    serializer_class = WebhookSerializer

    @idempotent(shown_once="secret")
    def post(self, request: Request) -> Response:
        new = NewWebhook(data=request.data)
        new.is_valid(raise_exception=True)
        endpoint = services.create_endpoint(**new.validated_data, actor=grant_behind(request).actor)
        answer = {**WebhookSerializer(endpoint).data, "secret": endpoint.secret}
        return Response(answer, status=status.HTTP_201_CREATED)


class Webhook(APIView):
    scopes = ADMIN_ONLY

    def get(self, request: Request, webhook_id: str) -> Response:
        return Response(WebhookSerializer(_find(webhook_id)).data)

    def delete(self, request: Request, webhook_id: str) -> Response:
        services.disable_endpoint(endpoint_id=webhook_id, actor=grant_behind(request).actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Deliveries(ListAPIView[Delivery]):
    scopes = ADMIN_ONLY
    serializer_class = DeliverySerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        endpoint = _find(self.kwargs["webhook_id"])
        return endpoint.deliveries.select_related("event").prefetch_related("log").defer("payload")


class Replay(APIView):
    scopes = ADMIN_ONLY

    def post(self, request: Request, **ids: Any) -> Response:
        delivery = services.replay(endpoint_id=ids["webhook_id"], delivery_id=ids["delivery_id"])
        return Response(DeliverySerializer(delivery).data)


def _find(webhook_id: str) -> WebhookEndpoint:
    endpoint = WebhookEndpoint.objects.filter(pk=webhook_id).first()
    if endpoint is None:
        raise NotFound("unknown_webhook", f"There is no webhook {webhook_id}")
    return endpoint
