"""Bounded values: is the canary's mean worse than the control's, and is it proven not to be worse by the margin?

A batch is a round of small fair bets. With w the canary's share of the batch, each canary observation of value v pays
d / w and each control observation -d / (1 - w), where d = +-(v - m) and m is what the control was in earlier batches:
on average the difference of the arms' means, whatever m is. The e-value is the wealth of someone who starts with 1 and
stakes the share lambda on every observation; each point of a grid is one such player.
Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", applied to the
inverse-propensity contrast with the realised share of the batch as the propensity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from rollout.core.stats.evidence import Arm, Batch, Counts, Increments
from rollout.core.stats.grid import Array, Grid

LARGEST_LOSS = 0.97  # of the wealth by one observation, so that its logarithm stays finite
FORGET = 4000  # observations of the control after which older ones fade


class Values(Protocol):
    """What bins are worth (m,) → (m,), between low and high."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    def of(self, bins: Counts) -> Array: ...


@dataclass(frozen=True, slots=True)
class Contrast:
    """The comparison of both arms' means. worse: +1 if larger is worse, -1 if smaller is.

    margin: in the values' own unit. harm: its points are stakes per unit of w, so that one point means one effect at
    every weight. safe: shares of the largest stake that cannot lose more than LARGEST_LOSS; may be empty.
    memory: the sum and the number of the control's observations that the first batch is centred on.
    """

    worse: int
    margin: float
    harm: Grid
    safe: Grid
    memory: tuple[float, ...]

    @classmethod
    def freeze(cls, *, worse: int, margin: float, harm: Grid, safe: Sequence[float], mean: float, trust: float) -> Self:
        """mean: of the baseline, which counts for `trust` observations in the first centre."""
        return cls(worse, margin, harm, Grid.uniform(safe), (trust * mean, float(trust)))

    def weigh(self, values: Values, batch: Batch, memory: tuple[float, ...]) -> Increments:
        total, n = memory
        control, canary = values.of(batch.control.bins), values.of(batch.canary.bins)
        remembered = _remember(total + float(batch.control.counts @ control), n + batch.control.n)
        if not (n and batch.control.n and batch.canary.n):
            return Increments(np.zeros(len(self.harm.points)), np.zeros(len(self.safe.points)), remembered)
        share = batch.canary.n / (batch.canary.n + batch.control.n)
        bets = Bets(values.low, values.high, centre=total / n, sign=self.worse, tolerance=0.0, share=share)
        stakes = np.minimum(np.array(self.harm.points) * share, bets.largest)
        harm = bets.log_wealth(stakes, batch, control=control, canary=canary)
        bets = Bets(values.low, values.high, centre=total / n, sign=-self.worse, tolerance=-self.margin, share=share)
        stakes = np.array(self.safe.points) * bets.largest
        return Increments(harm, bets.log_wealth(stakes, batch, control=control, canary=canary), remembered)


@dataclass(frozen=True, slots=True)
class Bets:
    """Bets that sign x (canary's mean - control's mean) exceeds the tolerance, on values between low and high.

    centre: m, fixed before the batch; share: w of the batch, strictly between 0 and 1.
    """

    low: float
    high: float
    centre: float
    sign: int
    tolerance: float
    share: float

    @property
    def largest(self) -> float:
        """The largest stake with which no observation can lose more than LARGEST_LOSS."""
        ends = (self.sign * (self.low - self.centre), self.sign * (self.high - self.centre))
        worst = max(self.tolerance - min(ends) / self.share, self.tolerance + max(ends) / (1 - self.share))
        return LARGEST_LOSS / worst

    def log_wealth(self, stakes: Array, batch: Batch, *, control: Array, canary: Array) -> Array:
        """ln of what each stake (K,) has become after the batch, from 1. control, canary: the values of their bins.

        sum over v of canary[v] ln(1 + stake (d/w - tolerance)) + control[v] ln(1 - stake (d/(1-w) + tolerance)).
        Returns (K,), finite.
        """
        of_canary = self.sign * (canary - self.centre) / self.share - self.tolerance
        of_control = self.sign * (control - self.centre) / (1 - self.share) + self.tolerance
        return log_wealth(stakes, of_canary, batch.canary) + log_wealth(stakes, -of_control, batch.control)


def log_wealth(stakes: Array, payoffs: Array, arm: Arm) -> Array:
    """ln of what each stake (K,) has become, from 1, when each bin of the arm pays its payoff (m,). Returns (K,)."""
    wealth: Array = np.log1p(np.multiply.outer(stakes, payoffs)) @ arm.counts
    return wealth


def _remember(total: float, n: float) -> tuple[float, float]:
    """The control's observations up to now, the older fading once there are more than FORGET."""
    fading = min(1.0, FORGET / n) if n else 1.0
    return total * fading, n * fading
