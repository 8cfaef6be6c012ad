"""Scores in [0, 1]: is the canary's mean worse than the control's, and is it proven not to be worse by the margin?

A batch is a round of small fair bets. With w the canary's share of the batch, each canary observation of value v pays
d / w and each control observation -d / (1 - w), where d = +-(v - m) and m is what the control scored in earlier
batches: on average the difference of the arms' means, whatever m is. The e-value is the wealth of someone who starts
with 1 and stakes the share lambda on every observation; each point of a grid is one such player.
Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", applied to the
inverse-propensity contrast with the realised share of the batch as the propensity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rollout.core.stats import margins
from rollout.core.stats.evidence import BINS, SPREAD, Counts, Increments, Totals
from rollout.core.stats.grid import Array, Grid
from rollout.core.stats.margins import Baseline, Direction

VALUES = np.arange(BINS) / (BINS - 1)
TRUST = 20  # observations that a baseline counts for at most in the first centre
FORGET = 4000  # observations of the control after which older ones fade
LARGEST_LOSS = 0.97  # of the wealth by one observation, so that its logarithm stays finite

# Stakes on harm are per unit of w, so that one point means one effect at every weight. Down to .18, so that the smaller
# ones are left unclipped where the canary is half of what is judged: one grid serves every share (measured, see docs).
HARM = tuple(16 * 2 ** (-k / 2) for k in range(14))
# Stakes on safety are shares of the largest one that cannot lose more than LARGEST_LOSS.
SAFE = tuple(2 ** (-k / 2) for k in range(6))


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of kind score. worse: +1 if larger is worse (direction lower), -1 if smaller is.

    memory: the sum and the number of the control's observations that the first batch is centred on.
    """

    worse: int
    margin: Mapping[str, float]
    harm: Grid
    safe: Grid
    memory: tuple[float, ...]

    @classmethod
    def freeze(cls, *, direction: Direction, margin: Mapping[str, float] | None, baseline: Baseline) -> Self:
        """Raises ValueError on a margin that is not one of a score."""
        trust = min(baseline.n, TRUST)
        return cls(
            worse=1 if direction == "lower" else -1,
            margin=margins.resolve("score", margin, direction=direction, baseline=baseline),
            harm=Grid.uniform(HARM),
            safe=Grid.uniform(SAFE),
            memory=(trust * baseline.total / max(baseline.n, 1), float(trust)),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            worse=data["worse"],
            margin={key: float(value) for key, value in data["margin"].items()},
            harm=Grid.from_json(data["harm"]),
            safe=Grid.from_json(data["safe"]),
            memory=tuple(map(float, data["memory"])),
        )

    @property
    def spread(self) -> float:
        return SPREAD * self.margin["absolute"]

    def totals(self, histogram: Counts) -> Totals:
        n, total, squares = (int((histogram * np.arange(BINS) ** power).sum()) for power in range(3))
        return Totals(n, total / (BINS - 1), squares / (BINS - 1) ** 2)

    def weigh(self, *, control: Counts, canary: Counts, memory: tuple[float, ...]) -> Increments:
        total, n = memory
        remembered = _remember(total, n, self.totals(control))
        if not (n and control.any() and canary.any()):
            return Increments(np.zeros(len(self.harm.points)), np.zeros(len(self.safe.points)), remembered)
        share = float(canary.sum() / (canary.sum() + control.sum()))
        worse = Bets(centre=total / n, sign=self.worse, tolerance=0.0, share=share)
        not_worse = Bets(centre=total / n, sign=-self.worse, tolerance=-self.margin["absolute"], share=share)
        stakes = np.minimum(np.array(self.harm.points) * share, worse.largest)
        harm = worse.log_wealth(stakes, control=control, canary=canary)
        safe = not_worse.log_wealth(np.array(self.safe.points) * not_worse.largest, control=control, canary=canary)
        return Increments(harm, safe, remembered)


@dataclass(frozen=True, slots=True)
class Bets:
    """Bets that sign x (canary's mean - control's mean) exceeds the tolerance.

    centre: m, fixed before the batch; share: w of the batch, strictly between 0 and 1.
    """

    centre: float
    sign: int
    tolerance: float
    share: float

    @property
    def largest(self) -> float:
        """The largest stake with which no observation in [0, 1] can lose more than LARGEST_LOSS."""
        ends = self.sign * (np.array([0.0, 1.0]) - self.centre)
        worst = max(self.tolerance - ends.min() / self.share, self.tolerance + ends.max() / (1 - self.share))
        return LARGEST_LOSS / float(worst)

    def log_wealth(self, stakes: Array, *, control: Counts, canary: Counts) -> Array:
        """ln of what each stake (K,) has become after the batch, from 1. Returns (K,), finite.

        sum over v of canary[v] ln(1 + stake (d/w - tolerance)) + control[v] ln(1 - stake (d/(1-w) + tolerance)).
        """
        seen = np.flatnonzero(control + canary)
        gap = self.sign * (VALUES[seen] - self.centre)
        of_canary = np.log1p(stakes[:, None] * (gap / self.share - self.tolerance))
        of_control = np.log1p(-stakes[:, None] * (gap / (1 - self.share) + self.tolerance))
        wealth: Array = (canary[seen] * of_canary + control[seen] * of_control).sum(axis=1)
        return wealth


def _remember(total: float, n: float, control: Totals) -> tuple[float, float]:
    """The control's earlier observations with this batch's, the older fading once there are more than FORGET."""
    total, n = total + control.total, n + control.n
    fading = min(1.0, FORGET / n) if n else 1.0
    return total * fading, n * fading
