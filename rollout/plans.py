"""Reads the plan that a person wrote (product.md, section 4), field by field, into core.plan.Plan."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from rest_framework import serializers

from common.errors import FieldError, Invalid
from common.rest import StrictSerializer, field_errors
from rollout.core.plan import (
    ERROR_RATE,
    Kind,
    Plan,
    PlanMetric,
    PlanStep,
    default_metrics,
    read_duration_s,
    read_share_bp,
    usual_direction,
)

# Measured from spans, by kinds of metric that are still to come: never the name of a score.
NOT_YET_MEASURED = {"latency", "ttft", "inter_token_latency", "cost_per_call", "tokens", "output_valid"}


def read_plan(written: Any, *, seen: Mapping[str, Kind]) -> Plan:
    """The whole plan behind what was written. seen: score names of the last days with the kind of their values.

    Raises Invalid naming every field that is wrong, as `plan.steps[1].weight`.
    """
    form = PlanForm(data=written)
    if not form.is_valid():
        raise _invalid(
            [FieldError(f"plan.{e.field}" if e.field else "plan", e.code, e.message) for e in field_errors(form.errors)]
        )
    fields = dict(form.validated_data)
    fields["metrics"] = _metrics(fields.get("metrics"), seen)
    if "steps" in fields:
        fields["steps"] = tuple(PlanStep(**step) for step in fields["steps"])
    return Plan(**fields)


def _metrics(written: list[dict[str, Any]] | None, seen: Mapping[str, Kind]) -> tuple[PlanMetric, ...]:
    if written is None:
        return default_metrics(seen)
    kinds: dict[str, Kind] = {**seen, ERROR_RATE: "rate"}
    unknown = [
        FieldError(
            f"plan.metrics[{index}].kind", "required", f"expected rate or score: {metric['name']} was not seen lately"
        )
        for index, metric in enumerate(written)
        if "kind" not in metric and metric["name"] not in kinds
    ]
    if unknown:
        raise _invalid(unknown)
    return tuple(
        PlanMetric(**{"kind": kinds.get(metric["name"]), "direction": usual_direction(metric["name"]), **metric})
        for metric in written
    )


def _invalid(errors: list[FieldError]) -> Invalid:
    return Invalid.fields(errors, code="invalid_plan")


class ShareField(serializers.Field[int, Any, int, Any]):
    """A share in basis points, written "5%" or 0.05."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return read_share_bp(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class DurationField(serializers.Field[int, Any, int, Any]):
    """Whole seconds, written `90s`, `15m`, `24h` or `7d`."""

    def __init__(self, *, least_s: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.least_s = least_s

    def to_internal_value(self, data: Any) -> int:
        try:
            seconds = read_duration_s(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        if seconds < self.least_s:
            raise serializers.ValidationError(f"expected at least {self.least_s}s, got {data}")
        return seconds


class StepForm(StrictSerializer):
    weight = ShareField(source="weight_bp")
    hold = DurationField(source="hold_s", default=12 * 3600)

    def validate_weight(self, weight_bp: int) -> int:
        if not 1 <= weight_bp <= 9_999:
            raise serializers.ValidationError(
                "expected 0.01 % to 99.99 %: a step needs both arms; it is the promotion that gives everyone the canary"
            )
        return weight_bp


class MarginForm(StrictSerializer):
    ratio = serializers.FloatField(min_value=1.01, max_value=100, required=False)
    absolute = serializers.FloatField(min_value=0.0001, max_value=0.9999, required=False)

    def validate(self, attrs: dict[str, float]) -> dict[str, float]:
        if len(attrs) != 1:
            raise serializers.ValidationError('expected one of {"ratio": 1.5} and {"absolute": 0.03}')
        return dict(attrs)


class MetricForm(StrictSerializer):
    name = serializers.RegexField(r"\A[a-z0-9][a-z0-9_.-]{0,99}\Z")
    kind = serializers.ChoiceField(["rate", "score"], required=False)
    direction = serializers.ChoiceField(["lower", "higher"], required=False)
    role = serializers.ChoiceField(["guardrail", "observed"], required=False)
    margin = MarginForm(required=False, allow_null=True)
    weight = serializers.FloatField(min_value=0.001, max_value=1000, required=False)

    def validate_name(self, name: str) -> str:
        if name in NOT_YET_MEASURED:
            raise serializers.ValidationError(f"{name} is not measured yet; expected error_rate or the name of a score")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("kind") == "score" and "ratio" in (attrs.get("margin") or {}):
            raise serializers.ValidationError({"margin": 'expected {"absolute": 0.03}, the margin of a score'})
        if attrs["name"] == ERROR_RATE and (attrs.get("kind", "rate"), attrs.get("direction", "lower")) != (
            "rate",
            "lower",
        ):
            raise serializers.ValidationError("error_rate is a rate, and lower is better")
        return attrs


class PlanForm(StrictSerializer):
    steps = StepForm(many=True, required=False, allow_empty=False)
    metrics = MetricForm(many=True, required=False, allow_empty=False)
    alpha = serializers.FloatField(min_value=0.0001, max_value=0.5, required=False)
    promote_when = serializers.ChoiceField(["proven_safe", "no_harm_found"], required=False)
    on_inconclusive = serializers.ChoiceField(["hold", "rollback", "promote"], required=False)
    max_duration = DurationField(source="max_duration_s", least_s=1, required=False)
    min_units = serializers.IntegerField(min_value=0, max_value=10_000_000, required=False)
    look_every = DurationField(source="look_every_s", least_s=1, required=False)
    auto_promote = serializers.BooleanField(required=False)
    auto_rollback = serializers.BooleanField(required=False)

    def validate_steps(self, steps: list[dict[str, int]]) -> list[dict[str, int]]:
        if any(after["weight_bp"] <= before["weight_bp"] for before, after in pairwise(steps)):
            raise serializers.ValidationError("expected every step's weight to be more than the one before")
        return steps

    def validate_metrics(self, metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [metric["name"] for metric in metrics]
        if len(set(names)) < len(names):
            raise serializers.ValidationError("expected every metric once")
        if all(metric.get("role") == "observed" for metric in metrics):
            raise serializers.ValidationError("expected at least one guardrail: observed metrics never decide")
        return metrics
