"""Costs and token counts: their means are compared by bets, each call counting for at most CAP baseline means.

The mean is what a budget pays for. It is that of the capped values: one call of a thousand times the usual cost says
little about the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from observability.core.evidence import SMALLEST
from rollout.core.plan import PlanMetric
from rollout.core.stats import margins
from rollout.core.stats.bets import Contrast
from rollout.core.stats.evidence import SPREAD, Arm, Batch, Bins, Increments, Totals
from rollout.core.stats.grid import Array, Grid
from rollout.core.stats.values import Capped, raw_values, spread_out

TRUST = 200  # observations that a baseline counts for at most in the first centre
HARM = Grid.uniform([2 ** (-k / 2) for k in range(8)])
SAFE = tuple(2 ** (-k / 2) for k in range(8))


@dataclass(frozen=True, slots=True)
class Cost:
    """A metric of kind cost: the comparison of capped means, in baseline means."""

    margin: Mapping[str, float]
    values: Capped
    contrast: Contrast

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        """Raises ValueError on a margin that is not one of a cost, and on an empty baseline."""
        margin = margins.resolve(metric, baseline)
        values = capped(baseline, SMALLEST[metric.measure])
        return cls(margin, values, contrast(values, baseline, ratio=margin["ratio"]))

    @property
    def outcomes(self) -> tuple[float, float]:
        return 0.0, 2 * self.values.unit

    @property
    def spread(self) -> float:
        return SPREAD * self.contrast.margin * self.values.unit

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.contrast.harm.points), len(self.contrast.safe.points)

    @property
    def memory(self) -> tuple[float, ...]:
        return self.contrast.memory

    def totals(self, arm: Arm) -> Totals:
        return self.values.totals(arm)

    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments:
        return self.contrast.weigh(self.values, batch, memory)

    def log_e_harm(self, logs: Array) -> Array:
        return self.contrast.harm.log_e(logs)

    def log_e_safe(self, logs: Array) -> Array:
        return self.contrast.safe.log_e(logs)


def capped(baseline: Bins, smallest: float) -> Capped:
    """The values in units of the baseline's mean. Raises ValueError when that is 0 or unknown."""
    bins, counts = spread_out(baseline)
    total = float(counts @ raw_values(bins, smallest))
    if total <= 0:
        raise ValueError("expected a baseline with a mean over 0")
    return Capped(smallest, total / int(counts.sum()))


def contrast(values: Capped, baseline: Bins, *, ratio: float) -> Contrast:
    """Of means of which larger is worse. ratio: the margin, to the baseline's mean."""
    bins, counts = spread_out(baseline)
    n = int(counts.sum())
    mean = float(counts @ values.of(bins)) / n
    return Contrast.freeze(worse=1, margin=ratio - 1, harm=HARM, safe=SAFE, mean=mean, trust=min(n, TRUST))
