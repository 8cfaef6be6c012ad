"""Reads the plan that a person wrote (product.md, section 4), field by field, into core.plan.Plan."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, get_args

from django.core.exceptions import ValidationError
from rest_framework import serializers

from common.errors import FieldError, Invalid
from common.rest import StrictSerializer, field_errors
from observability.core.shares import read_share_bp
from observability.models.objectives import OBJECTIVE_NAME
from rollout.core.plan import (
    KIND_OF,
    LEAST_CAP,
    MOST_CAP,
    OUTPUT_VALID,
    THUMBS_DOWN,
    Judged,
    Kind,
    Plan,
    PlanMetric,
    PlanStep,
    check_limit,
    default_metrics,
    read_duration_s,
    usual_direction,
)
from rollout.core.stats import margins

METRIC_NAME = r"\A[a-z0-9][a-z0-9_.-]{0,99}\Z"
EVALUATOR = r"\A[a-z0-9][a-z0-9._-]{0,127}(@[1-9][0-9]{0,8})?\Z"
KINDS_OF_SCORES = ("rate", "score", "complaint")
# More than anybody needs; what a look at a rollout and a forecast of a plan cost grows with them.
MOST_STEPS, MOST_METRICS, MOST_OBJECTIVES = 10, 20, 20


@dataclass(frozen=True, slots=True)
class Judges:
    """An evaluator, of whose score, as which kind of metric; newest: the ordinal of its newest version. by_default:
    whether it judges the prompt's calls, rollout or not."""

    name: str
    score: str
    kind: Kind
    newest: int
    by_default: bool


@dataclass(frozen=True)
class Seen:
    """What the prompt's calls brought in the last days, which a plan may leave unsaid.

    scores: names with the kind of their values; measured: which measures calls had; has_response_schema: of the canary.
    judges: the evaluators that there are.
    """

    scores: Mapping[str, Kind] = field(default_factory=dict)
    measured: frozenset[str] = frozenset()
    has_response_schema: bool = False
    judges: tuple[Judges, ...] = ()

    def judge_of(self, metric: Mapping[str, Any]) -> Judges | None:
        """Who gives the scores that a metric is written about: whom it names, else who judges the prompt by them."""
        if "evaluator" in metric:
            name = (metric["evaluator"] or "").partition("@")[0]
            return next((judge for judge in self.judges if judge.name == name), None)
        if "judged" in metric:
            return None
        return self.by_default.get(metric.get("measure", metric["name"]))

    @cached_property
    def by_default(self) -> Mapping[str, Judges]:
        """By score: who judges the prompt's calls, the first by name where several give the same."""
        found: dict[str, Judges] = {}
        for judge in self.judges:
            if judge.by_default:
                found.setdefault(judge.score, judge)
        return found


def read_plan(written: Any, *, seen: Seen) -> Plan:
    """The whole plan behind what was written.

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
    return _as_written(Plan(**fields), written.get("metrics"))


def resolve_margin(index: int, metric: PlanMetric, baseline: Mapping[int, int]) -> dict[str, float] | None:
    """The margin by which the plan's metric at this index is compared, None for a limit. Raises Invalid naming it."""
    try:
        return None if metric.limit else margins.resolve(metric, baseline)
    except ValueError as error:
        raise _invalid([FieldError(f"plan.metrics[{index}].margin", "invalid", str(error))]) from error


def _metrics(written: list[dict[str, Any]] | None, seen: Seen) -> tuple[PlanMetric, ...]:
    judged = {score: judge.kind for score, judge in seen.by_default.items()}
    if written is None:
        return default_metrics(
            {**judged, **seen.scores},
            seen.measured,
            has_response_schema=seen.has_response_schema,
            evaluators={score: judge.name for score, judge in seen.by_default.items()},
        )
    kinds: dict[str, Kind] = {THUMBS_DOWN: "complaint", **judged, **seen.scores, **KIND_OF}
    written = [_by_evaluator(metric, seen) for metric in written]
    errors = [
        FieldError(f"plan.metrics[{index}].{name}", code, message)
        for index, metric in enumerate(written)
        for name, code, message in _wrong(metric, kinds, seen)
    ]
    if errors:
        raise _invalid(errors)
    metrics = tuple(_metric(metric, kinds) for metric in written)
    measures = Counter(metric.measure for metric in metrics)
    for metric in metrics:
        if metric.kind == "complaint" and measures[metric.measure] > 1:
            expected = f"expected {metric.measure}, of which complaints are counted, to be judged once"
            raise _invalid([FieldError("plan.metrics", "invalid", expected)])
        same = {(of.evaluator, of.judged, of.judged_by_step) for of in metrics if of.measure == metric.measure}
        if metric.evaluator and len(same) > 1:
            expected = (
                f"expected every metric of {metric.measure} to have the same evaluator and the same judged shares"
            )
            raise _invalid([FieldError("plan.metrics", "invalid", expected)])
    return metrics


def _as_written(plan: Plan, written: Sequence[Mapping[str, Any]] | None) -> Plan:
    """With the shares that people wrote for an evaluator's calls on each step, where they did."""
    if not written:
        return plan
    metrics = (
        replace(metric, judged_by_step=(metric.judged,) * len(plan.steps))
        if metric.evaluator and "judged" in said
        else metric
        for metric, said in zip(plan.metrics, written, strict=True)
    )
    return replace(plan, metrics=tuple(metrics))


def _by_evaluator(metric: Mapping[str, Any], seen: Seen) -> dict[str, Any]:
    """The metric with what its evaluator tells of it: who that is, and of which score and kind it is."""
    judge = seen.judge_of(metric)
    if judge is None:
        return dict(metric)
    usual = {"measure": judge.score, "kind": seen.scores.get(judge.score, judge.kind), "evaluator": judge.name}
    return {**usual, **metric}


def _wrong(metric: Mapping[str, Any], kinds: Mapping[str, Kind], seen: Seen) -> Iterator[tuple[str, str, str]]:
    """(field, code, what was expected) of all that the metric's own form cannot know."""
    measure = metric.get("measure", metric["name"])
    if "kind" not in metric and measure not in kinds:
        yield "kind", "required", f"expected one of {', '.join(KINDS_OF_SCORES)}: {measure} was not seen lately"
    if metric.get("evaluator"):
        yield from _wrong_evaluator(metric, seen)
    if measure == OUTPUT_VALID and not seen.has_response_schema:
        yield "name", "invalid", "expected a canary version with a response_schema, by which an output is valid or not"
    if kind := metric.get("kind", kinds.get(measure)):
        yield from _wrong_for_its_kind(kind, metric)


def _wrong_evaluator(metric: Mapping[str, Any], seen: Seen) -> Iterator[tuple[str, str, str]]:
    judge, (name, _, ordinal) = seen.judge_of(metric), metric["evaluator"].partition("@")
    measure = metric.get("measure", metric["name"])
    if judge is None:
        yield "evaluator", "unknown", f"expected an evaluator that there is, got {name}"
    elif ordinal and int(ordinal) > judge.newest:
        yield "evaluator", "unknown", f"expected a version of {name} up to @{judge.newest}, got @{ordinal}"
    elif measure != judge.score:
        yield "evaluator", "invalid", f"{name} gives scores of {judge.score}, not of {measure}"


def _wrong_for_its_kind(kind: Kind, metric: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if kind == "complaint" and metric.get("evaluator"):
        yield "evaluator", "invalid", "expected none: users complain, and no evaluator does"
    if kind == "complaint" and metric.get("direction") == "higher":
        yield "direction", "invalid", "expected lower: complaints are better when there are fewer"
    for name, check in (("margin", margins.check), ("limit", check_limit)):
        if metric.get(name) is not None:
            try:
                check(kind, metric[name])
            except ValueError as error:
                yield name, "invalid", str(error)


def _metric(written: Mapping[str, Any], kinds: Mapping[str, Kind]) -> PlanMetric:
    measure = written.get("measure", written["name"])
    kind = written.get("kind", kinds.get(measure))
    usual = {"kind": kind, "direction": "lower" if kind == "complaint" else usual_direction(measure)}
    judged = {"judged": Judged(**written["judged"])} if "judged" in written else {}
    return PlanMetric(**{**usual, **written, **judged, "evaluator": written.get("evaluator") or ""})


def _invalid(errors: list[FieldError]) -> Invalid:
    return Invalid.fields(errors, code="invalid_plan")


class ShareField(serializers.Field[int, Any, int, Any]):
    """A share in basis points, written "5%" or 0.05."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return read_share_bp(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class ChanceField(serializers.Field[float, Any, float, Any]):
    """A share over 0, written "5%" or 0.05."""

    def to_internal_value(self, data: Any) -> float:
        share = ShareField().to_internal_value(data) / 10_000
        if not share:
            raise serializers.ValidationError("expected a share over 0 %")
        return share


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


class JudgedForm(StrictSerializer):
    control = ChanceField(required=False)
    canary = ChanceField(required=False)


class MetricForm(StrictSerializer):
    name = serializers.RegexField(METRIC_NAME)
    measure = serializers.RegexField(METRIC_NAME, required=False)
    kind = serializers.ChoiceField(get_args(Kind), required=False)
    direction = serializers.ChoiceField(["lower", "higher"], required=False)
    role = serializers.ChoiceField(["guardrail", "observed"], required=False)
    margin = MarginForm(required=False, allow_null=True)
    limit = serializers.FloatField(required=False, allow_null=True)
    judged = JudgedForm(required=False)
    evaluator = serializers.RegexField(EVALUATOR, required=False, allow_null=True)
    weight = serializers.FloatField(min_value=0.001, max_value=1000, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        measure = attrs.get("measure", attrs["name"])
        known = KIND_OF.get(measure)
        kind: Kind = attrs.get("kind", known or "score")
        if known:
            self._check_built_in(measure, known, attrs)
        elif kind in ("cost", "latency"):
            built_in = " or ".join(name for name, of_name in KIND_OF.items() if of_name == kind)
            raise serializers.ValidationError({"kind": f"{measure} is no {kind}: expected {built_in}"})
        if attrs.get("limit") is not None and attrs.get("margin"):
            raise serializers.ValidationError({"limit": "expected a margin or a limit: a metric of its own for each"})
        return attrs

    def _check_built_in(self, measure: str, known: Kind, attrs: Mapping[str, Any]) -> None:
        kind, direction = attrs.get("kind", known), attrs.get("direction", usual_direction(measure))
        if (kind, direction) != (known, usual_direction(measure)):
            expected = f"{measure} is a {known}, and {usual_direction(measure)} is better"
            raise serializers.ValidationError(expected)
        for name in ("judged", "evaluator"):
            if attrs.get(name):
                expected = f"{measure} is measured of every call: only scores are judged"
                raise serializers.ValidationError({name: expected})


class NeededBudget(serializers.Field[Any, Any, Any, Any]):
    """A share of all objectives' error budgets, "10%", or shares by the names of objectives."""

    def to_internal_value(self, data: Any) -> int | dict[str, int]:
        if not isinstance(data, Mapping):
            return self._share(data)
        if not 1 <= len(data) <= MOST_OBJECTIVES:
            raise serializers.ValidationError(f"expected 1 to {MOST_OBJECTIVES} objectives")
        found, wrong = {}, {}
        for name, share in data.items():
            try:
                found[self._name(name)] = self._share(share)
            except serializers.ValidationError as error:
                wrong[str(name)[:100]] = error.detail
        if wrong:
            raise serializers.ValidationError(wrong)
        return found

    def _name(self, name: str) -> str:
        try:
            OBJECTIVE_NAME(name)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from error
        return name

    def _share(self, data: Any) -> int:
        share = ShareField().to_internal_value(data)
        if not share:
            raise serializers.ValidationError("expected a share over 0 %")
        return share


class PlanForm(StrictSerializer):
    steps = StepForm(many=True, required=False, allow_empty=False)
    metrics = MetricForm(many=True, required=False, allow_empty=False)
    alpha = serializers.FloatField(min_value=0.0001, max_value=0.5, required=False)
    promote_when = serializers.ChoiceField(["proven_safe", "no_harm_found"], required=False)
    on_inconclusive = serializers.ChoiceField(["hold", "rollback", "promote"], required=False)
    max_duration = DurationField(source="max_duration_s", least_s=1, required=False)
    min_units = serializers.IntegerField(min_value=0, max_value=10_000_000, required=False)
    look_every = DurationField(source="look_every_s", least_s=1, required=False)
    warm_up = DurationField(source="warm_up_s", required=False)
    auto_promote = serializers.BooleanField(required=False)
    auto_rollback = serializers.BooleanField(required=False)
    when_superseded = serializers.ChoiceField(["reject", "replace"], required=False)
    canary_spend_cap = serializers.DecimalField(
        max_digits=18, decimal_places=12, min_value=LEAST_CAP, max_value=MOST_CAP, required=False, allow_null=True
    )
    needs_budget = NeededBudget(source="needs_budget_bp", required=False, allow_null=True)

    def validate_steps(self, steps: list[dict[str, int]]) -> list[dict[str, int]]:
        if len(steps) > MOST_STEPS:
            raise serializers.ValidationError(f"expected at most {MOST_STEPS} steps, got {len(steps)}")
        if any(after["weight_bp"] <= before["weight_bp"] for before, after in pairwise(steps)):
            raise serializers.ValidationError("expected every step's weight to be more than the one before")
        return steps

    def validate_metrics(self, metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(metrics) > MOST_METRICS:
            raise serializers.ValidationError(f"expected at most {MOST_METRICS} metrics, got {len(metrics)}")
        names = [metric["name"] for metric in metrics]
        if len(set(names)) < len(names):
            raise serializers.ValidationError("expected every metric once")
        if all(metric.get("role") == "observed" for metric in metrics):
            raise serializers.ValidationError("expected at least one guardrail: observed metrics never decide")
        return metrics
