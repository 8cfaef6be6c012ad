"""What a rollout knows of its units: how many saw each arm, how alike their calls are, if the arms get their shares."""

from collections.abc import Mapping
from functools import cached_property

from observability.core.evidence import TOP_BIN, UnitSums
from rollout.core.plan import ERROR_RATE, KIND_OF, Plan, PlanMetric
from rollout.core.stats.design_effect import crowding, design_effect, sums_of
from rollout.core.stats.sample_ratio import Counted, StepUnits, count, effective_units, planned_share

Buckets = Mapping[tuple[int, str], Mapping[str, Mapping[int, UnitSums]]]  # (step, measure) → arm → bucket → sums


class Units:
    """Of one look at a rollout. buckets: (observability.evidence.unit_buckets), over the rollout's whole life."""

    def __init__(self, buckets: Buckets, plan: Plan) -> None:
        self._buckets = {key: arms for key, arms in buckets.items() if key[0] < len(plan.steps)}
        self._plan = plan

    @cached_property
    def effective(self) -> dict[str, tuple[float, float]]:
        """By measure, how many independent units the calls of control and canary are worth."""
        measures = {measure for _, measure in self._buckets}
        return {
            measure: effective_units(_calls(self._sums(measure, "control")), _calls(self._sums(measure, "canary")))
            for measure in measures
        }

    @cached_property
    def sample_ratio(self) -> list[Counted]:
        """Every call that named an exposure, against the shares that the steps gave the arms."""
        return count(self._steps(ERROR_RATE, control=1.0, canary=1.0))

    @cached_property
    def judged_ratio(self) -> dict[str, list[Counted]]:
        """By guardrail that judges scores, the calls that got one, against what was to be judged of each arm."""
        return {
            metric.name: count(self._steps(metric.measure, control=metric.judged.control, canary=metric.judged.canary))
            for metric in self._plan.metrics
            if _is_judged(metric)
        }

    def design_effect(self, metric: PlanMetric) -> float:
        """How many of the metric's observations one independent unit is worth, by the control arm, which is larger.

        Complaints are compared among themselves, so it is how many of them a unit makes.
        """
        if metric.kind != "complaint":
            return design_effect(sums_of(self._sums(metric.measure, "control")))
        control, canary = (sums_of(self._sums(metric.measure, arm)).total for arm in ("control", "canary"))
        return crowding((control + canary) / TOP_BIN)

    def calls(self, step: int, arm: str) -> int:
        """How many calls of the arm there were on the step."""
        arms = self._buckets.get((step, ERROR_RATE), {})
        return sum(sums.n for sums in arms.get(arm, {}).values())

    def _steps(self, measure: str, *, control: float, canary: float) -> list[StepUnits]:
        return [
            StepUnits(
                planned_share(self._plan.steps[step].weight_bp / 10_000, control=control, canary=canary),
                _calls(arms["control"]),
                _calls(arms["canary"]),
            )
            for (step, name), arms in sorted(self._buckets.items())
            if name == measure
        ]

    def _sums(self, measure: str, arm: str) -> dict[int, UnitSums]:
        """By bucket, over all steps."""
        total: dict[int, UnitSums] = {}
        for (_, name), arms in self._buckets.items():
            if name == measure:
                for bucket, sums in arms[arm].items():
                    total[bucket] = UnitSums(*map(sum, zip(total.get(bucket, (0, 0, 0)), sums, strict=True)))
        return total


def _calls(sums: Mapping[int, UnitSums]) -> dict[int, int]:
    return {bucket: of_bucket.n for bucket, of_bucket in sums.items()}


def _is_judged(metric: PlanMetric) -> bool:
    """Complaints are not: who complains is what they measure."""
    return metric.role == "guardrail" and metric.kind in ("rate", "score") and metric.measure not in KIND_OF
