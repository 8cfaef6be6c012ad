"""What the page of a rollout shows, part by part: values ready to be printed, so that the templates only place them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils.html import format_html
from django.utils.safestring import SafeString

from rollout import wording
from rollout.core.plan import ERROR_RATE, Plan, PlanMetric
from rollout.formats import (
    DASH,
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
from rollout.models import Delivery, DeliveryAttempt, DeliveryStatus, Rollout, Transition, Verdict
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
    harm: str
    proof: str
    state: State


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of a verdict over all metrics, and whether it may be trusted: that the arms got their shares of units."""

    harm: str
    at: SafeString
    control_units: str
    canary_units: str
    ratio: str
    ratio_state: State


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

    event: str
    host: str
    state: State
    attempts: list[str]


def metric_rows(rollout: Rollout) -> list[MetricRow]:
    """As the newest verdict has them, or as the plan declares them before there is one."""
    plan = Plan.from_json(rollout.plan)
    metrics = rollout.verdict.body["metrics"] if rollout.verdict else [_unmeasured(metric) for metric in plan.metrics]
    return [_metric_row(metric, -math.log(plan.alpha)) for metric in metrics]


def evidence(verdict: Verdict, now: datetime) -> Evidence:
    body = verdict.body
    ratio = body["sample_ratio"]
    broken = body["kind"] == "invalid" or ratio["log_e"] >= ratio["log_threshold"]
    calls: Mapping[str, Any] = next((metric for metric in body["metrics"] if metric["name"] == ERROR_RATE), {})
    return Evidence(
        harm=of_limit(body["log_e_harm"], body["log_threshold"]),
        at=moment(verdict.found_at, now),
        control_units=count(calls["control"]["units"]) if calls else DASH,
        canary_units=count(round(body["canary_units"])),
        ratio=of_limit(ratio["log_e"], ratio["log_threshold"]),
        ratio_state=State("held", "Broken") if broken else State("safe", "As planned"),
    )


def happening(transition: Transition, now: datetime) -> Happening:
    return Happening(
        at=moment(transition.happened_at, now),
        state=wording.state_after(transition),
        why=wording.why(transition),
        numbers=wording.numbers(transition.verdict) if transition.verdict else [],
    )


def delivery_row(delivery: Delivery, now: datetime) -> DeliveryRow:
    return DeliveryRow(
        event=delivery.event.type,
        host=urlsplit(delivery.endpoint.url).hostname or DASH,
        state=wording.state_of_delivery(delivery),
        attempts=_attempts(delivery, now),
    )


def _unmeasured(metric: PlanMetric) -> dict[str, Any]:
    return {**asdict(metric), "unit": metric.unit, "control": NO_ARM, "canary": NO_ARM, **NO_EVIDENCE}


def _metric_row(metric: Mapping[str, Any], log_limit: float) -> MetricRow:
    kind, direction, unit = metric["kind"], metric["direction"], metric["unit"]
    about = [
        kind,
        f"{direction} is better",
        limit(metric["limit"], kind, direction)
        if metric["limit"]
        else f"margin {margin(metric['margin'], unit, direction)}",
    ]
    return MetricRow(
        name=metric["name"],
        about=", ".join(about if metric["role"] == "guardrail" else [*about, "observed: never decides"]),
        control=_arm(metric["control"], unit),
        canary=_arm(metric["canary"], unit),
        difference=difference(metric["difference"], unit),
        interval=interval(metric["interval"], unit),
        harm=e_value(metric["log_e_harm"]),
        proof=of_limit(metric["max_log_e_safe"], log_limit),
        state=wording.state_of_metric(metric),
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
