"""Scores as Langfuse's SDKs send them: `POST /api/public/scores` (version 5), `POST /api/public/ingestion` (before).

An SDK drops what it is refused with 4xx, whole batches of it, so a batch is answered score by score: 202 when all are
recorded, 207 with the reasons when some are not. Source: langfuse 5.0.4 and 3.15.0, as installed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.bodies import read_json
from common.errors import Invalid
from common.rest import field_errors
from observability.api.scores import MOST_SCORES, ScoreForm
from observability.core.evaluations import VALUES_OF_LABELS, rewritten_name, source_of
from observability.core.scores import NewScore
from observability.ingest.admission import OUT_OF_REACH, out_of_reach, with_own_id
from observability.services.scores import record_scores
from registry.keys import IngestKeyAuthentication, reach_of
from registry.models import Scope
from registry.reach import Reach

FIELDS = {"id": "id", "traceId": "trace_id", "observationId": "span_id", "comment": "comment"}
SOURCES = {"ANNOTATION": "human"}
SCORE_CREATE = "score-create"


@dataclass(frozen=True, slots=True)
class Read:
    """A score as it was sent: what it is, or why it is none."""

    id: str | None
    score: NewScore | None = None
    problem: str = ""


class LangfuseScores(APIView):
    """POST: an array of scores, or one."""

    authentication_classes = [IngestKeyAuthentication]
    scopes = {"POST": Scope.INGEST}

    def post(self, request: Request) -> Response:
        sent = read_json(request._request)
        if isinstance(sent, dict):
            return self._one(*_reached([_read(sent)], reach_of(request)))
        read = _reached([_read(score) for score in _bounded(sent)], reach_of(request))
        rejected = _record(read)
        if not rejected:
            return Response({"message": "Accepted"}, status=202)
        errors = [{"message": each.problem} for each in rejected]
        return Response(
            {"accepted": len(read) - len(rejected), "rejected": len(rejected), "errors": errors}, status=207
        )

    def _one(self, read: Read) -> Response:
        if _record([read]):
            raise Invalid.field("", read.problem)
        return Response({"id": read.id})


class LangfuseIngestion(APIView):
    """POST: `{"batch": [{"id", "type": "score-create", "timestamp", "body": score}]}`; other events are ignored."""

    authentication_classes = [IngestKeyAuthentication]
    scopes = {"POST": Scope.INGEST}

    def post(self, request: Request) -> Response:
        sent = read_json(request._request)
        batch = _bounded(sent.get("batch") if isinstance(sent, dict) else None)
        events = [event if isinstance(event, dict) else {} for event in batch]
        created = [e for e in events if e.get("type") == SCORE_CREATE]
        reached = _reached([_read(e.get("body")) for e in created], reach_of(request))
        read = [(e.get("id"), each) for e, each in zip(created, reached, strict=True)]
        _record(each for _, each in read)
        return Response(
            {
                "successes": [{"id": id_, "status": 201} for id_, each in read if each.score],
                "errors": [
                    {"id": id_, "status": 400, "message": each.problem, "error": "InvalidRequestError"}
                    for id_, each in read
                    if not each.score
                ],
            },
            status=207,
        )


def _bounded(sent: Any) -> list[Any]:
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_SCORES:
        raise Invalid.field("", f"expected an array of 1 to {MOST_SCORES} scores")
    return sent


def _record(read: Iterable[Read]) -> list[Read]:
    """Record what is a score; answers with what is none."""
    read = list(read)
    scores = [each.score for each in read if each.score]
    if scores:
        record_scores(scores=scores)
    return [each for each in read if not each.score]


def _reached(read: Sequence[Read], reach: Reach) -> list[Read]:
    """With those that the key does not reach as no scores."""
    outside = out_of_reach([each.score for each in read if each.score], reach)
    return [
        Read(each.id, problem=OUT_OF_REACH)
        if each.score in outside
        else replace(each, score=each.score and with_own_id(each.score, reach))
        for each in read
    ]


def _read(sent: Any) -> Read:
    """A score in our words: a name that ours may not bear is rewritten, a label that is a yes or no has a value."""
    if not isinstance(sent, dict):
        return Read(None, problem="expected an object")
    id_ = sent["id"] if isinstance(sent.get("id"), str) else None
    fields = {ours: sent[theirs] for theirs, ours in FIELDS.items() if sent.get(theirs) is not None}
    value, name = sent.get("value"), sent.get("name")
    if isinstance(value, str):
        fields["label"], value = value, VALUES_OF_LABELS.get(value.lower(), value)
    elif isinstance(value, bool):
        value = float(value)
    name = rewritten_name(name) if isinstance(name, str) else name
    source = SOURCES.get(str(sent.get("source")), source_of(str(name)))
    form = ScoreForm(data=fields | {"name": name, "value": value, "source": source})
    try:
        form.is_valid(raise_exception=True)
    except serializers.ValidationError as error:
        return Read(
            id_,
            problem="; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in field_errors(error.detail)),
        )
    return Read(id_, NewScore(**form.validated_data))
