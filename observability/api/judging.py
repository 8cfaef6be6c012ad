"""Evaluations one by one, and how judging fares."""

from datetime import timedelta
from typing import Any

from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.clock import now
from common.rest import CursorPages, StrictSerializer, read_query
from observability.api.fields import Text
from observability.models import Evaluation, EvaluationStatus
from observability.representation import evaluation_json, judged_json
from observability.selectors import judging
from registry.keys import reach_of

A_DAY = timedelta(days=1)


class EvaluationSerializer(serializers.BaseSerializer[Evaluation]):
    def to_representation(self, instance: Evaluation) -> dict[str, Any]:
        return evaluation_json(instance)


class EvaluationFilters(StrictSerializer):
    prompt = Text(required=False)
    evaluator = Text(required=False)
    status = serializers.ChoiceField(EvaluationStatus.choices, required=False)


class EvaluationsView(generics.ListAPIView[Evaluation]):
    """GET: evaluations, the newest first; filters prompt, evaluator (`faithfulness` or `faithfulness@3`), status."""

    serializer_class = EvaluationSerializer

    def get_queryset(self) -> Any:
        fields = read_query(EvaluationFilters, self.request, pages=CursorPages)
        return judging.evaluations(**fields, reach=reach_of(self.request))


class JudgingFilters(StrictSerializer):
    prompt = Text(required=False)
    since = serializers.DateTimeField(required=False)


class JudgingFiguresView(APIView):
    """GET: by prompt and evaluator version, what was judged since then (a day ago) and what waits."""

    def get(self, request: Request) -> Response:
        query = read_query(JudgingFilters, request)
        since = query.get("since") or now() - A_DAY
        found = judging.judged(since=since, prompt=query.get("prompt"), reach=reach_of(request))
        return Response({"since": since, "items": [judged_json(key, judged) for key, judged in found.items()]})
