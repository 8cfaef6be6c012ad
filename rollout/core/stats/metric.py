"""A metric from its start to its verdict: what was fixed, how closed batches change it, and what it says now.

The one module of the statistics that the rest of the project uses, beside `sample_ratio` and `design_effect`.
Everything here is a pure function of its arguments: folding the stored batches again gives the same state to the last
bit.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from rollout.core.plan import Direction, Kind, PlanMetric, Unit
from rollout.core.stats import stored
from rollout.core.stats.complaints import Complaint
from rollout.core.stats.costs import Cost
from rollout.core.stats.difference import difference, interval
from rollout.core.stats.evidence import Batch, Bins, Increments, Process, Totals, arm, top_bin
from rollout.core.stats.grid import Array, log_mean
from rollout.core.stats.latencies import Latency
from rollout.core.stats.limits import MeanLimit, RateLimit
from rollout.core.stats.rates import Rate
from rollout.core.stats.scores import Score

COMPARISONS: Mapping[Kind, type[Process]] = {
    "rate": Rate,
    "score": Score,
    "complaint": Complaint,
    "cost": Cost,
    "latency": Latency,
}
LIMITS: Mapping[Kind, type[Process]] = {
    "rate": RateLimit,
    "score": MeanLimit,
    "complaint": RateLimit,
    "cost": MeanLimit,
    "latency": RateLimit,
}
LEAST_BASELINE = 200  # observations of the control over 0, before a cost or a latency has a scale


@dataclass(frozen=True, slots=True)
class Frozen:
    """Everything about a metric that is fixed when its rollout starts; a later change would spend alpha again."""

    metric: PlanMetric
    process: Process

    def to_json(self) -> dict[str, Any]:
        return {"metric": self.metric.to_json(), "process": stored.to_json(self.process)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        metric = PlanMetric.from_json(data["metric"])
        return cls(metric, stored.from_json(_process_of(metric), data["process"]))


@dataclass(frozen=True, slots=True)
class StepTotals:
    """What a step's closed batches hold, for display."""

    step: int
    control: Totals
    canary: Totals


@dataclass(frozen=True, slots=True)
class State:
    """A metric after its closed batches. Its size depends on the grids and on the number of steps only.

    harm, safe: ln e-value against each alternative, as if all calls were independent. memory: what the next batch knows
    of earlier ones. design_effect: of the last batch, by which the logs are divided before they are mixed.
    max_log_e_safe: the largest ln e-value for safety so far, since the first crossing decides.
    """

    harm: tuple[float, ...]
    safe: tuple[float, ...]
    memory: tuple[float, ...]
    design_effect: float = 1.0
    max_log_e_safe: float = 0.0
    steps: tuple[StepTotals, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return stored.to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return stored.from_json(cls, data)


class Weighed(NamedTuple):
    """A closed batch: what it holds, and what it adds to the logs."""

    totals: StepTotals
    increments: Increments


@dataclass(frozen=True, slots=True)
class Report:
    """What a metric says now. Undefined is None.

    unit: of the estimates and the difference: share, score, ms, USD or tokens. estimates: share of 1s, or the mean.
    difference: canary - control inside steps, with its 95 % interval.
    log_e_harm: ln e-value against "the canary is not worse"; log_e_safe: against "worse by the margin or more". Of a
    limit: against "it is kept" and "it is broken".
    design_effect: how many calls one independent unit is worth. steps: those with at least one closed batch.
    """

    name: str
    measure: str
    kind: Kind
    role: str
    direction: Direction
    margin: Mapping[str, float]
    limit: float | None
    weight: float
    unit: Unit
    control_n: int = 0
    control_estimate: float | None = None
    canary_n: int = 0
    canary_estimate: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    design_effect: float = 1.0
    log_e_harm: float = 0.0
    log_e_safe: float = 0.0
    max_log_e_safe: float = 0.0
    steps: tuple[int, ...] = ()


def learns_first(metric: PlanMetric, baseline: Bins) -> bool:
    """Whether the baseline is too small to give a scale: the control's next observations then belong to it."""
    return left_to_learn(metric, baseline) > 0


def left_to_learn(metric: PlanMetric, baseline: Bins) -> int:
    """How many observations of the control over 0 are missing before there is a scale."""
    if metric.kind not in ("cost", "latency") or metric.limit is not None:
        return 0
    return max(LEAST_BASELINE - sum(n for place, n in baseline.items() if place > 0), 0)


def freeze(metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Frozen:
    """Fix the metric at the start of its rollout.

    baseline: the control version's recent observations by bin. shares: the canary's planned share on each step.
    Raises ValueError, saying what was expected, on a margin or limit that the metric cannot have.
    """
    process = _process_of(metric).freeze(metric, baseline=baseline, shares=shares)
    return Frozen(replace(metric, margin=process.margin or None), process)


def start(frozen: Frozen) -> State:
    """The state before the first batch: every e-value is 1."""
    harm, safe = frozen.process.sizes
    return State((0.0,) * harm, (0.0,) * safe, frozen.process.memory)


def fold(frozen: Frozen, state: State, *, step: int, control: Bins, canary: Bins, design_effect: float = 1.0) -> State:
    """The state after one more closed batch, given as observations by bin. An empty batch changes nothing.

    design_effect: of all calls up to now, at least 1. Raises ValueError on bins that cannot be, negative counts or a
    negative step.
    """
    batch = _batch(frozen, step=step, control=control, canary=canary)
    if not (batch.control.n or batch.canary.n):
        return state
    process = frozen.process
    totals, increments = _weigh(process, state, batch)
    safe = np.array(state.safe) + increments.safe
    return State(
        harm=_floats(np.array(state.harm) + increments.harm),
        safe=_floats(safe),
        memory=increments.memory,
        design_effect=design_effect,
        max_log_e_safe=max(state.max_log_e_safe, float(process.log_e_safe(safe / design_effect))),
        steps=_add_step(state.steps, totals),
    )


def weigh(frozen: Frozen, state: State, *, step: int, control: Bins, canary: Bins) -> Weighed:
    """What the next closed batch adds to the state; raises as `fold` does."""
    return _weigh(frozen.process, state, _batch(frozen, step=step, control=control, canary=canary))


def log_e_harm(frozen: Frozen, state: State) -> float:
    return float(frozen.process.log_e_harm(np.array(state.harm) / state.design_effect))


def log_e_safe(frozen: Frozen, state: State) -> float:
    return float(frozen.process.log_e_safe(np.array(state.safe) / state.design_effect))


def nothing_yet(metric: PlanMetric) -> Report:
    """The report of a metric before its first batch."""
    return Report(**_planned(metric))


def report(frozen: Frozen, state: State) -> Report:
    process, metric = frozen.process, frozen.metric
    control = sum((step.control for step in state.steps), Totals())
    canary = sum((step.canary for step in state.steps), Totals())
    found = difference([(step.control, step.canary) for step in state.steps], outcomes=process.outcomes)
    limit = 1.0 if metric.unit in ("share", "score") else math.inf
    return Report(
        **_planned(metric),
        control_n=control.n,
        control_estimate=control.mean,
        canary_n=canary.n,
        canary_estimate=canary.mean,
        difference=found.estimate if found else None,
        interval=found and interval(found.wider(state.design_effect), spread=process.spread, limit=limit),
        design_effect=state.design_effect,
        log_e_harm=log_e_harm(frozen, state),
        log_e_safe=log_e_safe(frozen, state),
        max_log_e_safe=state.max_log_e_safe,
        steps=tuple(step.step for step in state.steps),
    )


def overall_log_e(reports: Iterable[Report]) -> float:
    """ln of the weighted mean of the guardrails' e-values for harm; 0, an e-value of 1, when there is no guardrail.

    The mean of e-values is an e-value however they depend on each other, so alpha holds for all guardrails together.
    """
    guardrails = [report for report in reports if report.role == "guardrail"]
    if not guardrails:
        return 0.0
    return float(log_mean([report.log_e_harm for report in guardrails], [report.weight for report in guardrails]))


def _planned(metric: PlanMetric) -> dict[str, Any]:
    """What a report repeats of the plan."""
    return {
        "name": metric.name,
        "measure": metric.measure,
        "kind": metric.kind,
        "role": metric.role,
        "direction": metric.direction,
        "margin": metric.margin or {},
        "limit": metric.limit,
        "weight": metric.weight,
        "unit": metric.unit,
    }


def _batch(frozen: Frozen, *, step: int, control: Bins, canary: Bins) -> Batch:
    if step < 0:
        raise ValueError(f"expected a step of 0 or more, got {step}")
    top = top_bin(frozen.metric.measure)
    return Batch(step, arm(control, top=top), arm(canary, top=top))


def _weigh(process: Process, state: State, batch: Batch) -> Weighed:
    totals = StepTotals(batch.step, process.totals(batch.control), process.totals(batch.canary))
    return Weighed(totals, process.weigh(batch, state.memory))


def _process_of(metric: PlanMetric) -> type[Process]:
    return (COMPARISONS if metric.limit is None else LIMITS)[metric.kind]


def _floats(logs: Array) -> tuple[float, ...]:
    return tuple(logs.tolist())


def _add_step(steps: tuple[StepTotals, ...], new: StepTotals) -> tuple[StepTotals, ...]:
    by_step = {step.step: step for step in steps}
    if old := by_step.get(new.step):
        new = StepTotals(new.step, old.control + new.control, old.canary + new.canary)
    return tuple(sorted({**by_step, new.step: new}.values(), key=lambda step: step.step))
