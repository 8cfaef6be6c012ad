"""Rates: does the canary fail more often than the control, and is it proven not to fail much more often?

Inside one closed batch the arms are compared given the batch's arm sizes and its failures in all. Then the canary's
share of the failures has Fisher's noncentral hypergeometric distribution, whose only parameter is the odds ratio of
failing (canary : control), whatever the failure rate is and however it drifts from batch to batch. A batch's e-value is
a likelihood ratio of that distribution; batches multiply, and counts are never pooled over batches or steps.
Source: the conditional form of the stratified 2x2 e-values of Turner, Ly and Grünwald 2024, "Generic e-variables for
exact sequential k-sample tests that allow for optional stopping".

"Worse by the margin or more" means both: odds of failing at least the margin's ratio times the control's, and a failure
rate of at least FLOOR. So whatever speaks against either of the two speaks for safety.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from rollout.core.plan import PlanMetric
from rollout.core.stats import margins
from rollout.core.stats.evidence import SPREAD, Arm, Batch, Bins, Increments, Totals
from rollout.core.stats.grid import Array, Grid, log_sum_exp
from rollout.core.stats.margins import FIRST_ONE

POINTS = 24
# A failure rate under it is safe whatever the control's is: with so few failures a ratio takes too long to prove (x2 at
# this rate some 9000 canary calls, at rate 0 for ever). To prove a lower floor takes longer in inverse proportion.
FLOOR = 0.001
RARE = (0.02 * FLOOR, 0.1 * FLOOR, 0.3 * FLOOR)  # measured, see docs
EQUAL = 0.8  # weight of equal arms among the ratios in the proof of safety; smaller ratios share the rest
AS_RARE = 0.2  # weight of RARE in the proof of safety
GUESS = 0.05  # the rate on which the displayed interval is scaled without a baseline


@dataclass(frozen=True, slots=True)
class Rate:
    """A metric of kind rate. Bins from `first` on count as 1. failure: the outcome that is bad, 1 for direction lower,
    0 for direction higher.

    log_margin, the smallest that is no longer safe, and the points of harm are ln odds ratios of failing. So are the
    first `ratios` points of safe; its others are failure rates under the floor.
    """

    first: int
    failure: int
    margin: Mapping[str, float]
    log_margin: float
    floor: float
    spread: float
    harm: Grid
    safe: Grid
    ratios: int

    outcomes = (0.0, 1.0)
    memory = ()

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self:
        """Raises ValueError on a margin that is not one of a rate."""
        direction, known = metric.direction, margins.Baseline.of_rates(baseline)
        margin = margins.resolve(metric, baseline)
        rate = known.known_rate(direction)
        log_margin = margins.log_odds_ratio(margin, direction=direction, baseline=known)
        ratios = ratios_under(log_margin)
        weights = ((1 - AS_RARE) * weight for weight in ratios.weights)
        return cls(
            first=FIRST_ONE,
            failure=1 if direction == "lower" else 0,
            margin=margin,
            log_margin=log_margin,
            floor=FLOOR,
            spread=SPREAD * as_difference(log_margin, rate=known.likely_rate(direction) if rate is not None else GUESS),
            harm=Grid.uniform(half_normal(scale_of(rate))),
            safe=Grid((*ratios.points, *RARE), (*weights, *[AS_RARE / len(RARE)] * len(RARE))),
            ratios=len(ratios.points),
        )

    @classmethod
    def of_tail(cls, *, first: int, margin: float, rate: float) -> Self:
        """How often values reach the bin `first`, which about `rate` of the baseline's do. Without a floor."""
        log_margin = math.log(margin)
        safe = ratios_under(log_margin)
        return cls(
            first=first,
            failure=1,
            margin={"ratio": margin},
            log_margin=log_margin,
            floor=0.0,
            spread=SPREAD * as_difference(log_margin, rate=rate),
            harm=Grid.uniform(half_normal(scale_of(rate))),
            safe=safe,
            ratios=len(safe.points),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.harm.points), len(self.safe.points)

    def totals(self, arm: Arm) -> Totals:
        ones = arm.at_least(self.first)
        return Totals(arm.n, float(ones), float(ones))

    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments:
        ratios, rates = np.split(np.array(self.safe.points), [self.ratios])
        log_odds = np.concatenate([self.harm.points, ratios])
        nulls = np.concatenate([np.zeros(len(self.harm.points)), np.full(self.ratios, self.log_margin)])
        failures = self._failures(batch.canary)
        compared = log_increments(
            control=batch.control.n,
            canary=batch.canary.n,
            control_failures=self._failures(batch.control),
            canary_failures=failures,
            log_odds=log_odds,
            nulls=nulls,
        )
        harm, safe = np.split(compared, [len(self.harm.points)])
        if not len(rates):
            return Increments(harm, safe, memory)
        rare = log_increments_of_one_arm(n=batch.canary.n, failures=failures, rates=rates, null=self.floor)
        return Increments(harm, np.concatenate([safe, rare]), memory)

    def log_e_harm(self, logs: Array) -> Array:
        return self.harm.log_e(logs)

    def log_e_safe(self, logs: Array) -> Array:
        return self.safe.log_e(logs)

    def _failures(self, arm: Arm) -> int:
        ones = arm.at_least(self.first)
        return ones if self.failure else arm.n - ones


def log_increments(
    *, control: int, canary: int, control_failures: int, canary_failures: int, log_odds: Array, nulls: Array
) -> Array:
    """ln of one closed batch's likelihood ratio for each odds ratio against its null's.

    control, canary: observations; *_failures: failures among them. log_odds, nulls: (K,), ln odds ratios of failing,
    canary : control. Returns (K,), finite; zeros when the batch cannot tell, that is when an arm is empty, nothing
    fails or everything fails. Raises ValueError on counts that cannot be.
    ln L = f_T (ln r - ln r0) - ln Z(r) + ln Z(r0), Z as in log_normaliser.
    """
    if not (0 <= canary_failures <= canary and 0 <= control_failures <= control):
        raise ValueError("expected failures between 0 and the arm's observations")
    failures = canary_failures + control_failures
    if 0 in (control, canary, failures, control + canary - failures):
        return np.zeros_like(log_odds)
    different, places = np.unique(nulls, return_inverse=True)
    both = np.concatenate([log_odds, different])
    log_z = log_normaliser(control=control, canary=canary, failures=failures, log_odds=both)
    of_odds, of_nulls = np.split(log_z, [len(log_odds)])
    increments: Array = canary_failures * (log_odds - nulls) - (of_odds - of_nulls[places])
    return increments


def log_increments_of_one_arm(*, n: int, failures: int, rates: Array, null: float) -> Array:
    """ln of one closed batch's likelihood ratio for each failure rate against the null's, whatever the other arm does.

    n: observations of the arm; failures: those among them. rates: (K,) and null: strictly between 0 and 1. Returns
    (K,), finite. ln L = x ln(p / c) + (n - x) ln((1 - p) / (1 - c)), for x failures of n. L is monotone in x, so on
    average it is at most 1 under any true rate q beyond c: (1 - s (q - c))^n, s = (1 - p) / (1 - c) - p / c.
    Source: monotone likelihood ratio; Lehmann and Romano 2005, "Testing Statistical Hypotheses", lemma 3.4.2.
    """
    increments: Array = failures * np.log(rates / null) + (n - failures) * (np.log1p(-rates) - math.log1p(-null))
    return increments


def log_normaliser(*, control: int, canary: int, failures: int, log_odds: Array) -> Array:
    """ln Z(r), Z(r) = sum over j of C(canary, j) C(control, failures - j) r^j, for each odds ratio r. Returns (K,).

    Short supports are summed in full. On long ones each odds ratio sums its own window around its mode: the terms are
    log-concave in j and those outside the window are together below 1e-16 of the sum, so nothing that a float could
    hold is left out, and the cost grows with the root of the failures only.
    """
    first, width = _windows(control=control, canary=canary, failures=failures, log_odds=log_odds)
    j = first[:, None] + np.arange(width)
    table = np.arange(first.min(), first.max() + width, dtype=np.float64)
    terms = _log_choose(canary, table) + _log_choose(control, failures - table)
    return log_sum_exp(terms[j - first.min()] + log_odds[:, None] * j)


def _windows(*, control: int, canary: int, failures: int, log_odds: Array) -> tuple[NDArray[np.int64], int]:
    """Where each odds ratio's window starts (K,), and the width of all. Twelve standard deviations to each side."""
    low, high = max(0, failures - control), min(failures, canary)
    odds = np.exp(log_odds)
    # The mode solves j (control - failures + j) = r (canary - j) (failures - j); this form of the root never cancels.
    b = odds * (canary + failures) + control - failures
    c = odds * canary * failures
    mode = 2 * c / (b + np.sqrt(np.maximum(b * b - 4 * (odds - 1) * c, 0)))
    cells = np.stack([mode, canary - mode, failures - mode, control - failures + mode])
    deviation = 1 / np.sqrt((1 / (np.maximum(cells, 0) + 1)).sum(axis=0))
    reach = int(12 * deviation.max()) + 60
    width = min(2 * reach + 1, high - low + 1)
    first = np.clip(mode.astype(np.int64) - reach, low, high - width + 1)
    return first, width


def _log_choose(n: int, k: Array) -> Array:
    choose: Array = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return choose


def ratios_under(log_margin: float) -> Grid:
    """Alternatives of safety: equal arms, and ln odds ratios under the margin's."""
    points = (0.0, *(log_margin - step for step in half_normal(0.8)))
    return Grid(points, (EQUAL, *[(1 - EQUAL) / POINTS] * POINTS))


def half_normal(scale: float) -> list[float]:
    """Quantiles at the middles of POINTS equal shares of the half-normal distribution."""
    shares = 0.5 + (np.arange(POINTS) + 0.5) / (2 * POINTS)
    return [float(point) for point in scale * ndtri(shares)]


def scale_of(rate: float | None) -> float:
    """How large the expected effects are: the higher the baseline's failure rate, the smaller in odds ratio."""
    if rate is None or rate < 0.08:
        return 0.8
    return 0.5 if rate <= 0.2 else 0.4


def as_difference(log_margin: float, *, rate: float) -> float:
    odds = rate / (1 - rate) * math.exp(log_margin)
    return odds / (1 + odds) - rate
