"""What an OTLP exporter is answered, in the encoding it spoke: an export response, or a google.rpc.Status.

Exporters retry 503 and nothing else reliably; they drop a batch at 429, 500 and any other refusal, and give up when
Retry-After is longer than their ten seconds. Source: the OTLP specification; exporters tried as otlp.md 3.1 tells.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from google.protobuf.json_format import ParseDict
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from common.errors import DomainError

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

CODES = {401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 503: Code.UNAVAILABLE}
RETRY_AFTER_S = (1, 2, 3)


def success(media_type: str, rejected: Mapping[str, int]) -> HttpResponse:
    """200: all spans that could be stored are stored. rejected: how many could not, by reason."""
    return _success(media_type, rejected, "rejectedSpans", ExportTraceServiceResponse())


def logs_success(media_type: str, rejected: Mapping[str, int]) -> HttpResponse:
    """200: all evaluations that could be recorded are recorded. rejected: how many could not, by reason."""
    return _success(media_type, rejected, "rejectedLogRecords", ExportLogsServiceResponse())


def nothing_rejected(media_type: str) -> HttpResponse:
    """200 with an empty export response, which looks alike for everything that is exported."""
    return HttpResponse(b"{}" if media_type == JSON else b"", content_type=media_type)


def _success(media_type: str, rejected: Mapping[str, int], counter: str, response: Any) -> HttpResponse:
    """counter: the field of partialSuccess that tells how many were rejected, in JSON's spelling."""
    total = sum(rejected.values())
    if not total:
        return nothing_rejected(media_type)
    message = "; ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
    partial = {"partialSuccess": {counter: str(total), "errorMessage": message}}
    if media_type == JSON:
        return HttpResponse(json.dumps(partial), content_type=JSON)
    return HttpResponse(ParseDict(partial, response).SerializeToString(), content_type=PROTOBUF)


def refusal(media_type: str, error: DomainError) -> HttpResponse:
    """The error's status with a google.rpc.Status; a busy server asks to come back in 1 to 3 seconds."""
    code = CODES.get(error.status, Code.INVALID_ARGUMENT)
    if media_type == PROTOBUF:
        body = Status(code=code, message=error.detail).SerializeToString()
    else:
        body = json.dumps({"code": code, "message": error.detail}).encode()
    response = HttpResponse(body, status=error.status, content_type=PROTOBUF if media_type == PROTOBUF else JSON)
    if error.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="serinus"'
    if error.status == 503:
        response["Retry-After"] = str(secrets.choice(RETRY_AFTER_S))
    return response
