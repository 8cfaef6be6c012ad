"""What a rollout knows of its units: how many saw each arm, how alike their calls are, if the arms get their shares."""

from collections.abc import Callable, Mapping
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple

from observability.core.evidence import TOP_BIN, UnitSums
from rollout.core.plan import ERROR_RATE, KIND_OF, Judged, Plan, PlanMetric
from rollout.core.stats.design_effect import Sums, crowding, design_effect, sums_of
from rollout.core.stats.sample_ratio import Counted, StepUnits, count, effective_units, planned_share

Buckets = Mapping[tuple[int, str], Mapping[str, Mapping[int, UnitSums]]]  # (step, measure) → arm → bucket → sums

ALL = Judged()


class Arms(NamedTuple):
    """The sums of one measure."""

    control: Sums
    canary: Sums


NOTHING = Arms(sums_of({}), sums_of({}))


class Units:
    """Of one look at a rollout. buckets: (observability.evidence.unit_buckets), over the rollout's whole life."""

    def __init__(self, buckets: Buckets, plan: Plan) -> None:
        self._by_step = {
            key: Arms(sums_of(arms["control"]), sums_of(arms["canary"]))
            for key, arms in buckets.items()
            if key[0] < len(plan.steps)
        }
        self._plan = plan
        self._sums = _over_steps(self._by_step)

    @cached_property
    def effective(self) -> dict[str, tuple[float, float]]:
        """By measure, how many independent units the calls of control and canary are worth."""
        return {measure: effective_units(arms.control.n, arms.canary.n) for measure, arms in self._sums.items()}

    @cached_property
    def sample_ratio(self) -> list[Counted]:
        """Every call that named an exposure, against the shares that the steps gave the arms."""
        return count(self._steps(ERROR_RATE, lambda step: ALL))

    @cached_property
    def judged_ratio(self) -> dict[str, list[Counted]]:
        """By guardrail that judges scores, the calls that got one, against what was to be judged of each arm."""
        return {
            metric.name: count(self._steps(metric.measure, metric.judged_on))
            for metric in self._plan.metrics
            if is_judged(metric)
        }

    def design_effect(self, metric: PlanMetric) -> float:
        """How many of the metric's observations one independent unit is worth.

        Complaints are compared among themselves, so it is how many of them a unit makes.
        """
        arms = self._sums.get(metric.measure, NOTHING)
        if metric.kind != "complaint":
            return design_effect(*arms)
        return crowding((arms.control.total + arms.canary.total) / TOP_BIN)

    def _steps(self, measure: str, judged_on: Callable[[int], Judged]) -> list[StepUnits]:
        return [
            StepUnits(self._share(step, judged_on(step)), arms.control.n, arms.canary.n)
            for (step, name), arms in sorted(self._by_step.items(), key=itemgetter(0))
            if name == measure
        ]

    def _share(self, step: int, judged: Judged) -> float:
        """Of the canary, in what is judged on the step."""
        weight = self._plan.steps[step].weight_bp / 10_000
        return planned_share(weight, control=judged.control, canary=judged.canary)


def _over_steps(by_step: Mapping[tuple[int, str], Arms]) -> dict[str, Arms]:
    """By measure, the sums over all steps."""
    totals: dict[str, Arms] = {}
    for (_, measure), arms in by_step.items():
        before = totals.get(measure, NOTHING)
        totals[measure] = Arms(_added(before.control, arms.control), _added(before.canary, arms.canary))
    return totals


def _added(one: Sums, other: Sums) -> Sums:
    return Sums(one.n + other.n, one.total + other.total, one.squares + other.squares)


def is_judged(metric: PlanMetric) -> bool:
    """Complaints are not: who complains is what they measure."""
    return metric.role == "guardrail" and metric.kind in ("rate", "score") and metric.measure not in KIND_OF
