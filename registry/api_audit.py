"""The audit trail over REST, for keys with the scope `admin`."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import generics, serializers

from common.rest import CursorPages, StrictSerializer, read_query
from registry import audit
from registry.keys import ADMIN_ONLY
from registry.models import AuditEntry


class AuditFilters(StrictSerializer):
    actor = serializers.CharField(max_length=200, required=False)
    action = serializers.CharField(max_length=60, required=False)
    target = serializers.CharField(max_length=300, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class EntrySerializer(serializers.BaseSerializer[AuditEntry]):
    def to_representation(self, instance: AuditEntry) -> dict[str, Any]:
        return audit.entry_json(instance)


class AuditTrail(generics.ListAPIView[AuditEntry]):
    """GET: who changed what, newest first; filters `actor`, `action`, `target` (and all under it), `since`, `until`."""

    scopes = ADMIN_ONLY
    serializer_class = EntrySerializer

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return audit.entries(**read_query(AuditFilters, self.request, pages=CursorPages))
