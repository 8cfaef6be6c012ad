"""Scores in, and out."""

from dataclasses import asdict
from typing import Any

from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.bodies import read_json
from common.rest import CursorPages, StrictSerializer, read_query
from observability import selectors
from observability.api.fields import ExposureText, Share, Text, hexadecimal
from observability.core.conversions import TEXT_LIMIT
from observability.core.evidence import BUILT_IN_METRICS
from observability.core.scores import NewScore
from observability.ingest.admission import check_scores, with_own_id
from observability.models import Score, ScoreSource
from observability.representation import listed_score_json
from observability.services.scores import record_scores
from registry.keys import IngestKeyAuthentication, reach_of
from registry.models import Scope

MOST_SCORES = 1000


class ScoreForm(StrictSerializer):
    id = Text(max_length=TEXT_LIMIT, required=False, allow_null=True)
    trace_id = hexadecimal(32)
    span_id = hexadecimal(16)
    response_id = Text(max_length=TEXT_LIMIT, required=False, allow_null=True)
    exposure = ExposureText(required=False, allow_null=True)
    name = serializers.RegexField(
        r"\A[a-z0-9_.-]{1,100}\Z",
        error_messages={"invalid": "expected 1 to 100 of a-z, 0-9, dot, underscore, hyphen"},
    )
    value = Share()
    label = Text(max_length=TEXT_LIMIT, required=False, allow_null=True)  # type: ignore[assignment]  # DRF's own name
    comment = Text(max_length=10_000, required=False, allow_null=True, allow_blank=True)
    source = serializers.ChoiceField(ScoreSource.choices)  # type: ignore[assignment]  # DRF's own name
    evaluator = Text(max_length=TEXT_LIMIT, required=False, allow_null=True)

    def validate_name(self, name: str) -> str:
        if name in BUILT_IN_METRICS:
            raise serializers.ValidationError(f"{name} is measured from the calls; a score needs another name")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not any(attrs.get(target) for target in ("trace_id", "span_id", "response_id", "exposure")):
            raise serializers.ValidationError("expected one of trace_id, span_id, response_id, exposure")
        return attrs | {key: attrs[key].lower() for key in ("trace_id", "span_id") if attrs.get(key)}


class ScoreSerializer(serializers.BaseSerializer[Score]):
    def to_representation(self, instance: Score) -> dict[str, Any]:
        return listed_score_json(instance)


class ScoreFilters(StrictSerializer):
    joined = serializers.BooleanField(required=False)
    name = Text(required=False)
    source = serializers.ChoiceField(ScoreSource.choices, required=False)  # type: ignore[assignment]  # DRF's own name
    since = serializers.DateTimeField(required=False)


class ScoresView(generics.ListAPIView[Score]):
    """POST: one score, or up to 1000 in an array; all are recorded or none.

    GET: scores, the newest first, with their calls or what they wait for; filters joined, name, source, since.
    """

    authentication_classes = [IngestKeyAuthentication]
    serializer_class = ScoreSerializer
    scopes = {"POST": Scope.INGEST}

    def post(self, request: Request) -> Response:
        sent = read_json(request._request)
        fields = _read_many(sent) if isinstance(sent, list) else [_read_one(sent)]
        reach = reach_of(request)
        scores = [with_own_id(NewScore(**score), reach) for score in fields]
        check_scores(scores, reach)
        return Response(asdict(record_scores(scores=scores)))

    def get_queryset(self) -> Any:
        fields = read_query(ScoreFilters, self.request, pages=CursorPages)
        return selectors.scores(**fields, reach=reach_of(self.request))


def _read_one(sent: Any) -> dict[str, Any]:
    form = ScoreForm(data=sent)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def _read_many(sent: list[Any]) -> list[dict[str, Any]]:
    forms: serializers.ListSerializer[Any] = serializers.ListSerializer(
        data=sent, child=ScoreForm(), allow_empty=False, max_length=MOST_SCORES
    )
    forms.is_valid(raise_exception=True)
    return list(forms.validated_data)
