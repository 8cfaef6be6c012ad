"""`POST /v1/traces`: OTLP over HTTP, protobuf or JSON. 200 means that every span is on disk, and counted once."""

import logging
from collections.abc import Callable, Mapping

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from common.bodies import read_body
from common.clock import now
from common.errors import BadRequest, DomainError, TooLarge, Unavailable, UnsupportedMediaType
from observability.core.dialects import wanted
from observability.core.otlp import Batch, DecodeError, Wanted, decode_json, decode_protobuf, sift
from observability.ingest import answers, writer
from observability.ingest.gate import gate
from observability.models import Refused
from observability.quality import count_refused
from registry.keys import require_ingest

logger = logging.getLogger(__name__)

NS_PER_S = 10**9
WANTED = {with_content: wanted(with_content=with_content) for with_content in (False, True)}
Decoder = Callable[[bytes, Wanted], Batch]
DECODERS: Mapping[str, Decoder] = {answers.PROTOBUF: decode_protobuf, answers.JSON: decode_json}


@csrf_exempt
@require_POST
def traces(request: HttpRequest) -> HttpResponse:
    media_type = (request.content_type or "").lower()
    try:
        require_ingest(request)
        decode = _decoder(media_type)
        body = read_body(request)  # however slowly it comes: nobody waits for it
        with gate.turn():
            batch = sift(_decode(decode, body), int(now().timestamp() * NS_PER_S))
            evaluations = writer.store(batch.spans) if batch.spans else {}
        count_refused(Refused.SPANS, batch.rejected)
        count_refused(Refused.EVALUATIONS, evaluations)
    except DomainError as error:
        return answers.refusal(media_type, error)
    except (OperationalError, InterfaceError):
        logger.warning("traces.database_unavailable", exc_info=True)
        return answers.refusal(media_type, Unavailable("database_unavailable", "The database is away or busy"))
    if batch.rejected:
        logger.warning("traces.rejected", extra={"rejected": dict(batch.rejected)})
    return answers.success(media_type, batch.rejected)


def _decoder(media_type: str) -> Decoder:
    if decoder := DECODERS.get(media_type):
        return decoder
    expected = " or ".join(DECODERS)
    raise UnsupportedMediaType("unsupported_media_type", f"Content-Type: expected {expected}, got {media_type}")


def _decode(decode: Decoder, body: bytes) -> Batch:
    try:
        batch = decode(body, WANTED[settings.STORE_TEXT])
    except DecodeError as error:
        raise BadRequest("undecodable", str(error)) from error
    if len(batch.spans) > settings.MAX_SPANS_PER_REQUEST:
        raise TooLarge("too_many_spans", f"A request may hold {settings.MAX_SPANS_PER_REQUEST} spans at most")
    return batch
