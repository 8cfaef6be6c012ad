"""Calls out, and the calls of apps without OpenTelemetry in."""

from typing import Any

from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.bodies import read_json
from common.rest import CursorPages, StrictSerializer, read_query
from observability import selectors
from observability.api.fields import Text, hexadecimal
from observability.api.new_calls import read_calls
from observability.ingest import admission, writer
from observability.models import Call
from observability.representation import call_json
from registry.keys import IngestKeyAuthentication, reach_of
from registry.models import Scope


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
    """GET: calls, the newest first; filters trace_id, prompt, version, since (ISO 8601).

    POST: one call, or up to 1000 in an array; all are stored or none. Answers with their ids, in the same order.
    """

    authentication_classes = [IngestKeyAuthentication]
    scopes = {"POST": Scope.INGEST}
    serializer_class = CallSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> Any:
        fields = read_query(CallFilters, self.request, pages=NewestFirst)
        if trace_id := fields.pop("trace_id", None):
            fields["trace_id"] = bytes.fromhex(trace_id)
        return selectors.calls(**fields, reach=reach_of(self.request))

    def post(self, request: Request) -> Response:
        calls = read_calls(read_json(request._request))
        admission.check_calls(calls, reach_of(request))
        writer.store_calls(calls)
        return Response({"items": [{"trace_id": c.trace_id.hex(), "span_id": c.span_id.hex()} for c in calls]})
