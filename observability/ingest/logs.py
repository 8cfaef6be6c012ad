"""`POST /v1/logs`: OTLP over HTTP, protobuf or JSON. Evaluation results become scores, other records are ignored.

200 means that every score is on disk, and recorded once.
"""

import logging
from collections import Counter
from dataclasses import replace

from django.conf import settings
from django.http import HttpResponse

from common.clock import now
from common.errors import TooLarge
from observability.core import otlp_logs
from observability.core.evaluations import Evaluation, scores_of
from observability.core.times import NS_PER_HOUR, nanoseconds
from observability.ingest import answers
from observability.ingest.admission import OUT_OF_REACH, out_of_reach
from observability.ingest.exports import export
from observability.ingest.gate import gate
from observability.models import Refused
from observability.quality import count_refused
from observability.services.scores import record_scores
from registry.keys import Grant

logger = logging.getLogger(__name__)

DECODERS = {answers.PROTOBUF: otlp_logs.decode_protobuf, answers.JSON: otlp_logs.decode_json}
FROM_THE_FUTURE = "evaluations more than an hour in the future"


@export
def logs(media_type: str, body: bytes, grant: Grant) -> HttpResponse:
    usable, rejected = _sift(_decode(media_type, body), nanoseconds(now()))
    scores, unusable = scores_of(usable)
    rejected += unusable
    if outside := out_of_reach(scores, grant.reach):
        rejected[OUT_OF_REACH] += sum(score in outside for score in scores)
        scores = [score for score in scores if score not in outside]
    if scores:
        with gate.turn():
            record_scores(scores=scores)
    count_refused(Refused.EVALUATIONS, rejected)
    if rejected:
        logger.warning("logs.rejected", extra={"rejected": dict(rejected)})
    return answers.logs_success(media_type, rejected)


def _decode(media_type: str, body: bytes) -> list[Evaluation]:
    evaluations = DECODERS[media_type](body)
    if len(evaluations) > settings.MAX_SPANS_PER_REQUEST:
        raise TooLarge("too_many_records", f"A request may hold {settings.MAX_SPANS_PER_REQUEST} evaluations at most")
    return evaluations


def _sift(evaluations: list[Evaluation], now_ns: int) -> tuple[list[Evaluation], Counter[str]]:
    """The evaluations that are not from the future, those without a time as of now; the others are counted."""
    usable = [replace(e, at_ns=e.at_ns or now_ns) for e in evaluations if e.at_ns <= now_ns + NS_PER_HOUR]
    rejected = len(evaluations) - len(usable)
    return usable, Counter({FROM_THE_FUTURE: rejected} if rejected else {})
