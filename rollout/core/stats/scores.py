"""Scores in [0, 1], such as a judge's: their means are compared by bets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rollout.core.plan import PlanMetric
from rollout.core.stats import margins
from rollout.core.stats.bets import Contrast
from rollout.core.stats.evidence import SPREAD, Arm, Batch, Bins, Increments, Totals
from rollout.core.stats.grid import Array, Grid
from rollout.core.stats.values import Shares

TRUST = 20  # observations that a baseline counts for at most in the first centre

# Down to .18, so that the smaller stakes are left unclipped where the canary is half of what is judged: one grid serves
# every share. The four smallest are for rare needs and weigh less (measured, see docs).
HARM = Grid(tuple(16 * 2 ** (-k / 2) for k in range(14)), (0.085,) * 10 + (0.0375,) * 4)
SAFE = tuple(2 ** (-k / 2) for k in range(6))


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of kind score."""

    margin: Mapping[str, float]
    values: Shares
    contrast: Contrast

    outcomes = (0.0, 1.0)

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        """Raises ValueError on a margin that is not one of a score."""
        margin = margins.resolve(metric, baseline)
        known = margins.Baseline.of_scores(baseline)
        contrast = Contrast.freeze(
            worse=1 if metric.direction == "lower" else -1,
            margin=margin["absolute"],
            harm=HARM,
            safe=SAFE,
            mean=known.total / max(known.n, 1),
            trust=min(known.n, TRUST),
        )
        return cls(margin, Shares(), contrast)

    @property
    def spread(self) -> float:
        return SPREAD * self.margin["absolute"]

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
