"""Foresight for a rollout that is only being planned: what it would be judged by, at the prompt's recent traffic.

Loads numpy and scipy, which no other web request needs; so the API imports it only when it is asked.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from common.clock import now
from common.errors import FieldError, Invalid
from observability import selectors as observed
from registry import selectors as registry
from registry.models import Label, Prompt, PromptVersion
from rollout.batches import LEAST_BATCH
from rollout.core.foresight import Delay, Expected, Foresight, Outcome, Subject, foresee, span, subject
from rollout.core.plan import Plan, dollars
from rollout.core.spend import Reach, reach_of_cap
from rollout.core.stats.evidence import arm, top_bin
from rollout.error_budgets import BudgetNeed, in_words, needs, needs_json
from rollout.judging import Demand, judged
from rollout.past import baseline_of, seen_lately, since_when
from rollout.plans import read_plan
from rollout.selectors import refuse_latest

DAY_S = 86_400
UNDECIDING = Expected(Delay(None, None), Delay(None, None))


@dataclass(frozen=True, slots=True)
class Traffic:
    """LLM calls of the prompt since then; observed: how many of them had an observation, by measure. usd_per_call: over
    all, those of unknown cost as nothing."""

    since: datetime
    calls: int
    per_s: float
    observed: Mapping[str, int]
    usd_per_call: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """plan: with nothing silent, the margins too. canary: None where none was named. demand: what it takes to judge the
    prompt meanwhile, None where it asks no model. reach: of the canary's spend cap; None without one, and where
    nothing is known of its cost. budgets: what it needs to be left of error budgets."""

    label: Label
    canary: PromptVersion | None
    plan: Plan
    traffic: Traffic
    subjects: tuple[Subject, ...]
    foresight: Foresight
    demand: Demand | None
    reach: Reach | None
    budgets: tuple[BudgetNeed, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        unmet = (f"{in_words(each)}." for each in self.budgets if not each.met)
        return (*self.foresight.warnings, *_beyond_budget(self), *_of_cap(self), *unmet)


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
    whole, demand = judged(whole, prompt, calls=traffic.calls, since=traffic.since)
    subjects = tuple(_subject(index, whole, target, traffic) for index in range(len(whole.metrics)))
    foresight = foresee(whole, subjects, calls_per_s=traffic.per_s, least_batch=LEAST_BATCH)
    with_margins = replace(whole, metrics=tuple(subject.metric for subject in subjects))
    reach, budgets = _reach(whole, traffic), tuple(needs(whole, prompt_name=prompt.name, label=label))
    return Forecast(target, version, with_margins, traffic, subjects, foresight, demand, reach, budgets)


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
            "calls_per_day": round(DAY_S * traffic.per_s, 1),
        },
        "judging": forecast.demand and _demand_json(forecast.demand),
        "metrics": [_metric_json(forecast, subject) for subject in forecast.subjects],
        "overall": {
            **_delays_json(foresight.find_harm, foresight.prove_safe),
            "if_worse": _outcome_json(foresight.if_worse),
            "if_equal": _outcome_json(foresight.if_equal),
        },
        "canary_spend": _spend_json(forecast),
        "warnings": list(forecast.warnings),
        "budgets": needs_json(forecast.budgets),
    }


def _traffic(prompt: Prompt) -> Traffic:
    """Of the last days, or since there has been the prompt."""
    at = now()
    since = since_when(prompt)
    seen = observed.traffic(prompt=prompt.name, since=since)
    per_s = seen.calls / max((at - since).total_seconds(), 1.0)
    return Traffic(since, seen.calls, per_s, seen.observed, seen.cost_usd / max(seen.calls, 1))


def _reach(plan: Plan, traffic: Traffic) -> Reach | None:
    """At the cost of the prompt's calls lately, whatever version they were of."""
    if plan.canary_spend_cap is None:
        return None
    return reach_of_cap(
        plan.canary_spend_cap,
        usd_per_call=traffic.usd_per_call,
        calls_per_s=traffic.per_s,
        steps=plan.steps,
        left_s=plan.steps[0].hold_s,
    )


def _of_cap(forecast: Forecast) -> Iterator[str]:
    """What the cap ends too early for."""
    cap, reach, equal = forecast.plan.canary_spend_cap, forecast.reach, forecast.foresight.if_equal
    if cap is None:
        return
    if reach is None:
        yield "Nothing is known of what the prompt's calls cost, so that the canary's spend cap may never be reached."
    elif reach.seconds is not None and reach.seconds < equal.seconds:
        yield (
            f"The canary's spend cap of {dollars(cap)} USD is reached after about {span(round(reach.seconds))}, before "
            "there is a decision on a canary that is equal."
        )


def _spend_json(forecast: Forecast) -> dict[str, Any] | None:
    """seconds, canary_calls: from the start until the cap is reached; null where nothing tells."""
    cap, reach = forecast.plan.canary_spend_cap, forecast.reach
    if cap is None:
        return None
    return {
        "cap_usd": dollars(cap),
        "usd_per_call": dollars(round(forecast.traffic.usd_per_call, 12)),
        "canary_calls": math.ceil(reach.canary_calls) if reach else None,
        "after_s": round(reach.seconds) if reach and reach.seconds is not None else None,
    }


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


def _beyond_budget(forecast: Forecast) -> Iterator[str]:
    """What the judging budget does not allow, and which metrics it keeps from being decided."""
    demand = forecast.demand
    if demand is None or demand.afforded == 1:
        return
    yield (
        f"The judging budget allows {demand.calls_a_day:.0f} judged calls a day of the {demand.wanted:.0f} that the "
        f"set shares come to: all but those of checks are lowered to {100 * demand.afforded:.3g} % of what they are."
    )
    for metric in forecast.plan.metrics:
        expected = forecast.foresight.metrics.get(metric.name)
        is_lowered = metric.judged_by_step and metric.evaluator.partition("@")[0] in demand.evaluators
        if is_lowered and expected and _is_undecided(expected, forecast.plan):
            yield f"{metric.name} cannot be decided within max_duration on what the judging budget allows."


def _is_undecided(expected: Expected, plan: Plan) -> bool:
    needed = [expected.find_harm, *([expected.prove_safe] if plan.promote_when == "proven_safe" else [])]
    return any(
        delay.canary_calls is None or (delay.seconds is not None and delay.seconds > plan.max_duration_s)
        for delay in needed
    )


def _demand_json(demand: Demand) -> dict[str, Any]:
    """In a day, by all that asks a model; the dollars null where it is not known what a judgement costs."""
    limit = demand.budget
    return {
        "calls_per_day": round(demand.calls_a_day, 1),
        "usd_per_day": None if demand.usd_a_day is None else f"{demand.usd_a_day:.4f}",
        "afforded": round(demand.afforded, 6),
        "budget": {
            "calls_a_day": limit.calls_a_day,
            "usd_a_day": None if limit.usd_a_day is None else f"{limit.usd_a_day.normalize():f}",
        },
    }


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
        "evaluator": metric.evaluator or None,
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
