"""What somebody might do instead: three methods that look at the same calls as often.

Each pools the arms over all steps, tests each metric at .05 without regard to the others, and rolls back at the first
look at which one of them is found worse. None can prove a canary safe.

- The z-test of two means (Welch's, with the normal distribution), one-sided.
- The Mann-Whitney test, one-sided, with the normal approximation and its correction for ties. Not for rates.
- GrowthBook's sequential test: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
  2024 ("Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476v7, equation 9, with
  the rho of equation 161 for N* = 5000), 95 % two-sided, of the relative difference by the delta method.
  Written from the paper and GrowthBook's documentation; agrees with gbstats 0.8.0.

And for the assignment: the chi-square test of the sample ratio at .001, at every look.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmarks.operating_characteristics.measures import Array, Ints
from benchmarks.operating_characteristics.traffic import LOOK, Bools, Calls, Observed, Truth

ALPHA = 0.05
ALPHA_OF_RATIO = 0.001
TUNING = 5000  # GrowthBook's default N*
CRITICAL = float(ndtri(1 - ALPHA))
CRITICAL_OF_RATIO = float(ndtri(1 - ALPHA_OF_RATIO / 2)) ** 2

Finds = Callable[[Truth, Observed, Bools], Bools]


@dataclass(frozen=True, slots=True)
class Moments:
    """An arm after each look: how many observations, their sum and their sum of squares. rate: they are 0 or 1."""

    n: Array
    total: Array
    squares: Array
    rate: bool = False

    @property
    def mean(self) -> Array:
        return self.total / self.n

    @property
    def variance(self) -> Array:
        """Of one observation; of a rate without Bessel's correction."""
        spread = self.squares - self.total**2 / self.n
        return spread / (self.n if self.rate else self.n - 1)


def z_test(control: Moments, canary: Moments) -> Array:
    """How many standard errors the canary's mean is above the control's. Not a number where there is no spread."""
    gap = canary.mean - control.mean
    return np.where(gap == 0, np.nan, gap / np.sqrt(canary.variance / canary.n + control.variance / control.n))


def growthbook(
    control: Moments, canary: Moments, *, relative: bool = True, alpha: float = ALPHA, tuning: float = TUNING
) -> tuple[Array, Array, Array]:
    """The difference canary - control, in shares of the control's mean if relative; its standard error; its half width.

    Infinitely wide where an arm has no spread, as gbstats answers then.
    """
    gap, error = canary.mean - control.mean, canary.variance / canary.n + control.variance / control.n
    if relative:
        error = canary.variance / canary.n / control.mean**2
        error = error + control.variance / control.n * canary.mean**2 / control.mean**4
        gap = gap / control.mean
    n = control.n + canary.n
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tuning  # rho squared in the paper
    width = np.sqrt(n * error) * np.sqrt(2 * (n * rho + 1) * np.log(np.sqrt(n * rho + 1) / alpha) / (n**2 * rho))
    knows = (control.variance > 0) & (canary.variance > 0) & (control.mean > 0)
    return gap, np.sqrt(error), np.where(knows, width, np.inf)


def mann_whitney(control: Ints, canary: Ints) -> Array:
    """The z of canary observations being larger, from both arms' counts by value after each look, (looks, values)."""
    n_control, n_canary, both = control.sum(axis=1), canary.sum(axis=1), control + canary
    n = n_control + n_canary
    below = np.cumsum(control, axis=1) - control
    wins = (canary * (below + control / 2)).sum(axis=1)
    ties = (both.astype(float) ** 3 - both).sum(axis=1) / (n * (n - 1.0))
    errors: Array = (wins - n_control * n_canary / 2) / np.sqrt(n_control * n_canary / 12 * (n + 1 - ties))
    return errors


def chi_square(control: Array, canary: Array, share: float) -> Array:
    """The statistic of one degree of freedom that the arms' numbers do not have the planned share."""
    n = control + canary
    return (canary - share * n) ** 2 / (n * share * (1 - share))


def first_finds(method: Finds, truths: Sequence[Truth], calls: Calls, canary: Bools) -> int | None:
    """The first look at which the method finds any of the metrics worse, None when there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [method(truth, calls.observed[truth.metric.name], canary) for truth in truths]
    looks = np.logical_or.reduce(found)
    return int(looks.argmax()) if looks.any() else None


def first_broken_ratio(calls: Calls, canary: Bools, share: float) -> int | None:
    """The first look at which the chi-square test finds the planned share broken, taking calls for units."""
    in_canary = np.cumsum(canary)[LOOK - 1 :: LOOK].astype(float)
    broken = chi_square(LOOK * np.arange(1, calls.looks + 1) - in_canary, in_canary, share) > CRITICAL_OF_RATIO
    return int(broken.argmax()) if broken.any() else None


def _z_finds(truth: Truth, observed: Observed, canary: Bools) -> Bools:
    found: Bools = truth.measure.worse * z_test(*_moments(truth, observed, canary)) > CRITICAL
    return found


def _growthbook_finds(truth: Truth, observed: Observed, canary: Bools) -> Bools:
    gap, _, width = growthbook(*_moments(truth, observed, canary))
    found: Bools = truth.measure.worse * gap > width
    return found


def _mann_whitney_finds(truth: Truth, observed: Observed, canary: Bools) -> Bools:
    if truth.measure.is_rate:
        return np.zeros(len(observed.arrived) - 1, dtype=bool)
    in_canary = canary[observed.call]
    values, place = np.unique(np.where(in_canary, observed.canary, observed.control), return_inverse=True)
    looks = len(observed.arrived) - 1
    cell = _look_of(observed) * len(values) + place
    control, of_canary = (
        np.bincount(cell[arm], minlength=looks * len(values)).reshape(looks, -1).cumsum(axis=0)
        for arm in (~in_canary, in_canary)
    )
    found: Bools = truth.measure.worse * mann_whitney(control, of_canary) > CRITICAL
    return found


METHODS: Mapping[str, Finds] = {
    "z-test repeated": _z_finds,
    "Mann-Whitney repeated": _mann_whitney_finds,
    "GrowthBook sequential": _growthbook_finds,
}


def _moments(truth: Truth, observed: Observed, canary: Bools) -> tuple[Moments, Moments]:
    in_canary, look = canary[observed.call], _look_of(observed)
    value = truth.measure.value(np.where(in_canary, observed.canary, observed.control))
    looks = len(observed.arrived) - 1

    def of_arm(arm: Bools) -> Moments:
        sums = (np.bincount(look[arm], weights, looks).cumsum() for weights in (None, value[arm], value[arm] ** 2))
        n, total, squares = sums
        return Moments(n.astype(float), total, squares, rate=truth.measure.is_rate)

    return of_arm(~in_canary), of_arm(in_canary)


def _look_of(observed: Observed) -> Ints:
    return np.repeat(np.arange(len(observed.arrived) - 1), np.diff(observed.arrived))
