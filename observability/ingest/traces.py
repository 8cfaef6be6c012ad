"""`POST /v1/traces`: OTLP over HTTP, protobuf or JSON. 200 means that every span is on disk, and counted once."""

import logging
from collections.abc import Callable, Mapping

from django.conf import settings
from django.http import HttpResponse

from common.clock import now
from common.errors import TooLarge
from observability.core.dialects import wanted
from observability.core.otlp import Batch, Wanted, decode_json, decode_protobuf, sift
from observability.core.retrieval import also_documents
from observability.core.times import nanoseconds
from observability.ingest import answers, writer
from observability.ingest.admission import admitted
from observability.ingest.exports import export
from observability.ingest.gate import gate
from observability.judging.sampling import current_rules
from observability.models import Refused
from observability.quality import count_refused
from registry.keys import Grant

logger = logging.getLogger(__name__)

WANTED = {with_content: wanted(with_content=with_content) for with_content in (False, True)}
WITH_DOCUMENTS = also_documents(WANTED[True])
DECODERS: Mapping[str, Callable[[bytes, Wanted], Batch]] = {
    answers.PROTOBUF: decode_protobuf,
    answers.JSON: decode_json,
}


@export
def traces(media_type: str, body: bytes, grant: Grant) -> HttpResponse:
    with gate.turn():
        batch = admitted(sift(_decode(media_type, body), nanoseconds(now())), grant.reach)
        evaluations = writer.store(batch.spans) if batch.spans else {}
    count_refused(Refused.SPANS, batch.rejected)
    count_refused(Refused.EVALUATIONS, evaluations)
    if batch.rejected:
        logger.warning("traces.rejected", extra={"rejected": dict(batch.rejected)})
    return answers.success(media_type, batch.rejected)


def _decode(media_type: str, body: bytes) -> Batch:
    batch = DECODERS[media_type](body, _wanted())
    if len(batch.spans) > settings.MAX_SPANS_PER_REQUEST:
        raise TooLarge("too_many_spans", f"A request may hold {settings.MAX_SPANS_PER_REQUEST} spans at most")
    return batch


def _wanted() -> Wanted:
    """Prompts and answers leave the body only where they are stored, or judged."""
    rules = current_rules()
    if rules.needs_documents:
        return WITH_DOCUMENTS
    return WANTED[settings.STORE_TEXT or rules.is_any_judged]
