"""Limits: does the canary break an absolute limit, and is it proven to keep it? Whatever the control does.

A rate must fail in less than the limit's share of calls; a latency's limit is one that at most TAIL of the calls may
take longer than; the mean of a score or cost must lie on the limit's good side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np

from observability.core.evidence import SMALLEST, log_bin
from rollout.core.plan import PlanMetric, check_limit
from rollout.core.stats.bets import LARGEST_LOSS, log_wealth
from rollout.core.stats.evidence import SPREAD, Arm, Batch, Bins, Increments, Totals
from rollout.core.stats.grid import Array, Grid
from rollout.core.stats.latencies import TAIL
from rollout.core.stats.margins import FIRST_ONE
from rollout.core.stats.rates import half_normal, log_increments_of_one_arm, scale_of
from rollout.core.stats.values import Capped, Shares

NO_MARGIN: Mapping[str, float] = MappingProxyType({})
STAKES = tuple(2 ** (-k / 2) for k in range(8))
USUAL_MARGIN = 0.1  # of the limit, for the width of the displayed interval


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit of a failure rate, or of the share of calls that take longer.

    Bins from `first` on count as 1; `failure` is the bad outcome. The points of both grids are failure rates, above and
    under the limit.
    """

    first: int
    failure: int
    limit: float
    harm: Grid
    safe: Grid

    margin = NO_MARGIN
    outcomes = (0.0, 1.0)
    memory = ()

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        limit = _limit_of(metric)
        if metric.kind == "latency":
            return cls._of(first=log_bin(limit, SMALLEST[metric.measure]), failure=1, limit=TAIL)
        lower = metric.direction == "lower"
        return cls._of(first=FIRST_ONE, failure=1 if lower else 0, limit=limit if lower else 1 - limit)

    @classmethod
    def _of(cls, *, first: int, failure: int, limit: float) -> Self:
        odds, steps = limit / (1 - limit), np.exp(half_normal(scale_of(limit)))
        above, under = (odds * ratios / (1 + odds * ratios) for ratios in (steps, 1 / steps))
        return cls(first, failure, limit, Grid.uniform(above.tolist()), Grid.uniform(under.tolist()))

    @property
    def spread(self) -> float:
        return SPREAD * USUAL_MARGIN * self.limit

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.harm.points), len(self.safe.points)

    def totals(self, arm: Arm) -> Totals:
        ones = arm.at_least(self.first)
        return Totals(arm.n, float(ones), float(ones))

    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments:
        ones = batch.canary.at_least(self.first)
        failures = ones if self.failure else batch.canary.n - ones
        harm, safe = (
            log_increments_of_one_arm(n=batch.canary.n, failures=failures, rates=np.array(grid.points), null=self.limit)
            for grid in (self.harm, self.safe)
        )
        return Increments(harm, safe, memory)

    def log_e_harm(self, logs: Array) -> Array:
        return self.harm.log_e(logs)

    def log_e_safe(self, logs: Array) -> Array:
        return self.safe.log_e(logs)


@dataclass(frozen=True, slots=True)
class MeanLimit:
    """The limit of a mean, in the values' unit.

    capped: of a cost; None for a score. worse: +1 if larger is worse, -1 if smaller is. The points of both grids are
    shares of the largest stake that cannot lose more than LARGEST_LOSS.
    """

    capped: Capped | None
    worse: int
    limit: float
    harm: Grid
    safe: Grid

    margin = NO_MARGIN
    memory = ()

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        stakes, worse = Grid.uniform(STAKES), 1 if metric.direction == "lower" else -1
        limit = _limit_of(metric)
        if metric.kind == "score":
            return cls(None, worse, limit, stakes, stakes)
        capped = Capped(SMALLEST[metric.measure], unit=limit)
        return cls(capped, worse, 1.0, stakes, stakes)

    @property
    def values(self) -> Shares | Capped:
        return self.capped or Shares()

    @property
    def outcomes(self) -> tuple[float, float]:
        return (0.0, 2 * self.capped.unit) if self.capped else (0.0, 1.0)

    @property
    def spread(self) -> float:
        return SPREAD * USUAL_MARGIN * self.outcomes[1] / 2

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.harm.points), len(self.safe.points)

    def totals(self, arm: Arm) -> Totals:
        return self.values.totals(arm)

    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments:
        beyond = self.worse * (self.values.of(batch.canary.bins) - self.limit)
        ends = [self.worse * (end - self.limit) for end in (self.values.low, self.values.high)]
        harm, safe = (
            log_wealth(np.array(grid.points) * LARGEST_LOSS / worst, payoffs, batch.canary)
            for grid, worst, payoffs in ((self.harm, -min(ends), beyond), (self.safe, max(ends), -beyond))
        )
        return Increments(harm, safe, memory)

    def log_e_harm(self, logs: Array) -> Array:
        return self.harm.log_e(logs)

    def log_e_safe(self, logs: Array) -> Array:
        return self.safe.log_e(logs)


def _limit_of(metric: PlanMetric) -> float:
    """Raises ValueError on one that the metric's kind cannot have."""
    limit = math.nan if metric.limit is None else float(metric.limit)
    check_limit(metric.kind, limit)
    return limit
