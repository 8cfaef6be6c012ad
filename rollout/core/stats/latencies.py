"""Times: is the canary slower, on average, in general or in the tail, and is it proven not to be, on average and there?

Three questions are asked of the same calls, since each alone is blind to something: the capped mean (bets), the mean of
the clipped logarithm (bets; it sees small shifts of all calls, and misses the tail), and how often a call takes longer
than the baseline's P95, which is frozen (a rate). Evidence of harm is the mean of the three e-values. Safe is neither
the mean worse by the margin nor the P95 exceeded by odds of TAIL_MARGIN or more: the smaller of the two proofs counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from observability.core.evidence import SMALLEST
from rollout.core.plan import PlanMetric
from rollout.core.stats import costs, margins
from rollout.core.stats.bets import Contrast
from rollout.core.stats.evidence import SPREAD, Arm, Batch, Bins, Counts, Increments, Totals
from rollout.core.stats.grid import Array, Grid, log_mean
from rollout.core.stats.rates import Rate
from rollout.core.stats.values import Capped, ClippedLogs, log_values, spread_out

TAIL = 0.05  # of the baseline's calls take longer than its P95
TAIL_MARGIN = 1.5
HARM_OF_LOGS = Grid.uniform([0.28 * 2 ** (-k / 2) for k in range(8)])
LEAST_WIDTH = 0.01  # of logarithms, for a baseline of one value: a bin


@dataclass(frozen=True, slots=True)
class Latency:
    """A metric of kind latency, in ms.

    The alternatives of harm are the mean's, the logarithm's and the tail's, in this order; of safety the mean's and the
    tail's.
    """

    margin: Mapping[str, float]
    means: Capped
    mean: Contrast
    logs: ClippedLogs
    log: Contrast
    tail: Rate

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        """Raises ValueError on a margin that is not one of a latency, and on an empty baseline."""
        margin = margins.resolve(metric, baseline)
        means = costs.capped(baseline, SMALLEST[metric.measure])
        logs = _logs(baseline, means.smallest)
        bins, counts = spread_out(baseline)
        n = int(counts.sum())
        return cls(
            margin=margin,
            means=means,
            mean=costs.contrast(means, baseline, ratio=margin["ratio"]),
            logs=logs,
            log=Contrast.freeze(
                worse=1,
                margin=math.log(margin["ratio"]) / logs.width,
                harm=HARM_OF_LOGS,
                safe=(),
                mean=float(counts @ logs.of(bins)) / n,
                trust=min(n, costs.TRUST),
            ),
            tail=Rate.of_tail(first=_first_above(bins, counts), margin=TAIL_MARGIN, rate=TAIL),
        )

    @property
    def outcomes(self) -> tuple[float, float]:
        return 0.0, 2 * self.means.unit

    @property
    def spread(self) -> float:
        return SPREAD * self.mean.margin * self.means.unit

    @property
    def sizes(self) -> tuple[int, int]:
        harm = sum(len(part.harm.points) for part in (self.mean, self.log, self.tail))
        return harm, len(self.mean.safe.points) + len(self.tail.safe.points)

    @property
    def memory(self) -> tuple[float, ...]:
        return (*self.mean.memory, *self.log.memory)

    def totals(self, arm: Arm) -> Totals:
        return self.means.totals(arm)

    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments:
        mean = self.mean.weigh(self.means, batch, memory[:2])
        log = self.log.weigh(self.logs, batch, memory[2:])
        tail = self.tail.weigh(batch, ())
        return Increments(
            harm=np.concatenate([mean.harm, log.harm, tail.harm]),
            safe=np.concatenate([mean.safe, tail.safe]),
            memory=(*mean.memory, *log.memory),
        )

    def log_e_harm(self, logs: Array) -> Array:
        ends = np.cumsum([len(self.mean.harm.points), len(self.log.harm.points)])
        mean, log, tail = np.split(logs, ends, axis=-1)
        parts = [self.mean.harm.log_e(mean), self.log.harm.log_e(log), self.tail.harm.log_e(tail)]
        return log_mean(np.stack(parts, axis=-1), (1.0, 1.0, 1.0))

    def log_e_safe(self, logs: Array) -> Array:
        mean, tail = np.split(logs, [len(self.mean.safe.points)], axis=-1)
        smaller: Array = np.minimum(self.mean.safe.log_e(mean), self.tail.safe.log_e(tail))
        return smaller


def _logs(baseline: Bins, smallest: float) -> ClippedLogs:
    bins, counts = spread_out(baseline)
    raw = log_values(bins, smallest)
    centre = float(np.average(raw, weights=counts))
    width = math.sqrt(float(np.average((raw - centre) ** 2, weights=counts)))
    return ClippedLogs(smallest, centre, max(width, LEAST_WIDTH))


def _first_above(bins: Counts, counts: Counts) -> int:
    """The bin after that of the baseline's P95: what lies in it or above took longer."""
    return int(bins[np.searchsorted(np.cumsum(counts), (1 - TAIL) * counts.sum())]) + 1
