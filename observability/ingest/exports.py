"""What the addresses of an OTLP exporter have in common: who may send, in which encoding, and what it is answered."""

import logging
from collections.abc import Callable
from functools import wraps

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from common.bodies import read_body
from common.errors import BadRequest, DomainError, Unavailable, UnsupportedMediaType, problem_response
from observability.core.otlp import DecodeError
from observability.ingest import answers
from registry.keys import Grant, require_ingest

logger = logging.getLogger(__name__)

ENCODINGS = (answers.PROTOBUF, answers.JSON)


def export(take: Callable[[str, bytes, Grant], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The view that takes exports in by `take(media type, body, grant)`, which answers 200 when all is on disk.

    take may raise DecodeError, any DomainError, and what a database that is away or busy raises.
    """

    @csrf_exempt
    @wraps(take)
    def view(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return _not_by(request)
        media_type = (request.content_type or "").lower()
        try:
            grant = require_ingest(request)
            if media_type not in ENCODINGS:
                expected = " or ".join(ENCODINGS)
                raise UnsupportedMediaType(
                    "unsupported_media_type", f"Content-Type: expected {expected}, got {media_type}"
                )
            return take(media_type, read_body(request), grant)
        except DecodeError as error:
            return answers.refusal(media_type, BadRequest("undecodable", str(error)))
        except DomainError as error:
            return answers.refusal(media_type, error)
        except (OperationalError, InterfaceError):
            logger.warning("ingest.database_unavailable", extra={"signal": take.__name__}, exc_info=True)
            return answers.refusal(media_type, Unavailable("database_unavailable", "The database is away or busy"))

    return view


def _not_by(request: HttpRequest) -> HttpResponse:
    detail = f"Telemetry is sent by POST, not by {request.method}"
    response = problem_response(DomainError("method_not_allowed", detail, status=405), request)
    response["Allow"] = "POST"
    return response
