"""A metric from its start to its verdict: what was fixed, how closed batches change it, and what it says now.

The one module of the statistics that the rest of the project uses, beside `sample_ratio`. Everything here is a pure
function of its arguments: folding the stored batches again gives the same state to the last bit.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from rollout.core.stats.difference import difference, interval
from rollout.core.stats.evidence import Process, Totals, histogram
from rollout.core.stats.grid import log_mean
from rollout.core.stats.margins import Baseline, Direction, Kind
from rollout.core.stats.rates import Rate
from rollout.core.stats.scores import Score

PROCESSES: Mapping[str, type[Process]] = {"rate": Rate, "score": Score}
DIRECTIONS = ("lower", "higher")
ROLES = ("guardrail", "observed")


@dataclass(frozen=True, slots=True)
class Frozen:
    """Everything about a metric that is fixed when its rollout starts; a later change would spend alpha again."""

    name: str
    kind: Kind
    direction: Direction
    role: str
    weight: float
    process: Process

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        process = PROCESSES[data["kind"]].from_json(data["process"])
        return cls(**{**data, "weight": float(data["weight"]), "process": process})


@dataclass(frozen=True, slots=True)
class StepTotals:
    """What a step's closed batches hold, for display."""

    step: int
    control: Totals
    canary: Totals


@dataclass(frozen=True, slots=True)
class State:
    """A metric after its closed batches. Its size depends on the grids and on the number of steps only.

    harm, safe: ln e-value against each point of the grids. memory: what the next batch knows of earlier ones.
    max_log_e_safe: the largest ln e-value for safety so far, since the first crossing decides.
    """

    harm: tuple[float, ...]
    safe: tuple[float, ...]
    memory: tuple[float, ...]
    max_log_e_safe: float = 0.0
    steps: tuple[StepTotals, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        # PostgreSQL writes 1e22 as an integer, hence float() around every number that is one here.
        harm, safe, memory = (tuple(map(float, data[key])) for key in ("harm", "safe", "memory"))
        steps = tuple(
            StepTotals(step["step"], _totals_from_json(step["control"]), _totals_from_json(step["canary"]))
            for step in data["steps"]
        )
        return cls(harm, safe, memory, float(data["max_log_e_safe"]), steps)


@dataclass(frozen=True, slots=True)
class Report:
    """What a metric says now. Undefined is None.

    estimates: share of 1s, or mean score. difference: canary - control inside steps, with its 95 % interval.
    log_e_harm: ln e-value against "the canary is not worse"; log_e_safe: against "worse by the margin or more".
    steps: those with at least one closed batch.
    """

    name: str
    kind: Kind
    role: str
    direction: Direction
    margin: Mapping[str, float]
    weight: float
    control_n: int
    control_estimate: float | None
    canary_n: int
    canary_estimate: float | None
    difference: float | None
    interval: tuple[float, float] | None
    log_e_harm: float
    log_e_safe: float
    max_log_e_safe: float
    steps: tuple[int, ...]


def freeze(
    *,
    name: str,
    kind: Kind,
    direction: Direction,
    role: str,
    weight: float,
    margin: Mapping[str, float] | None,
    baseline_n: int,
    baseline_total: float,
) -> Frozen:
    """Fix the metric at the start of its rollout.

    margin: {"ratio": 1.5}, an odds ratio of failing, or {"absolute": 0.03}; None for the kind's default.
    baseline_*: the control version's recent observations and the sum of their values, 0 and 0 when there are none.
    Raises ValueError, saying what was expected; on an absolute margin of a rate also when there is no baseline.
    """
    for value, known in ((kind, PROCESSES), (direction, DIRECTIONS), (role, ROLES)):
        if value not in known:
            raise ValueError(f"expected one of {', '.join(known)}, got {value!r}")
    if not 0 < weight < math.inf:
        raise ValueError(f"expected a weight over 0, got {weight}")
    baseline = Baseline(baseline_n, baseline_total)
    process = PROCESSES[kind].freeze(direction=direction, margin=margin, baseline=baseline)
    return Frozen(name, kind, direction, role, float(weight), process)


def start(frozen: Frozen) -> State:
    """The state before the first batch: every e-value is 1."""
    process = frozen.process
    return State((0.0,) * len(process.harm.points), (0.0,) * len(process.safe.points), process.memory)


def fold(frozen: Frozen, state: State, *, step: int, control: Mapping[int, int], canary: Mapping[int, int]) -> State:
    """The state after one more closed batch, given as observations by bin. An empty batch changes nothing.

    Raises ValueError on bins outside 0..1000, negative counts or a negative step.
    """
    if step < 0:
        raise ValueError(f"expected a step of 0 or more, got {step}")
    control_counts, canary_counts = histogram(control), histogram(canary)
    if not (control_counts.any() or canary_counts.any()):
        return state
    process = frozen.process
    increments = process.weigh(control=control_counts, canary=canary_counts, memory=state.memory)
    safe = _add(state.safe, increments.safe)
    totals = StepTotals(step, process.totals(control_counts), process.totals(canary_counts))
    return State(
        harm=_add(state.harm, increments.harm),
        safe=safe,
        memory=increments.memory,
        max_log_e_safe=max(state.max_log_e_safe, process.safe.log_e(safe)),
        steps=_add_step(state.steps, totals),
    )


def report(frozen: Frozen, state: State) -> Report:
    control = sum((step.control for step in state.steps), Totals())
    canary = sum((step.canary for step in state.steps), Totals())
    found = difference([(step.control, step.canary) for step in state.steps])
    return Report(
        name=frozen.name,
        kind=frozen.kind,
        role=frozen.role,
        direction=frozen.direction,
        margin=frozen.process.margin,
        weight=frozen.weight,
        control_n=control.n,
        control_estimate=control.mean,
        canary_n=canary.n,
        canary_estimate=canary.mean,
        difference=found.estimate if found else None,
        interval=interval(found, spread=frozen.process.spread) if found else None,
        log_e_harm=frozen.process.harm.log_e(state.harm),
        log_e_safe=frozen.process.safe.log_e(state.safe),
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
    return log_mean([report.log_e_harm for report in guardrails], [report.weight for report in guardrails])


def _add(logs: tuple[float, ...], increments: Iterable[float]) -> tuple[float, ...]:
    return tuple(log + float(increment) for log, increment in zip(logs, increments, strict=True))


def _add_step(steps: tuple[StepTotals, ...], new: StepTotals) -> tuple[StepTotals, ...]:
    by_step = {step.step: step for step in steps}
    if old := by_step.get(new.step):
        new = StepTotals(new.step, old.control + new.control, old.canary + new.canary)
    return tuple(sorted({**by_step, new.step: new}.values(), key=lambda step: step.step))


def _totals_from_json(data: Mapping[str, Any]) -> Totals:
    return Totals(data["n"], float(data["total"]), float(data["squares"]))
