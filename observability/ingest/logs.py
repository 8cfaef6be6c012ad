"""`POST /v1/logs`: OTLP over HTTP, protobuf or JSON. Evaluation results become scores, other records are ignored.

200 means that every score is on disk, and recorded once.
"""

import logging
from collections import Counter
from dataclasses import replace

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from common.bodies import read_body
from common.clock import now
from common.errors import BadRequest, DomainError, TooLarge, Unavailable, UnsupportedMediaType
from observability.core import otlp_logs
from observability.core.evaluations import Evaluation, scores_of
from observability.core.otlp import HOUR_NS, DecodeError
from observability.core.scores import NS_PER_S
from observability.ingest import answers
from observability.models import Refused
from observability.quality import count_refused
from observability.services.scores import record_scores
from registry.keys import require_ingest

logger = logging.getLogger(__name__)

DECODERS = {answers.PROTOBUF: otlp_logs.decode_protobuf, answers.JSON: otlp_logs.decode_json}
FROM_THE_FUTURE = "evaluations more than an hour in the future"


@csrf_exempt
@require_POST
def logs(request: HttpRequest) -> HttpResponse:
    media_type = (request.content_type or "").lower()
    try:
        require_ingest(request)
        usable, rejected = _sift(_decode(request, media_type), int(now().timestamp() * NS_PER_S))
        scores, unusable = scores_of(usable)
        rejected += unusable
        if scores:
            record_scores(scores=scores)
        count_refused(Refused.EVALUATIONS, rejected)
    except DomainError as error:
        return answers.refusal(media_type, error)
    except (OperationalError, InterfaceError):
        logger.warning("logs.database_unavailable", exc_info=True)
        return answers.refusal(media_type, Unavailable("database_unavailable", "The database is away or busy"))
    if rejected:
        logger.warning("logs.rejected", extra={"rejected": dict(rejected)})
    return answers.logs_success(media_type, rejected)


def _decode(request: HttpRequest, media_type: str) -> list[Evaluation]:
    decode = DECODERS.get(media_type)
    if decode is None:
        expected = " or ".join(DECODERS)
        raise UnsupportedMediaType("unsupported_media_type", f"Content-Type: expected {expected}, got {media_type}")
    try:
        evaluations = decode(read_body(request))
    except DecodeError as error:
        raise BadRequest("undecodable", str(error)) from error
    if len(evaluations) > settings.MAX_SPANS_PER_REQUEST:
        raise TooLarge("too_many_records", f"A request may hold {settings.MAX_SPANS_PER_REQUEST} evaluations at most")
    return evaluations


def _sift(evaluations: list[Evaluation], now_ns: int) -> tuple[list[Evaluation], Counter[str]]:
    """The evaluations that are not from the future, those without a time as of now; the others are counted."""
    usable = [replace(e, at_ns=e.at_ns or now_ns) for e in evaluations if e.at_ns <= now_ns + HOUR_NS]
    rejected = len(evaluations) - len(usable)
    return usable, Counter({FROM_THE_FUTURE: rejected} if rejected else {})
