"""What calls show: the distribution of each measure, in the bins of evidence.

The design gives figures and no distributions. What was free is set so that GrowthBook's sequential test, the one method
of the design's table that is the same here and there, finds the design's regressions after as many canary calls:

| regression | found after (2000 rollouts) | the design's figure | what was set |
|---|---|---|---|
| rate 1.8 -> 4.1 %; 1 -> 2 % | 768; 2092 | 759; 2131 | nothing is free |
| score .94 -> .87 | 88 | 91 | SCORE_SIZE; 1.5 gives 97, 2 gives 82 |
| cost +20 % | 549 | 531 | COST_SIGMA; .9 gives 388 |
| TTFT x1.25 | 107 | 108 | TTFT_SIGMA, as in the reference vectors; .55 gives 92, .65 gives 127 |
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.core.evidence import LOG_STEP, SMALLEST, TOP_BIN

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Draw = Callable[[np.random.Generator, Array], Ints]

SCORE_SIZE = 1.75  # a beta(mean size, (1 - mean) size): a standard deviation of .14 at a mean of .94
COST_SIGMA = 1.0
TTFT_SIGMA = 0.6


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a call.

    draw: a bin for each level, which is the rate, mean score or mean value that the call is drawn from.
    value: what observations in the bins are worth. worse: +1 if larger is worse, -1 if smaller is.
    """

    draw: Draw
    value: Callable[[Ints], Array]
    worse: int = 1
    is_rate: bool = False

    def drifted(self, level: float, factor: Array) -> Array:
        """The level when everything bad about the measure is `factor` as large."""
        return level * factor if self.worse > 0 else 1 - (1 - level) * factor


def _draw_failure(rng: np.random.Generator, rate: Array) -> Ints:
    return TOP_BIN * (rng.random(len(rate)) < rate).astype(np.int64)


def _draw_score(rng: np.random.Generator, mean: Array) -> Ints:
    return np.round(TOP_BIN * rng.beta(mean * SCORE_SIZE, (1 - mean) * SCORE_SIZE)).astype(np.int64)


def _share_of_bin(bins: Ints) -> Array:
    return bins / TOP_BIN


def _lognormal(*, sigma: float, smallest: float) -> Measure:
    def draw(rng: np.random.Generator, mean: Array) -> Ints:
        logs = np.log(mean / smallest) - sigma**2 / 2 + sigma * rng.standard_normal(len(mean))
        return np.maximum(np.floor(logs / math.log(LOG_STEP)).astype(np.int64) + 1, 0)

    def value(bins: Ints) -> Array:
        values: Array = smallest * np.exp(math.log(LOG_STEP) * (bins - 0.5))
        return values

    return Measure(draw, value)


RATE = Measure(_draw_failure, _share_of_bin, is_rate=True)
SCORE = Measure(_draw_score, _share_of_bin, worse=-1)
COST = _lognormal(sigma=COST_SIGMA, smallest=SMALLEST["cost_per_call"])  # USD
TTFT = _lognormal(sigma=TTFT_SIGMA, smallest=SMALLEST["ttft"])  # ms
