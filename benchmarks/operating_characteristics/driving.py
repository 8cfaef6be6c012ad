"""Takes simulated calls through the project's own statistics and rules, as the evaluator takes real ones.

Evidence is kept open for each step and metric until it can be a batch, batches are folded, and `verdict.decide` says
what follows; nothing here decides. What is written again is only what the evaluator does with its database.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from benchmarks.operating_characteristics.measures import Array, Ints
from benchmarks.operating_characteristics.traffic import LOOK, Bools, Calls, Observed
from observability.core.evidence import ARMS, TOP_BIN
from rollout.core.plan import Plan, PlanMetric
from rollout.core.stats import metric as statistics
from rollout.core.stats.design_effect import BUCKETS, Sums, crowding, design_effect
from rollout.core.stats.sample_ratio import (
    Counted,
    StepUnits,
    count,
    effective_units,
    log_bayes_factor,
    mean_log_bayes_factor,
)
from rollout.core.verdict import Finding, Situation, decide
from rollout.units import is_judged

LEAST_BATCH = 40  # as rollout.batches.LEAST_BATCH, which cannot be imported without a database

End = Literal["rolled_back", "promoted", "invalid", "undecided"]
ENDS: Mapping[str | None, End] = {"rollback": "rolled_back", "promote": "promoted", "hold": "invalid"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a rollout, and its calls until then: all, and those that the canary served."""

    end: End
    calls: int
    canary_calls: int


@dataclass(slots=True)
class Arms:
    """Open observations of both arms, by bin."""

    control: Counter[int] = field(default_factory=Counter)
    canary: Counter[int] = field(default_factory=Counter)

    @property
    def are_a_batch(self) -> bool:
        sizes = self.control.total(), self.canary.total()
        return min(sizes) > 0 and sum(sizes) >= LEAST_BATCH


class Judged:
    """A metric of a rollout under way."""

    def __init__(
        self, metric: PlanMetric, baseline: Mapping[int, int], observed: Observed, shares: Sequence[float]
    ) -> None:
        self.observed = observed
        self.frozen = statistics.freeze(metric, baseline=baseline, shares=shares)
        self.state = statistics.start(self.frozen)
        self.report = statistics.report(self.frozen, self.state)
        self.open: dict[int, Arms] = defaultdict(Arms)
        self.sums = [Sums(*(np.zeros(BUCKETS) for _ in Sums._fields)) for _ in ARMS]
        self.ones = np.zeros(BUCKETS)
        self.counted = np.zeros((len(shares), 2, BUCKETS))

    def look(self, look: int, *, canary: Bools, step: Ints, bucket: Ints, design_effects: bool) -> bool:
        """Take in what has arrived since the last look, and fold what has become a batch; whether anything has.

        canary, step, bucket: which arm serves each call, in which step, and its unit's bucket.
        """
        arrived = slice(*self.observed.arrived[look : look + 2])
        call = self.observed.call[arrived]
        in_canary = canary[call]
        bins = np.where(in_canary, self.observed.canary[arrived], self.observed.control[arrived])
        np.add.at(self.counted, (step[call], in_canary.astype(int), bucket[call]), 1)
        for sums, served in zip(self.sums, (~in_canary, in_canary), strict=True):
            _add(sums, bucket[call[served]], bins[served])
        self.ones += np.bincount(bucket[call[bins == TOP_BIN]], minlength=BUCKETS)
        for number in np.unique(step[call]).tolist():
            now = step[call] == number
            self.open[number].control.update(bins[now & ~in_canary].tolist())
            self.open[number].canary.update(bins[now & in_canary].tolist())
        ready = [number for number in sorted(self.open) if self.open[number].are_a_batch]
        for number in ready:
            batch = self.open.pop(number)
            self.state = statistics.fold(
                self.frozen,
                self.state,
                step=number,
                control=self._stored(batch.control),
                canary=self._stored(batch.canary),
                design_effect=self._design_effect() if design_effects else 1.0,
            )
        if ready:
            self.report = statistics.report(self.frozen, self.state)
        return bool(ready)

    def _design_effect(self) -> float:
        return crowding(self.ones) if self._is_complaint else design_effect(*self.sums)

    def _stored(self, arm: Counter[int]) -> Mapping[int, int]:
        """The bins as batches keep them: of a complaint bin 0 is all calls, also those complained about."""
        return {**arm, 0: arm.total()} if self._is_complaint else arm

    @property
    def _is_complaint(self) -> bool:
        return self.frozen.metric.kind == "complaint"


def _add(sums: Sums, bucket: Ints, bins: Ints) -> None:
    for power, of_power in enumerate(sums):
        of_power += np.bincount(bucket, weights=bins.astype(float) ** power, minlength=BUCKETS)


def drive(
    plan: Plan, calls: Calls, baselines: Mapping[str, Mapping[int, int]], *, design_effects: bool = True
) -> Outcome:
    """One rollout, a look every LOOK calls, one call a second, until something is decided or the calls are over.

    design_effects: False takes every call for independent of the others, as the evaluator never does.
    """
    shares = [step.weight_bp / 10_000 for step in plan.steps]
    judged = [Judged(metric, baselines[metric.name], calls.observed[metric.name], shares) for metric in plan.metrics]
    canary, step_of = np.zeros(len(calls.chance), dtype=bool), np.zeros(len(calls.chance), dtype=np.int64)
    units = np.zeros((len(plan.steps), 2, BUCKETS))
    step, hold_until = 0, plan.steps[0].hold_s
    for look in range(calls.looks):
        new, now = slice(look * LOOK, (look + 1) * LOOK), (look + 1) * LOOK
        canary[new] = calls.chance[new] * 10_000 < plan.steps[step].weight_bp
        step_of[new] = step
        np.add.at(units[step], (canary[new].astype(int), calls.bucket[new]), 1)
        fresh = [
            metric.look(look, canary=canary, step=step_of, bucket=calls.bucket, design_effects=design_effects)
            for metric in judged
        ]
        finding = _decide(plan, judged, units, fresh=any(fresh), step=step, hold_served=now >= hold_until, now=now)
        if finding.act == "advance_step":
            step, hold_until = step + 1, now + plan.steps[step + 1].hold_s
        elif finding.act:
            return Outcome(_end_of(finding), now, int(canary[:now].sum()))
    return Outcome("undecided", calls.looks * LOOK, int(canary.sum()))


def _decide(
    plan: Plan, judged: Sequence[Judged], units: Array, *, fresh: bool, step: int, hold_served: bool, now: int
) -> Finding:
    reports = tuple(metric.report for metric in judged)
    found = Situation(
        reports=reports,
        log_e_harm=statistics.overall_log_e(reports),
        log_e_sample_ratio=log_bayes_factor(_count(plan, units)),
        log_e_judged_ratio=mean_log_bayes_factor(
            [_count(plan, metric.counted) for metric in judged if is_judged(metric.frozen.metric)]
        ),
        canary_units=effective_units(*units.sum(axis=0))[1],
        fresh=fresh,
        step=step,
        hold_served=hold_served,
        time_is_up=now >= plan.max_duration_s,
        paused=False,
        hold_reason="",
    )
    return decide(found, plan)


def _count(plan: Plan, calls: Array) -> list[Counted]:
    """calls: (steps, arms, buckets)."""
    return count(
        StepUnits(step.weight_bp / 10_000, *arms) for step, arms in zip(plan.steps, calls, strict=True) if arms.any()
    )


def _end_of(finding: Finding) -> End:
    return "undecided" if finding.kind == "inconclusive" else ENDS[finding.act]
