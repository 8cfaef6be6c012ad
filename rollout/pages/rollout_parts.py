"""What the page of a rollout shows, part by part: values ready to be printed, so that the templates only place them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from rollout import wording
from rollout.charts import difference_plot
from rollout.core.plan import Plan, PlanMetric
from rollout.formats import (
    count,
    difference,
    e_value,
    estimate,
    interval,
    limit,
    margin,
    moment,
    of_limit,
)
from rollout.models import Delivery, DeliveryAttempt, DeliveryStatus, Rollout, Transition
from rollout.wording import State

ATTEMPTS_SHOWN = 3
NO_ARM = {"n": 0, "units": 0, "estimate": None}
# The e-values of a metric without evidence are 1.
NO_EVIDENCE = {"difference": None, "interval": None, "log_e_harm": 0.0, "max_log_e_safe": 0.0, "verdict": "undecided"}


@dataclass(frozen=True, slots=True)
class Arm:
    estimate: str
    n: str
    units: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    name: str
    about: str
    control: Arm
    canary: Arm
    difference: str
    interval: str
    plot: SafeString
    harm: str
    proof: str
    state: State


@dataclass(frozen=True, slots=True)
class Metrics:
    """Those that decide, and those that are only observed."""

    guardrails: list[MetricRow]
    observed: list[MetricRow]


@dataclass(frozen=True, slots=True)
class Happening:
    """A transition, as the timeline tells it."""

    at: SafeString
    state: State
    why: str
    numbers: list[str]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """host: all that is shown of the address, whose path may hold a secret."""

    id: str
    event: str
    host: str
    state: State
    dead: bool
    attempts: list[str]


def metric_rows(rollout: Rollout) -> Metrics:
    """As the newest verdict has them, or as the plan declares them before there is one."""
    plan = Plan.from_json(rollout.plan)
    metrics = rollout.verdict.body["metrics"] if rollout.verdict else [_unmeasured(metric) for metric in plan.metrics]
    judges = {metric.name: _judge(metric, rollout.step) for metric in plan.metrics}
    rows: dict[str, list[MetricRow]] = {"guardrail": [], "observed": []}
    for metric in metrics:
        rows[metric["role"]].append(_metric_row(metric, judges[metric["name"]], -math.log(plan.alpha)))
    return Metrics(rows["guardrail"], rows["observed"])


def allowed_difference(metric: Mapping[str, Any]) -> float | None:
    """How much worse than the control's estimate its margin lets the canary be; None where that does not count."""
    control, kept = metric["control"]["estimate"], metric["margin"]
    if metric["limit"] or not kept or control is None:
        return None
    if "absolute" in kept:
        return float(kept["absolute"])
    bad = 1 - control if metric["direction"] == "higher" else control
    if metric["kind"] not in {"rate", "complaint"}:
        return float(bad * (kept["ratio"] - 1))
    odds = kept["ratio"] * bad
    return float(odds / (1 - bad + odds) - bad)  # their ratio is one of odds


def happening(transition: Transition, now: datetime) -> Happening:
    return Happening(
        at=moment(transition.happened_at, now),
        state=wording.state_after(transition),
        why=wording.why(transition),
        numbers=wording.numbers(transition.verdict) if transition.verdict else [],
    )


def delivery_row(delivery: Delivery, now: datetime) -> DeliveryRow:
    return DeliveryRow(
        id=delivery.pk,
        event=delivery.event.type,
        host=delivery.endpoint.host,
        state=wording.state_of_delivery(delivery),
        dead=delivery.status == DeliveryStatus.DEAD,
        attempts=_attempts(delivery, now),
    )


def _unmeasured(metric: PlanMetric) -> dict[str, Any]:
    return {**asdict(metric), "unit": metric.unit, "control": NO_ARM, "canary": NO_ARM, **NO_EVIDENCE}


def _judge(metric: PlanMetric, step: int) -> list[str]:
    """By which evaluator, and how many calls of each arm on the step; nothing of a metric without one."""
    if not metric.evaluator:
        return []
    if not metric.judged_by_step:
        return [f"by {metric.evaluator}"]
    judged = metric.judged_on(step)
    canary, control = estimate(judged.canary, "share"), estimate(judged.control, "share")
    return [f"by {metric.evaluator}, which judges {canary} of the canary's calls and {control} of the control's"]


def _metric_row(metric: Mapping[str, Any], judge: Sequence[str], log_limit: float) -> MetricRow:
    unit = metric["unit"]
    return MetricRow(
        name=metric["name"],
        about=", ".join([*_about(metric), *judge]),
        control=_arm(metric["control"], unit),
        canary=_arm(metric["canary"], unit),
        difference=difference(metric["difference"], unit),
        interval=interval(metric["interval"], unit) if metric["interval"] else "",
        plot=_plot(metric),
        harm=e_value(metric["log_e_harm"]),
        proof=of_limit(metric["max_log_e_safe"], log_limit),
        state=wording.state_of_metric(metric),
    )


def _about(metric: Mapping[str, Any]) -> list[str]:
    return [metric["kind"], f"{metric['direction']} is better", _kept(metric)]


def _kept(metric: Mapping[str, Any]) -> str:
    """What is to be kept, the margin or the limit."""
    kind, direction, unit = metric["kind"], metric["direction"], metric["unit"]
    if metric["limit"]:
        return limit(metric["limit"], kind, direction, unit)
    return f"margin {margin(metric['margin'], unit, direction)}"


def _plot(metric: Mapping[str, Any]) -> SafeString:
    """Nothing where nothing was measured: an empty picture would say that there is no difference."""
    if metric["difference"] is None:
        return SafeString("")
    unit, bounds = metric["unit"], metric["interval"]
    told = f"from {interval(bounds, unit)}" if bounds else "interval not known yet"
    return difference_plot(
        difference=metric["difference"],
        interval=(bounds[0], bounds[1]) if bounds else None,
        margin=allowed_difference(metric),
        higher_is_better=metric["direction"] == "higher",
        words=f"Canary minus control: {difference(metric['difference'], unit)}, {told}; {_kept(metric)}",
    )


def _arm(arm: Mapping[str, Any], unit: str) -> Arm:
    return Arm(estimate(arm["estimate"], unit), count(arm["n"]), count(arm["units"]))


def _attempts(delivery: Delivery, now: datetime) -> list[str]:
    log = list(delivery.log.all())
    earlier = [f"{len(log) - ATTEMPTS_SHOWN} earlier ones"] if len(log) > ATTEMPTS_SHOWN else []
    pending = delivery.status == DeliveryStatus.PENDING and delivery.next_attempt_at
    return [
        *earlier,
        *(_attempt(attempt, now) for attempt in log[-ATTEMPTS_SHOWN:]),
        *([format_html("next at {}", moment(pending, now))] if pending else ()),
    ]


def _attempt(attempt: DeliveryAttempt, now: datetime) -> SafeString:
    """Of an error only its kind: the rest may quote the address."""
    answer = f"answered {attempt.http_status}" if attempt.http_status else f"failed: {attempt.error.partition(':')[0]}"
    return format_html("{} {} after {} ms", moment(attempt.attempted_at, now), answer, count(attempt.duration_ms))
