"""For display only, never for a decision: the difference canary - control, with an interval valid at every look.

Steps are strata: differences are taken inside each step and averaged with the weights n_T n_C / (n_T + n_C) of Mantel
and Haenszel, so that a ramp under drift (more canary on worse days) shows no difference where there is none.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rollout.core.stats.evidence import Totals

ALPHA = 0.05
FEWEST = 20  # observations in the smaller arm before the interval, which holds for many only, is shown


class Difference(NamedTuple):
    """Canary - control, in the metric's own unit, its standard error, and how many observations the smaller arm has."""

    estimate: float
    error: float
    n: int

    def wider(self, design_effect: float) -> "Difference":
        """For calls of which this many are worth one independent unit."""
        return self._replace(error=self.error * math.sqrt(design_effect))


def difference(
    steps: Sequence[tuple[Totals, Totals]], *, outcomes: tuple[float, float] = (0.0, 1.0)
) -> Difference | None:
    """From (control, canary) of each step. None when no step has observations in both arms.

    outcomes: two values that each arm might have seen, such as 0 and 1.
    """
    both = [(control, canary) for control, canary in steps if control.n and canary.n]
    if not both:
        return None
    weights = [control.n * canary.n / (control.n + canary.n) for control, canary in both]
    gaps = [canary.total / canary.n - control.total / control.n for control, canary in both]
    variances = [_variance_of_mean(control, outcomes) + _variance_of_mean(canary, outcomes) for control, canary in both]
    scale = math.fsum(weights)
    return Difference(
        estimate=math.fsum(weight * gap for weight, gap in zip(weights, gaps, strict=True)) / scale,
        error=math.sqrt(math.fsum(weight**2 * v for weight, v in zip(weights, variances, strict=True))) / scale,
        n=min(sum(control.n for control, _ in both), sum(canary.n for _, canary in both)),
    )


def interval(found: Difference, *, spread: float, limit: float = 1.0) -> tuple[float, float] | None:
    """A confidence sequence: it misses the true difference at any look at all with probability ALPHA (asymptotically).

    The two-sided normal mixture: ln E(D) = -1/2 ln(1 + V) + z^2 V / (2 (1 + V)), z = (estimate - D) / error,
    V = (spread / error)^2; the interval is where ln E <= ln(1/ALPHA). It is sharpest when the error is
    about a third of `spread` (over 0). It is cut at -limit and limit. None below FEWEST observations.
    Source: Robbins 1970; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and
    asymptotic confidence sequences".
    """
    if found.n < FEWEST:
        return None
    reach = mixture_bound(spread / found.error) * found.error
    return max(found.estimate - reach, -limit), min(found.estimate + reach, limit)


def mixture_bound(ratio: float, *, alpha: float = ALPHA) -> float:
    """How many standard errors the estimate may stray, by how many of them fit into the prior's spread."""
    v = ratio**2
    return math.sqrt(2 * (1 + v) / v * (math.log(1 / alpha) + math.log1p(v) / 2))


def _variance_of_mean(arm: Totals, outcomes: tuple[float, float]) -> float:
    """As if the arm had seen both outcomes twice more (Agresti and Coull 1998): no failure yet is not certainty.

    Never less than these four vary alone: complaints may be more than the calls that are known.
    """
    n = arm.n + 4
    mean = (arm.total + 2 * sum(outcomes)) / n
    variance = (arm.squares + 2 * sum(outcome**2 for outcome in outcomes)) / n - mean**2
    return max(variance, (outcomes[1] - outcomes[0]) ** 2 / n) / n
