"""`POST /v1/traces`: OTLP over HTTP, protobuf or JSON. 200 means that every span is on disk, and counted once."""

import logging

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from common.bodies import read_body
from common.clock import now
from common.errors import BadRequest, DomainError, TooLarge, Unavailable, UnsupportedMediaType
from observability.core.dialects import WANTED
from observability.core.otlp import Batch, DecodeError, decode_json, decode_protobuf, sift
from observability.ingest import answers, writer
from registry.keys import require_ingest

logger = logging.getLogger(__name__)

NS_PER_S = 10**9
DECODERS = {answers.PROTOBUF: decode_protobuf, answers.JSON: decode_json}


@csrf_exempt
@require_POST
def traces(request: HttpRequest) -> HttpResponse:
    media_type = (request.content_type or "").lower()
    try:
        require_ingest(request)
        batch = sift(_decode(request, media_type), int(now().timestamp() * NS_PER_S))
        if batch.spans:
            writer.store(batch.spans)
    except DomainError as error:
        return answers.refusal(media_type, error)
    except (OperationalError, InterfaceError):
        logger.warning("traces.database_unavailable", exc_info=True)
        return answers.refusal(media_type, Unavailable("database_unavailable", "The database is away or busy"))
    if batch.rejected:
        logger.warning("traces.rejected", extra={"rejected": dict(batch.rejected)})
    return answers.success(media_type, batch.rejected)


def _decode(request: HttpRequest, media_type: str) -> Batch:
    decode = DECODERS.get(media_type)
    if decode is None:
        expected = " or ".join(DECODERS)
        raise UnsupportedMediaType("unsupported_media_type", f"Content-Type: expected {expected}, got {media_type}")
    try:
        batch = decode(read_body(request), WANTED)
    except DecodeError as error:
        raise BadRequest("undecodable", str(error)) from error
    if len(batch.spans) > settings.MAX_SPANS_PER_REQUEST:
        raise TooLarge("too_many_spans", f"A request may hold {settings.MAX_SPANS_PER_REQUEST} spans at most")
    return batch
