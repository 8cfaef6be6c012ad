"""Foresight for a rollout that is only being planned: what it would be judged by, at the prompt's recent traffic.

Loads numpy and scipy, which no other web request needs; so the API imports it only when it is asked.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from common.clock import now
from common.errors import FieldError, Invalid
from observability import selectors as observed
from observability.core.evidence import ERROR_RATE, TOP_BIN
from registry import selectors as registry
from registry.models import Label, Prompt, PromptVersion
from rollout.core.foresight import Delay, Expected, Foresight, Outcome, Subject, foresee
from rollout.core.plan import Plan, PlanMetric
from rollout.core.stats import metric as statistics
from rollout.core.stats.evidence import histogram
from rollout.evaluation import LEAST_BATCH
from rollout.plans import read_plan
from rollout.selectors import BASELINE, refuse_latest, seen_scores

UNDECIDING = Expected(Delay(None, None), Delay(None, None))


@dataclass(frozen=True, slots=True)
class Traffic:
    """LLM calls of the prompt since then; observed: how many of them had an observation, by metric."""

    since: datetime
    calls: int
    per_s: float
    observed: dict[str, int]


@dataclass(frozen=True, slots=True)
class Forecast:
    """plan: with nothing silent, the margins too. canary: None where none was named."""

    label: Label
    canary: PromptVersion | None
    plan: Plan
    traffic: Traffic
    subjects: tuple[Subject, ...]
    foresight: Foresight


def forecast(*, prompt_name: str, label: str = "production", canary: str = "", plan: Any = None) -> Forecast:
    """What a rollout of the label under this plan is to be expected to come to. Nothing is written.

    plan: as people write it (rollout.plans); None for the default plan. Raises NotFound and Invalid as the start of the
    rollout would; what else keeps it from starting now, such as an active one, does not matter here.
    """
    prompt = registry.find_prompt(prompt_name)
    refuse_latest(label)
    target = registry.find_label(prompt, label)
    version = registry.find_version(prompt, canary) if canary else None
    whole = read_plan(plan or {}, seen=seen_scores(prompt))
    traffic = _traffic(prompt, whole)
    subjects = tuple(_subject(index, metric, target, traffic) for index, metric in enumerate(whole.metrics))
    foresight = foresee(whole, subjects, calls_per_s=traffic.per_s, least_batch=LEAST_BATCH)
    return Forecast(target, version, _with_margins(whole, subjects), traffic, subjects, foresight)


def forecast_json(forecast: Forecast) -> dict[str, Any]:
    """Medians, in calls of the canary and in seconds from the start; null for never, and for what no traffic tells."""
    foresight, traffic = forecast.foresight, forecast.traffic
    return {
        "prompt": forecast.label.prompt.name,
        "label": forecast.label.name,
        "control": forecast.label.version.number,
        "canary": forecast.canary.number if forecast.canary else None,
        "plan": forecast.plan.to_json(),
        "traffic": {
            "since": traffic.since.isoformat().replace("+00:00", "Z"),
            "calls": traffic.calls,
            "calls_per_day": round(86_400 * traffic.per_s, 1),
        },
        "metrics": [_metric_json(forecast, subject) for subject in forecast.subjects],
        "overall": {
            **_delays_json(foresight.find_harm, foresight.prove_safe),
            "if_worse": _outcome_json(foresight.if_worse),
            "if_equal": _outcome_json(foresight.if_equal),
        },
        "warnings": list(foresight.warnings),
    }


def _traffic(prompt: Prompt, plan: Plan) -> Traffic:
    """Of the last days, or since there has been the prompt."""
    at = now()
    since = max(at - BASELINE, prompt.created_at)
    seen = observed.traffic(prompt=prompt.name, since=since)
    by_metric = {
        metric.name: seen.calls if metric.name == ERROR_RATE else seen.scored.get(metric.name, 0)
        for metric in plan.metrics
    }
    return Traffic(since, seen.calls, seen.calls / max((at - since).total_seconds(), 1.0), by_metric)


def _subject(index: int, metric: PlanMetric, label: Label, traffic: Traffic) -> Subject:
    baseline = observed.values_by_bin(version_id=label.version_id, metric=metric.name, since=now() - BASELINE)
    try:
        frozen = statistics.freeze(
            name=metric.name,
            kind=metric.kind,
            direction=metric.direction,
            role=metric.role,
            weight=metric.weight,
            margin=metric.margin,
            baseline_n=sum(baseline.values()),
            baseline_total=sum(bin_ * n for bin_, n in baseline.items()) / TOP_BIN,
        )
    except ValueError as error:
        raise Invalid.fields(
            [FieldError(f"plan.metrics[{index}].margin", "invalid", str(error))], code="invalid_plan"
        ) from error
    return Subject(frozen, baseline, traffic.observed[metric.name] / max(traffic.calls, 1))


def _with_margins(plan: Plan, subjects: tuple[Subject, ...]) -> Plan:
    metrics = zip(plan.metrics, subjects, strict=True)
    return replace(
        plan,
        metrics=tuple(replace(metric, margin=dict(subject.frozen.process.margin)) for metric, subject in metrics),
    )


def _metric_json(forecast: Forecast, subject: Subject) -> dict[str, Any]:
    frozen = subject.frozen
    baseline = frozen.process.totals(histogram(subject.baseline))
    expected = forecast.foresight.metrics.get(frozen.name, UNDECIDING)
    return {
        "name": frozen.name,
        "kind": frozen.kind,
        "role": frozen.role,
        "direction": frozen.direction,
        "margin": dict(frozen.process.margin),
        "weight": frozen.weight,
        "baseline": {"n": baseline.n, "estimate": baseline.mean},
        "observed_calls": forecast.traffic.observed[frozen.name],
        **_delays_json(expected.find_harm, expected.prove_safe),
    }


def _delays_json(find_harm: Delay, prove_safe: Delay) -> dict[str, int | None]:
    return {
        "canary_calls_to_find_harm": find_harm.canary_calls,
        "find_harm_s": find_harm.seconds,
        "canary_calls_to_prove_safe": prove_safe.canary_calls,
        "prove_safe_s": prove_safe.seconds,
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {"decision": outcome.decision, "after_s": outcome.seconds}
