"""What a rollout knows of its units: how many saw each arm, how alike their calls are, if the arms get their shares."""

from collections.abc import Callable, Mapping
from functools import cached_property

from observability.core.evidence import TOP_BIN, UnitSums
from rollout.core.plan import ERROR_RATE, KIND_OF, Judged, Plan, PlanMetric
from rollout.core.stats.design_effect import crowding, design_effect, sums_of
from rollout.core.stats.sample_ratio import Counted, StepUnits, count, effective_units, planned_share

Buckets = Mapping[tuple[int, str], Mapping[str, Mapping[int, UnitSums]]]  # (step, measure) → arm → bucket → sums

NONE = UnitSums(0, 0, 0)
ALL = Judged()


class Units:
    """Of one look at a rollout. buckets: (observability.evidence.unit_buckets), over the rollout's whole life."""

    def __init__(self, buckets: Buckets, plan: Plan) -> None:
        self._buckets = {key: arms for key, arms in buckets.items() if key[0] < len(plan.steps)}
        self._plan = plan
        self._sums = _over_steps(self._buckets)

    @cached_property
    def effective(self) -> dict[str, tuple[float, float]]:
        """By measure, how many independent units the calls of control and canary are worth."""
        return {
            measure: effective_units(_calls(arms["control"]), _calls(arms["canary"]))
            for measure, arms in self._sums.items()
        }

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
        arms = self._sums.get(metric.measure, {"control": {}, "canary": {}})
        if metric.kind != "complaint":
            return design_effect(sums_of(arms["control"]), sums_of(arms["canary"]))
        return crowding((sums_of(arms["control"]).total + sums_of(arms["canary"]).total) / TOP_BIN)

    def _steps(self, measure: str, judged_on: Callable[[int], Judged]) -> list[StepUnits]:
        return [
            StepUnits(self._share(step, judged_on(step)), _calls(arms["control"]), _calls(arms["canary"]))
            for (step, name), arms in sorted(self._buckets.items())
            if name == measure
        ]

    def _share(self, step: int, judged: Judged) -> float:
        """Of the canary, in what is judged on the step."""
        weight = self._plan.steps[step].weight_bp / 10_000
        return planned_share(weight, control=judged.control, canary=judged.canary)


def _over_steps(buckets: Buckets) -> dict[str, dict[str, dict[int, UnitSums]]]:
    """Measure → arm → bucket → sums over all steps."""
    totals: dict[str, dict[str, dict[int, UnitSums]]] = {}
    for (_, measure), arms in buckets.items():
        of_measure = totals.setdefault(measure, {arm: {} for arm in arms})
        for arm, sums in arms.items():
            total = of_measure[arm]
            for bucket, new in sums.items():
                old = total.get(bucket, NONE)
                total[bucket] = UnitSums(old.n + new.n, old.total + new.total, old.squares + new.squares)
    return totals


def _calls(sums: Mapping[int, UnitSums]) -> dict[int, int]:
    return {bucket: of_bucket.n for bucket, of_bucket in sums.items()}


def is_judged(metric: PlanMetric) -> bool:
    """Complaints are not: who complains is what they measure."""
    return metric.role == "guardrail" and metric.kind in ("rate", "score") and metric.measure not in KIND_OF
