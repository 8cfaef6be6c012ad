"""Calls out."""

from typing import Any

from rest_framework import generics, serializers

from common.rest import CursorPages, StrictSerializer
from observability import selectors
from observability.api.fields import Text, hexadecimal
from observability.models import Call
from observability.representation import call_json


class CallSerializer(serializers.BaseSerializer[Call]):
    def to_representation(self, instance: Call) -> dict[str, Any]:
        return call_json(instance)


class CallFilters(StrictSerializer):
    trace_id = hexadecimal(32)
    prompt = Text(required=False)
    version = Text(required=False)
    since = serializers.DateTimeField(required=False)


class NewestFirst(CursorPages):
    ordering = "-place"


class CallsView(generics.ListAPIView[Call]):
    """GET: calls, the newest first; filters trace_id, prompt, version, since (ISO 8601)."""

    serializer_class = CallSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> Any:
        given = self.request.query_params.dict()
        for paging in (NewestFirst.cursor_query_param, NewestFirst.page_size_query_param):
            given.pop(paging, None)
        filters = CallFilters(data=given)
        filters.is_valid(raise_exception=True)
        fields = dict(filters.validated_data)
        if trace_id := fields.pop("trace_id", None):
            fields["trace_id"] = bytes.fromhex(trace_id)
        return selectors.calls(**fields)
