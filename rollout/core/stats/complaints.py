"""Complaints: what only users report, and only when they do, such as a thumbs-down: does the canary get more of them?

A complaint may come days after its call, when nobody can say any more which batch the call was in. So complaints are
not compared with the calls of their batch: of all complaints about calls of one step, the canary gets its planned
share w of the units, as long as it is not worse. That is exact while the assignment is (`sample_ratio` watches it).
Bin 0 of a batch counts the calls that have come since the last one, for display.
Source: binomial likelihood ratio of the canary's share of the failures, w r / (1 - w + w r) for the rate ratio r.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from rollout.core.plan import PlanMetric
from rollout.core.stats import margins
from rollout.core.stats.evidence import SPREAD, Arm, Batch, Bins, Increments, Totals
from rollout.core.stats.grid import Array, Grid
from rollout.core.stats.margins import FIRST_ONE
from rollout.core.stats.rates import GUESS, as_difference, half_normal, ratios_under, scale_of


@dataclass(frozen=True, slots=True)
class Complaint:
    """A metric of kind complaint. shares: the canary's planned share of the units on each step. log_margin and the
    points of both grids are ln rate ratios."""

    margin: Mapping[str, float]
    log_margin: float
    spread: float
    shares: tuple[float, ...]
    harm: Grid
    safe: Grid

    outcomes = (0.0, 1.0)
    memory = ()

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        """baseline: calls in bin 0, complaints in those that count as a 1. Raises ValueError on another margin than a
        ratio."""
        known = margins.Baseline.of_rates(baseline)
        margin = margins.resolve(metric, baseline)
        log_margin = float(np.log(margin["ratio"]))
        rate = known.known_rate("lower")
        return cls(
            margin=margin,
            log_margin=log_margin,
            spread=SPREAD * as_difference(log_margin, rate=GUESS if rate is None else known.likely_rate("lower")),
            shares=tuple(shares),
            harm=Grid.uniform(half_normal(scale_of(rate))),
            safe=ratios_under(log_margin),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.harm.points), len(self.safe.points)

    def totals(self, arm: Arm) -> Totals:
        complaints = arm.at_least(FIRST_ONE)
        return Totals(arm.n - complaints, float(complaints), float(complaints))

    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments:
        canary, control = batch.canary.at_least(FIRST_ONE), batch.control.at_least(FIRST_ONE)
        increments = partial(log_increments, canary=canary, both=canary + control, share=self.shares[batch.step])
        return Increments(
            harm=increments(log_ratios=np.array(self.harm.points), null=0.0),
            safe=increments(log_ratios=np.array(self.safe.points), null=self.log_margin),
            memory=memory,
        )

    def log_e_harm(self, logs: Array) -> Array:
        return self.harm.log_e(logs)

    def log_e_safe(self, logs: Array) -> Array:
        return self.safe.log_e(logs)


def log_increments(*, canary: int, both: int, share: float, log_ratios: Array, null: float) -> Array:
    """ln of the likelihood ratio of the canary's complaints among those about both arms, for each rate ratio.

    share: w, strictly between 0 and 1. log_ratios: (K,) and null: ln rate ratios. Returns (K,), finite.
    ln L = f_T ln(r / r0) - f ln((1 - w + w r) / (1 - w + w r0)).
    """
    increments: Array = canary * (log_ratios - null) - both * np.log(
        (1 - share + share * np.exp(log_ratios)) / (1 - share + share * np.exp(null))
    )
    return increments
