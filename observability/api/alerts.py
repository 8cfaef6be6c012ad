"""Alerts over REST: which there are, and that somebody is at one or wants to hear nothing of it for a while."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import CursorPages, StrictSerializer, read_body, read_query
from observability.models import Alert, AlertKind
from observability.selectors.alerts import ALL, OPEN, RESOLVED, alert_json, alerts, find_alert
from observability.services import alerts as services
from registry.keys import grant_behind, reach_of
from registry.models import Scope

CHANGE = {"POST": Scope.WRITE}


class AlertFilters(StrictSerializer):
    state = serializers.ChoiceField([OPEN, RESOLVED, ALL], default=OPEN)
    kind = serializers.ChoiceField(AlertKind.values, required=False)
    prompt = serializers.CharField(max_length=128, required=False)
    label = serializers.CharField(max_length=64, required=False)  # type: ignore[assignment]  # DRF's own name


class Reason(StrictSerializer):
    reason = serializers.CharField(max_length=1000, default="", allow_blank=True)


class NewSilence(StrictSerializer):
    until = serializers.DateTimeField()
    reason = serializers.CharField(max_length=1000)


class AlertList(ListAPIView[Alert]):
    """GET: those that are open, the newest first; `state=resolved` or `all` for others."""

    def get_queryset(self) -> QuerySet[Alert]:
        filters = read_query(AlertFilters, self.request, pages=CursorPages)
        return alerts(reach=reach_of(self.request), **filters)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response([alert_json(alert) for alert in page])


class AlertDetail(APIView):
    def get(self, request: Request, alert_id: str) -> Response:
        return Response(alert_json(find_alert(alert_id, reach_of(request))))


class Acknowledgement(APIView):
    scopes = CHANGE

    def post(self, request: Request, alert_id: str) -> Response:
        reason = read_body(Reason, request)["reason"]
        find_alert(alert_id, reach_of(request))
        services.acknowledge(alert_id=alert_id, actor=grant_behind(request).actor, reason=reason)
        return Response(alert_json(find_alert(alert_id)))


class Silencing(APIView):
    scopes = CHANGE

    def post(self, request: Request, alert_id: str) -> Response:
        wanted = read_body(NewSilence, request)
        find_alert(alert_id, reach_of(request))
        services.silence(alert_id=alert_id, actor=grant_behind(request).actor, **wanted)
        return Response(alert_json(find_alert(alert_id)))


class Unsilencing(APIView):
    scopes = CHANGE

    def post(self, request: Request, alert_id: str) -> Response:
        reason = read_body(Reason, request)["reason"]
        find_alert(alert_id, reach_of(request))
        services.unsilence(alert_id=alert_id, actor=grant_behind(request).actor, reason=reason)
        return Response(alert_json(find_alert(alert_id)))
