"""What an observation's bin is worth to the bets: a number in a fixed range, and the same in the metric's unit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from observability.core.evidence import LOG_STEP, TOP_BIN
from rollout.core.stats.evidence import Arm, Counts, Totals
from rollout.core.stats.grid import Array

CAP = 20.0  # baseline means; what lies above counts as this much
CLIP = 3.5  # standard deviations of the baseline's logarithms


@dataclass(frozen=True, slots=True)
class Shares:
    """Scores: bin / 1000, in [0, 1]."""

    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0

    def of(self, bins: Counts) -> Array:
        return bins / TOP_BIN

    def totals(self, arm: Arm) -> Totals:
        """From integers, so that the sums are exact."""
        total, squares = (int((arm.counts * arm.bins**power).sum()) for power in (1, 2))
        return Totals(arm.n, total / TOP_BIN, squares / TOP_BIN**2)


@dataclass(frozen=True, slots=True)
class Capped:
    """Costs and times in baseline means, capped: in [0, CAP]. smallest: of the bins; unit: the baseline's mean."""

    smallest: float
    unit: float

    low: ClassVar[float] = 0.0
    high: ClassVar[float] = CAP

    def of(self, bins: Counts) -> Array:
        capped: Array = np.minimum(raw_values(bins, self.smallest) / self.unit, CAP)
        return capped

    def totals(self, arm: Arm) -> Totals:
        """In the metric's own unit, capped too."""
        values = self.of(arm.bins) * self.unit
        return Totals(arm.n, float(arm.counts @ values), float(arm.counts @ values**2))


@dataclass(frozen=True, slots=True)
class ClippedLogs:
    """Times as standardised logarithms, in [-CLIP, CLIP]. centre, width: the baseline's mean and deviation of ln."""

    smallest: float
    centre: float
    width: float

    low: ClassVar[float] = -CLIP
    high: ClassVar[float] = CLIP

    def of(self, bins: Counts) -> Array:
        clipped: Array = np.clip((log_values(bins, self.smallest) - self.centre) / self.width, -CLIP, CLIP)
        return clipped


def raw_values(bins: Counts, smallest: float) -> Array:
    """What stands for bins of 1 %: their geometric middles (observability.core.evidence.value_of_log_bin)."""
    values: Array = np.float64(smallest) * np.power(LOG_STEP, bins - 0.5)
    return values


def log_values(bins: Counts, smallest: float) -> Array:
    """ln of raw_values."""
    logs: Array = np.float64(math.log(smallest)) + (bins - 0.5) * np.float64(math.log(LOG_STEP))
    return logs


def spread_out(baseline: Mapping[int, int]) -> tuple[Counts, Counts]:
    """Bins and their counts as arrays."""
    bins = np.array(sorted(baseline), dtype=np.int64)
    return bins, np.array([baseline[place] for place in bins.tolist()], dtype=np.int64)
