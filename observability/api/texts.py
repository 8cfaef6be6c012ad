"""The texts of one call, for keys of the scope `admin` alone."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import NotFound
from common.rest import StrictSerializer, read_query
from observability import selectors
from observability.representation import text_json
from registry.models import Scope


class CallTextView(APIView):
    """GET: what is stored of a call's texts (docs/reference/privacy.md)."""

    scopes = {"GET": Scope.ADMIN, "HEAD": Scope.ADMIN, "OPTIONS": Scope.ADMIN}

    def get(self, request: Request, trace_id: str, span_id: str) -> Response:
        read_query(StrictSerializer, request)
        text = selectors.text_of_call(trace_id=trace_id, span_id=span_id)
        if text is None:
            raise NotFound("text_not_found", "There is no such call, or nothing is stored of its texts")
        return Response(text_json(text))
