"""Evaluators, their versions, and which prompts they judge, over REST."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import Invalid
from common.rest import CursorPages, StrictSerializer, read_body, read_query
from observability.api.fields import Text
from observability.judging.evaluating import Judgement, Material, Missed, evaluate
from observability.models import Evaluator, EvaluatorKind, EvaluatorVersion, Judging, JudgingBudget
from observability.models.evaluators import MOST_CALLS_A_DAY
from observability.representation import MILLISECONDS, money, rounded
from observability.selectors.evaluators import (
    evaluator_versions,
    evaluators,
    find_evaluator,
    find_evaluator_version,
    judging_budget,
    judgings,
    newest_versions,
)
from observability.services.evaluators import (
    checked_version,
    create_evaluator,
    publish_evaluator_version,
    remove_judging,
    set_judging,
    set_judging_budget,
)
from observability.services.prices import current_overrides
from registry.api import whole_prompt
from registry.idempotency import idempotent
from registry.keys import grant_behind, reach_of, refuse_restricted
from registry.reach import Reach
from registry.selectors import find_prompt

OF_ALL_PROMPTS = "evaluators are of all prompts"
LONGEST_TRIED = 200_000
MOST_DOCUMENTS = 100


class EvaluatorForm(StrictSerializer):
    name = serializers.CharField(max_length=128)
    score = serializers.CharField(max_length=100)
    description = Text(max_length=2000, allow_blank=True, required=False)


class EvaluatorVersionForm(StrictSerializer):
    """template: of a judge, the version of a prompt that asks it, such as judge-faithfulness@1.0."""

    kind = serializers.ChoiceField(EvaluatorKind.choices)
    config = serializers.JSONField(default=dict)
    template = serializers.CharField(max_length=200, allow_null=True, default=None)
    notes = serializers.CharField(max_length=10_000)


class TryForm(StrictSerializer):
    """ordinal: which version is tried, the newest without one; or kind, config and template of one that is not
    published."""

    ordinal = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    kind = serializers.ChoiceField(EvaluatorKind.choices, required=False)
    config = serializers.JSONField(default=dict)
    template = serializers.CharField(max_length=200, allow_null=True, default=None)
    input = Text(max_length=LONGEST_TRIED, allow_null=True, default=None)
    output = Text(max_length=LONGEST_TRIED, allow_null=True, default=None)
    documents = serializers.ListField(child=Text(max_length=LONGEST_TRIED), max_length=MOST_DOCUMENTS, default=list)
    finish_reason = Text(max_length=200, allow_null=True, default=None)
    response_schema = serializers.JSONField(allow_null=True, default=None)


class JudgingForm(StrictSerializer):
    share_bp = serializers.IntegerField(min_value=1, max_value=10_000, required=False)
    canary_share_bp = serializers.IntegerField(min_value=1, max_value=10_000, required=False)
    active = serializers.BooleanField(required=False)


class BudgetForm(StrictSerializer):
    """null: no bound."""

    calls_a_day = serializers.IntegerField(min_value=0, max_value=MOST_CALLS_A_DAY, allow_null=True)
    usd_a_day = serializers.DecimalField(max_digits=12, decimal_places=4, min_value=0, allow_null=True)


class EvaluatorSerializer(serializers.BaseSerializer[Evaluator]):
    def to_representation(self, instance: Evaluator) -> dict[str, Any]:
        newest = self.context["newest"].get(instance.pk)
        return evaluator_json(instance, newest, reach_of(self.context["request"]))


class VersionSerializer(serializers.BaseSerializer[EvaluatorVersion]):
    def to_representation(self, instance: EvaluatorVersion) -> dict[str, Any]:
        return version_json(instance, reach_of(self.context["request"]))


class JudgingSerializer(serializers.BaseSerializer[Judging]):
    def to_representation(self, instance: Judging) -> dict[str, Any]:
        return judging_json(instance)


class EvaluatorsView(ListAPIView[Evaluator]):
    """GET: the evaluators, the one that was made last first. POST: a new one."""

    serializer_class = EvaluatorSerializer

    def get_queryset(self) -> QuerySet[Evaluator]:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return evaluators()

    def paginate_queryset(self, queryset: Any) -> Any:
        self.page = super().paginate_queryset(queryset)
        return self.page

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "newest": newest_versions(self.page or [])}

    @idempotent()
    def post(self, request: Request) -> Response:
        grant = grant_behind(request)
        refuse_restricted(grant, OF_ALL_PROMPTS)
        evaluator = create_evaluator(**read_body(EvaluatorForm, request), actor=grant.actor)
        location = {"Location": f"/api/v1/evaluators/{evaluator.name}"}
        return Response(evaluator_json(evaluator, None, grant.reach), status=201, headers=location)


class EvaluatorView(APIView):
    def get(self, request: Request, evaluator: str) -> Response:
        found = find_evaluator(evaluator)
        return Response(evaluator_json(found, newest_versions([found]).get(found.pk), reach_of(request)))


class EvaluatorVersionsView(ListAPIView[EvaluatorVersion]):
    """GET: the evaluator's versions, newest first. POST: publish one."""

    serializer_class = VersionSerializer

    def get_queryset(self) -> QuerySet[EvaluatorVersion]:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return evaluator_versions(find_evaluator(self.kwargs["evaluator"]))

    @idempotent()
    def post(self, request: Request, evaluator: str) -> Response:
        grant, fields = grant_behind(request), read_body(EvaluatorVersionForm, request)
        refuse_restricted(grant, OF_ALL_PROMPTS)
        version = publish_evaluator_version(evaluator_name=evaluator, **fields, actor=grant.actor)
        location = {"Location": f"/api/v1/evaluators/{evaluator}/versions/{version.ordinal}"}
        return Response(version_json(version, grant.reach), status=201, headers=location)


class EvaluatorVersionView(APIView):
    def get(self, request: Request, evaluator: str, ordinal: int) -> Response:
        version = find_evaluator_version(find_evaluator(evaluator), ordinal)
        return Response(version_json(version, reach_of(request)))


class EvaluatorTryView(APIView):
    """POST: what a version, or one that is not published, says of given texts. Nothing of it is stored."""

    def post(self, request: Request, evaluator: str) -> Response:
        fields = read_body(TryForm, request)
        refuse_restricted(grant_behind(request), OF_ALL_PROMPTS)
        version = _tried(find_evaluator(evaluator), fields)
        schema = fields["response_schema"]
        if schema is not None and not isinstance(schema, dict):
            raise Invalid.field("response_schema", "expected a JSON Schema, as an object")
        material = Material(fields["input"], fields["output"], fields["documents"], fields["finish_reason"], schema)
        deadline_s = settings.JUDGE_DEADLINE.total_seconds()
        said = evaluate(version, material, deadline_s=deadline_s, overrides=current_overrides())
        return Response(said_json(said))


class JudgingsView(ListAPIView[Judging]):
    """GET: what judges the prompt."""

    serializer_class = JudgingSerializer

    def get_queryset(self) -> QuerySet[Judging]:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return judgings(find_prompt(self.kwargs["name"], reach_of(self.request)))


class JudgingView(APIView):
    """PUT: have an evaluator judge the prompt; what is not told stays, or is the default. DELETE: no more."""

    def put(self, request: Request, name: str, evaluator: str) -> Response:
        fields, prompt = read_body(JudgingForm, request), whole_prompt(request, name)
        actor = grant_behind(request).actor
        return Response(
            judging_json(set_judging(prompt_name=prompt.name, evaluator_name=evaluator, **fields, actor=actor))
        )

    def delete(self, request: Request, name: str, evaluator: str) -> Response:
        prompt = whole_prompt(request, name)
        remove_judging(prompt_name=prompt.name, evaluator_name=evaluator, actor=grant_behind(request).actor)
        return Response(status=204)


class JudgingBudgetView(APIView):
    """GET: what judging the prompt may cost in a day. PUT: another budget."""

    def get(self, request: Request, name: str) -> Response:
        return Response(budget_json(judging_budget(find_prompt(name, reach_of(request)))))

    def put(self, request: Request, name: str) -> Response:
        fields, prompt = read_body(BudgetForm, request), whole_prompt(request, name)
        budget = set_judging_budget(prompt_name=prompt.name, **fields, actor=grant_behind(request).actor)
        return Response(budget_json(budget))


def _tried(evaluator: Evaluator, fields: dict[str, Any]) -> EvaluatorVersion:
    if "kind" not in fields:
        return find_evaluator_version(evaluator, fields.get("ordinal"))
    if "ordinal" in fields:
        raise Invalid.field("ordinal", "expected either the ordinal of a version, or kind, config and template")
    return checked_version(evaluator, kind=fields["kind"], config=fields["config"], template=fields["template"])


def evaluator_json(evaluator: Evaluator, newest: EvaluatorVersion | None, reach: Reach) -> dict[str, Any]:
    """newest: null before the first version."""
    return {
        "name": evaluator.name,
        "score": evaluator.score,
        "description": evaluator.description,
        "newest": newest and version_json(newest, reach),
        "created_at": evaluator.created_at,
        "created_by": evaluator.created_by,
    }


def version_json(version: EvaluatorVersion, reach: Reach) -> dict[str, Any]:
    """template: null also where the key does not reach the prompt."""
    template = version.template
    seen = template is not None and not reach.labels and reach.sees(template.prompt.name)
    return {
        "ref": str(version),
        "ordinal": version.ordinal,
        "kind": version.kind,
        "config": version.config,
        "template": template.ref if template is not None and seen else None,
        "notes": version.notes,
        "sha256": version.sha256,
        "published_at": version.published_at,
        "published_by": version.published_by,
    }


def judging_json(judging: Judging) -> dict[str, Any]:
    return {
        "evaluator": judging.evaluator.name,
        "score": judging.evaluator.score,
        "share_bp": judging.share_bp,
        "canary_share_bp": judging.canary_share_bp,
        "active": judging.active,
    }


def budget_json(budget: JudgingBudget) -> dict[str, Any]:
    usd = budget.usd_a_day
    return {"calls_a_day": budget.calls_a_day, "usd_a_day": None if usd is None else money(Decimal(usd))}


def said_json(said: Judgement | Missed) -> dict[str, Any]:
    """Either value or missing is null."""
    if isinstance(said, Missed):
        found: dict[str, Any] = {"value": None, "label": None, "reason": said.detail, "missing": said.missing}
    else:
        found = {"value": said.value, "label": said.label, "reason": said.reason, "missing": None}
    cost = said.cost_usd
    return {
        **found,
        "try_again": isinstance(said, Missed) and said.try_again,
        "model": said.model,
        "cost_usd": None if cost is None else money(cost),
        "latency_ms": rounded(said.latency_ms, MILLISECONDS),
    }
