"""Foresight for a rollout that is only being planned: what it would be judged by, at the prompt's recent traffic.

Loads numpy and scipy, which no other web request needs; so the API imports it only when it is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from common.clock import now
from common.errors import FieldError, Invalid
from observability import selectors as observed
from registry import selectors as registry
from registry.models import Label, Prompt, PromptVersion
from rollout.batches import LEAST_BATCH
from rollout.core.foresight import Delay, Expected, Foresight, Outcome, Subject, foresee, subject
from rollout.core.plan import Plan
from rollout.core.stats.evidence import arm, top_bin
from rollout.error_budgets import Demand, demands, demands_json, in_words
from rollout.past import BASELINE, baseline_of, seen_lately
from rollout.plans import read_plan
from rollout.selectors import refuse_latest

UNDECIDING = Expected(Delay(None, None), Delay(None, None))


@dataclass(frozen=True, slots=True)
class Traffic:
    """LLM calls of the prompt since then; observed: how many of them had an observation, by measure."""

    since: datetime
    calls: int
    per_s: float
    observed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Forecast:
    """plan: with nothing silent, the margins too. canary: None where none was named. budgets: that it demands."""

    label: Label
    canary: PromptVersion | None
    plan: Plan
    traffic: Traffic
    subjects: tuple[Subject, ...]
    foresight: Foresight
    budgets: tuple[Demand, ...] = ()


def forecast(*, prompt_name: str, label: str = "production", canary: str = "", plan: Any = None) -> Forecast:
    """What a rollout of the label under this plan is to be expected to come to. Nothing is written.

    plan: as people write it (rollout.plans); None for the default plan. Raises NotFound and Invalid as the start of the
    rollout would; what else keeps it from starting now, such as an active one, does not matter here.
    """
    prompt = registry.find_prompt(prompt_name)
    refuse_latest(label)
    target = registry.find_label(prompt, label)
    version = registry.find_version(prompt, canary) if canary else None
    whole = read_plan({} if plan is None else plan, seen=seen_lately(prompt, version))
    traffic = _traffic(prompt)
    subjects = tuple(_subject(index, whole, target, traffic) for index in range(len(whole.metrics)))
    foresight = foresee(whole, subjects, calls_per_s=traffic.per_s, least_batch=LEAST_BATCH)
    with_margins = replace(whole, metrics=tuple(subject.metric for subject in subjects))
    budgets = tuple(demands(whole, prompt_name=prompt.name, label=label))
    return Forecast(target, version, with_margins, traffic, subjects, foresight, budgets)


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
        "warnings": [*foresight.warnings, *(f"{in_words(each)}." for each in forecast.budgets if not each.met)],
        "budgets": demands_json(forecast.budgets),
    }


def _traffic(prompt: Prompt) -> Traffic:
    """Of the last days, or since there has been the prompt."""
    at = now()
    since = max(at - BASELINE, prompt.created_at)
    seen = observed.traffic(prompt=prompt.name, since=since)
    return Traffic(since, seen.calls, seen.calls / max((at - since).total_seconds(), 1.0), seen.observed)


def _subject(index: int, plan: Plan, label: Label, traffic: Traffic) -> Subject:
    metric = plan.metrics[index]
    try:
        return subject(
            metric,
            baseline=baseline_of(metric, control_id=label.version_id),
            shares=[step.weight_bp / 10_000 for step in plan.steps],
            observed=traffic.observed.get(metric.measure, 0) / max(traffic.calls, 1),
        )
    except ValueError as error:
        raise Invalid.fields(
            [FieldError(f"plan.metrics[{index}].margin", "invalid", str(error))], code="invalid_plan"
        ) from error


def _metric_json(forecast: Forecast, subject: Subject) -> dict[str, Any]:
    metric = subject.metric
    baseline = subject.process.totals(arm(subject.baseline, top=top_bin(metric.measure)))
    expected = forecast.foresight.metrics.get(metric.name, UNDECIDING)
    return {
        "name": metric.name,
        "measure": metric.measure,
        "kind": metric.kind,
        "role": metric.role,
        "direction": metric.direction,
        "margin": metric.margin,
        "limit": metric.limit,
        "unit": metric.unit,
        "weight": metric.weight,
        "baseline": {"n": baseline.n, "estimate": baseline.mean},
        "observed_calls": forecast.traffic.observed.get(metric.measure, 0),
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
