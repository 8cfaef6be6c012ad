"""A forecast as people read it: what becomes of a canary that is worse and of one that is equal, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollout.core.plan import Plan
from rollout.formats import DASH, count, duration, estimate, limit, margin, money
from rollout.wording import ON_INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class MetricForecast:
    """A row of the table. compared: the margin or limit. harm, proof: how long each takes."""

    name: str
    control: str
    calls: str
    compared: str
    harm: str
    proof: str


@dataclass(frozen=True, slots=True)
class ForecastInWords:
    """judging: what it takes in a day; empty where no evaluator judges the prompt."""

    if_worse: str
    if_equal: str
    traffic: str
    judging: str
    metrics: list[MetricForecast]
    warnings: list[str]
    budgets: list[tuple[str, str]]


def forecast_in_words(forecast: Mapping[str, Any]) -> ForecastInWords:
    """forecast: as the API answers it (rollout.forecasting.forecast_json)."""
    plan, overall = Plan.from_json(forecast["plan"]), forecast["overall"]
    return ForecastInWords(
        if_worse=_if_worse(plan, overall),
        if_equal=_if_equal(plan, overall),
        traffic=f"{count(round(forecast['traffic']['calls_per_day']))} calls a day in the last 7 days",
        judging=_judging(forecast["judging"]) if forecast["judging"] else "",
        metrics=[_metric(metric) for metric in forecast["metrics"]],
        warnings=forecast["warnings"],
        budgets=[(budget["name"], _budget(budget)) for budget in forecast["budgets"]],
    )


def _if_worse(plan: Plan, overall: Mapping[str, Any]) -> str:
    after = duration(overall["if_worse"]["after_s"])
    match overall["if_worse"]["decision"]:
        case "rollback":
            then = "is rolled back" if plan.auto_rollback else "is found, and held for a person to roll back,"
            return f"A canary that is worse in one metric, by exactly its margin, {then} after about {after}."
        case "promote":
            return (
                f"A canary that is worse in one metric, by exactly its margin, is promoted after about {after}, unseen."
            )
        case _:
            return (
                "A canary that is worse in one metric, by exactly its margin, is not found before time is up, "
                f"after {after}; then {ON_INCONCLUSIVE[plan.on_inconclusive]}."
            )


def _if_equal(plan: Plan, overall: Mapping[str, Any]) -> str:
    after = duration(overall["if_equal"]["after_s"])
    match overall["if_equal"]["decision"]:
        case "promote":
            then = "is promoted" if plan.auto_promote else "waits for a person to promote it"
            return f"A canary that is equal {then} after about {after}."
        case "rollback":
            return f"A canary that is equal is rolled back after about {after}: the control breaks a limit itself."
        case _:
            return (
                f"A canary that is equal is not promoted before time is up, after {after}; "
                f"then {ON_INCONCLUSIVE[plan.on_inconclusive]}."
            )


def _judging(judging: Mapping[str, Any]) -> str:
    usd = judging["usd_per_day"]
    cost = "; what a judgement costs is not known yet" if usd is None else f", about {money(float(usd))}"
    limits = [
        *([f"{count(calls)} calls"] if (calls := judging["budget"]["calls_a_day"]) is not None else []),
        *([money(float(most))] if (most := judging["budget"]["usd_a_day"]) is not None else []),
    ]
    budget = f"The budget is {' and '.join(limits)} a day." if limits else "There is no budget for it."
    return f"About {count(round(judging['calls_per_day']))} calls a day are judged{cost}. {budget}"


def _metric(metric: Mapping[str, Any]) -> MetricForecast:
    decides = metric["role"] == "guardrail"
    return MetricForecast(
        name=metric["name"],
        control=estimate(metric["baseline"]["estimate"] if metric["baseline"]["n"] else None, metric["unit"]),
        calls=count(metric["baseline"]["n"]),
        compared=limit(metric["limit"], metric["kind"], metric["direction"], metric["unit"])
        if metric["limit"]
        else margin(metric["margin"], metric["unit"], metric["direction"]),
        harm=_delay(metric["canary_calls_to_find_harm"], metric["find_harm_s"]) if decides else "never decides",
        proof=_delay(metric["canary_calls_to_prove_safe"], metric["prove_safe_s"]) if decides else DASH,
    )


def _budget(budget: Mapping[str, Any]) -> str:
    left = "not known" if budget["left"] is None else f"{estimate(budget['left'], 'share')} left"
    return f"{left}, {estimate(budget['needed'], 'share')} needed{'' if budget['met'] else ': it takes a reason'}"


def _delay(calls: int | None, seconds: int | None) -> str:
    if calls is None:
        return "hardly ever"
    of_canary = f"{count(calls)} canary calls"
    return of_canary if seconds is None else f"{duration(seconds)}, {of_canary}"
