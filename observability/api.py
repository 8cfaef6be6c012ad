"""Scores in, calls out, over REST (product.md, section 5)."""

from dataclasses import asdict
from typing import Any

from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.bodies import read_json
from common.rest import CursorPages, StrictSerializer
from observability import selectors, services
from observability.core.conversions import TEXT_LIMIT, clean
from observability.core.evidence import BUILT_IN_METRICS, parse_exposure
from observability.core.scores import NewScore
from observability.models import Call, ScoreSource
from observability.representation import call_json
from registry.models import Scope

MOST_SCORES = 1000


class Share(serializers.Field[float, Any, float, Any]):
    """A JSON number from 0 to 1; neither text nor true and false pass for one."""

    default_error_messages = {"invalid": "expected a number from 0 to 1, got {got}"}

    def to_internal_value(self, data: Any) -> float:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if not is_number or not 0 <= data <= 1:
            self.fail("invalid", got=repr(data)[:40])
        return float(data)

    def to_representation(self, value: float) -> float:
        return value


class Text(serializers.CharField):
    """Text that every database can hold."""

    def to_internal_value(self, data: Any) -> str:
        return clean(super().to_internal_value(data))


class ExposureText(Text):
    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            parse_exposure(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


def hexadecimal(digits: int) -> serializers.RegexField:
    message = f"expected {digits} hexadecimal digits"
    return serializers.RegexField(
        rf"\A[0-9a-fA-F]{{{digits}}}\Z", required=False, allow_null=True, error_messages={"invalid": message}
    )


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


class ScoresView(APIView):
    """POST: one score, or up to 1000 in an array; all are recorded or none."""

    scopes = {"POST": Scope.INGEST}

    def post(self, request: Request) -> Response:
        sent = read_json(request._request)
        fields = _read_many(sent) if isinstance(sent, list) else [_read_one(sent)]
        return Response(asdict(services.record_scores(scores=[NewScore(**score) for score in fields])))


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


class CallSerializer(serializers.BaseSerializer[Call]):
    def to_representation(self, instance: Call) -> dict[str, Any]:
        return call_json(instance)


class CallFilters(StrictSerializer):
    trace_id = hexadecimal(32)
    prompt = Text(required=False)
    version = Text(required=False)
    since = serializers.DateTimeField(required=False)


class NewestFirst(CursorPages):
    ordering = ("-started_at", "-id")  # type: ignore[assignment]  # one name or several


class CallsView(generics.ListAPIView[Call]):
    """GET: calls, the newest first; filters trace_id, prompt, version, since (ISO 8601)."""

    serializer_class = CallSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> Any:
        given = self.request.query_params.dict()
        for paging in (NewestFirst.cursor_query_param, NewestFirst.page_size_query_param):
            given.pop(paging, None)
        filters = CallFilters(data=given)
        filters.is_valid(raise_exception=True)
        fields = dict(filters.validated_data)
        if trace_id := fields.pop("trace_id", None):
            fields["trace_id"] = bytes.fromhex(trace_id)
        return selectors.calls(**fields)
