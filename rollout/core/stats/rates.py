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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from rollout.core.stats import margins
from rollout.core.stats.evidence import SPREAD, Counts, Increments, Totals
from rollout.core.stats.grid import Array, Grid, log_sum_exp
from rollout.core.stats.margins import Baseline, Direction

POINTS = 24
# A failure rate under it is safe whatever the control's is: with so few failures a ratio takes too long to prove (x2 at
# this rate some 9000 canary calls, at rate 0 for ever). To prove a lower floor takes longer in inverse proportion.
FLOOR = 0.001
RARE = (0.02 * FLOOR, 0.1 * FLOOR, 0.3 * FLOOR)  # measured, see docs
AS_EQUAL, AS_BETTER, AS_RARE = 0.64, 0.16, 0.2  # weights in the proof of safety: equal arms, smaller ratios, RARE
GUESS = 0.05  # the rate on which the displayed interval is scaled without a baseline
FIRST_ONE = 500  # bins from here on count as a 1


@dataclass(frozen=True, slots=True)
class Rate:
    """A metric of kind rate. failure: the outcome that is bad, 1 for direction lower, 0 for direction higher.

    log_margin, the smallest that is no longer safe, and the points of harm are ln odds ratios of failing. So are the
    first `ratios` points of safe; its others are failure rates under the floor.
    """

    failure: int
    margin: Mapping[str, float]
    log_margin: float
    floor: float
    spread: float
    harm: Grid
    safe: Grid
    ratios: int

    @classmethod
    def freeze(cls, *, direction: Direction, margin: Mapping[str, float] | None, baseline: Baseline) -> Self:
        """Raises ValueError on a margin that is not one of a rate."""
        resolved = margins.resolve("rate", margin, direction=direction, baseline=baseline)
        log_margin = margins.log_odds_ratio(resolved, direction=direction, baseline=baseline)
        known = baseline.known_rate(direction)
        ratios = (0.0, *(log_margin - step for step in _half_normal(0.8)))
        weights = (AS_EQUAL, *[AS_BETTER / POINTS] * POINTS, *[AS_RARE / len(RARE)] * len(RARE))
        return cls(
            failure=1 if direction == "lower" else 0,
            margin=resolved,
            log_margin=log_margin,
            floor=FLOOR,
            spread=SPREAD
            * _as_difference(log_margin, rate=baseline.likely_rate(direction) if known is not None else GUESS),
            harm=Grid.uniform(_half_normal(_scale(known))),
            safe=Grid((*ratios, *RARE), weights),
            ratios=len(ratios),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            failure=data["failure"],
            margin={key: float(value) for key, value in data["margin"].items()},
            log_margin=float(data["log_margin"]),
            floor=float(data["floor"]),
            spread=float(data["spread"]),
            harm=Grid.from_json(data["harm"]),
            safe=Grid.from_json(data["safe"]),
            ratios=data["ratios"],
        )

    @property
    def memory(self) -> tuple[float, ...]:
        return ()

    def totals(self, histogram: Counts) -> Totals:
        ones = int(histogram[FIRST_ONE:].sum())
        return Totals(int(histogram.sum()), float(ones), float(ones))

    def weigh(self, *, control: Counts, canary: Counts, memory: tuple[float, ...]) -> Increments:
        sizes = {
            "control": int(control.sum()),
            "canary": int(canary.sum()),
            "control_failures": self._failures(control),
            "canary_failures": self._failures(canary),
        }
        harm = log_increments(**sizes, log_odds=np.array(self.harm.points), null=0.0)
        ratios, rates = np.split(np.array(self.safe.points), [self.ratios])
        safe = (
            log_increments(**sizes, log_odds=ratios, null=self.log_margin),
            log_increments_under_floor(
                canary=sizes["canary"], failures=sizes["canary_failures"], rates=rates, floor=self.floor
            ),
        )
        return Increments(harm, np.concatenate(safe), memory)

    def _failures(self, histogram: Counts) -> int:
        return int(histogram[FIRST_ONE:].sum() if self.failure else histogram[:FIRST_ONE].sum())


def log_increments(
    *, control: int, canary: int, control_failures: int, canary_failures: int, log_odds: Array, null: float
) -> Array:
    """ln of one closed batch's likelihood ratio for each odds ratio against the null's.

    control, canary: observations; *_failures: failures among them. log_odds: (K,) and null: ln odds ratios of failing,
    canary : control. Returns (K,), finite; zeros when the batch cannot tell, that is when an arm is empty, nothing
    fails or everything fails. Raises ValueError on counts that cannot be.
    ln L = f_T (ln r - ln r0) - ln Z(r) + ln Z(r0), Z as in log_normaliser.
    """
    if not (0 <= canary_failures <= canary and 0 <= control_failures <= control):
        raise ValueError("expected failures between 0 and the arm's observations")
    failures = canary_failures + control_failures
    if 0 in (control, canary, failures, control + canary - failures):
        return np.zeros_like(log_odds)
    log_z = log_normaliser(control=control, canary=canary, failures=failures, log_odds=np.append(log_odds, null))
    increments: Array = canary_failures * (log_odds - null) - (log_z[:-1] - log_z[-1])
    return increments


def log_increments_under_floor(*, canary: int, failures: int, rates: Array, floor: float) -> Array:
    """ln of one closed batch's likelihood ratio for each failure rate under the floor against the floor itself.

    canary: its observations; failures: those among them. rates: (K,), over 0 and under the floor. Returns (K,), finite.
    ln L = x ln(p / floor) + (n - x) ln((1 - p) / (1 - floor)), for x failures of n. L falls with x, so on average it is
    at most 1 under any true rate q of at least the floor: (1 - s (q - floor))^n, s = (1 - p) / (1 - floor) - p / floor.
    Source: monotone likelihood ratio; Lehmann and Romano 2005, "Testing Statistical Hypotheses", lemma 3.4.2.
    """
    increments: Array = failures * np.log(rates / floor) + (canary - failures) * (np.log1p(-rates) - math.log1p(-floor))
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


def _half_normal(scale: float) -> list[float]:
    """Quantiles at the middles of POINTS equal shares of the half-normal distribution."""
    shares = 0.5 + (np.arange(POINTS) + 0.5) / (2 * POINTS)
    return [float(point) for point in scale * ndtri(shares)]


def _scale(rate: float | None) -> float:
    """How large the expected effects are: the higher the baseline's failure rate, the smaller in odds ratio."""
    if rate is None or rate < 0.08:
        return 0.8
    return 0.5 if rate <= 0.2 else 0.4


def _as_difference(log_margin: float, *, rate: float) -> float:
    odds = rate / (1 - rate) * math.exp(log_margin)
    return odds / (1 + odds) - rate
