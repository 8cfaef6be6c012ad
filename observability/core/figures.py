"""Figures over many calls that add up: those of two sets of calls are those of both together.

So an hour's figures can be stored, and a day's or a version's are sums of them. Times are kept as counts per bin of 1 %
(core.evidence), from which every percentile is told within half a percent. Scores of calls that were chosen to be
judged are weighted by what they stand for, so that means are of all calls though unequal shares of them were judged.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import sqrt
from operator import add
from typing import NamedTuple

from observability.core.evidence import SMALLEST, value_of_log_bin

Z_95 = 1.959963984540054  # the normal quantile of 0.975


class Weights(NamedTuple):
    """Sums over scores of values x that stand for w calls each: w, w x, w x^2, w^2, w^2 x, w^2 x^2."""

    w: float
    wx: float
    wxx: float
    ww: float
    wwx: float
    wwxx: float

    def plus(self, other: "Weights") -> "Weights":
        return Weights._make(map(add, self, other))


class ScoreSums(NamedTuple):
    """Sums over scores: how many, their values, the squares of their values.

    weights: of scores whose calls were chosen with a probability, each of which stands for one over it calls; None
    where each stands for its own call alone.
    """

    n: int
    total: float
    squares: float
    weights: Weights | None = None

    @classmethod
    def of(cls, stored: Sequence[float]) -> "ScoreSums":
        """From what `to_json` made of it: three numbers, or nine."""
        n, total, squares, *weights = stored
        return cls(int(n), total, squares, Weights._make(weights) if weights else None)

    def to_json(self) -> list[float]:
        return [self.n, self.total, self.squares, *(self.weights or ())]

    def plus(self, other: "ScoreSums") -> "ScoreSums":
        sums = ScoreSums(self.n + other.n, self.total + other.total, self.squares + other.squares)
        if not (self.weights or other.weights):
            return sums
        return sums._replace(weights=self.as_weighted.plus(other.as_weighted))

    @property
    def as_weighted(self) -> Weights:
        return self.weights or Weights(self.n, self.total, self.squares, self.n, self.total, self.squares)

    @property
    def mean(self) -> float:
        """Of the calls that the scores stand for: sum(w x) / sum(w), after Hajek. n: at least 1."""
        return min(1.0, max(0.0, self.as_weighted.wx / self.as_weighted.w))

    @property
    def effective_n(self) -> float:
        """How many scores of equal weight tell as much: sum(w)^2 / sum(w^2), after Kish."""
        return self.as_weighted.w**2 / self.as_weighted.ww if self.weights else float(self.n)

    @property
    def is_weighted(self) -> bool:
        """Whether some of the scores stand for more calls than others."""
        return self.effective_n < self.n * (1 - 1e-9)


NO_SCORES = ScoreSums(0, 0.0, 0.0)
ScoreKey = tuple[str, str]  # name and source


@dataclass(slots=True)
class Figures:
    """Sums over LLM calls.

    errors: failed calls by class. priced: calls whose cost is known; cost_usd: of these. timed_tokens: output tokens of
    the answered calls whose duration is known; timed_ms: their durations. merged: calls that several spans tell of.
    ttft_is_total: streams of several tokens whose first one came with the last. told_tokens: input tokens of the calls
    whose provider tells how many of them came from its cache; told_cached_tokens: these. ttft, latency, inter_token:
    bin → calls that did not fail.
    """

    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    priced: int = 0
    timed_tokens: int = 0
    timed_ms: float = 0.0
    merged: int = 0
    ttft_is_total: int = 0
    told_tokens: int = 0
    told_cached_tokens: int = 0
    ttft: Counter[int] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    inter_token: Counter[int] = field(default_factory=Counter)
    scores: dict[ScoreKey, ScoreSums] = field(default_factory=dict)

    def add(self, other: "Figures") -> None:
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in COUNTS:
            getattr(self, name).update(getattr(other, name))
        for key, sums in other.scores.items():
            self.scores[key] = self.scores.get(key, NO_SCORES).plus(sums)


SUMS = (
    *("calls", "attempts", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    *("cost_usd", "priced", "timed_tokens", "timed_ms", "merged", "ttft_is_total"),
    *("told_tokens", "told_cached_tokens"),
)
TIMES = ("ttft", "latency", "inter_token")
COUNTS = ("errors", *TIMES)


def percentile(bins: Mapping[int, int], share: float, measure: str) -> float | None:
    """The smallest value that at least this share of the values do not exceed, within half a percent; None of none."""
    wanted = share * sum(bins.values())
    seen = 0
    for bin_ in sorted(bins):
        seen += bins[bin_]
        if seen >= wanted:
            return value_of_log_bin(bin_, SMALLEST[measure])
    return None


def only_zero_or_one(sums: ScoreSums) -> bool:
    """Whether no score was anything between, so that their mean is a rate: only then each is its square."""
    return abs(sums.total - sums.squares) <= 1e-9 * sums.n


def mean_with_interval(sums: ScoreSums) -> tuple[float, float, float]:
    """The mean of scores in [0, 1] and the ends of its 95 % interval. sums.n: at least 1.

    Wilson's interval for the effective number of scores, n / d, as surveys have it for proportions. d is the variance
    of the scores over m (1 - m), the largest that values in [0, 1] with the mean m can have: 1 for scores of 0 and 1,
    whose interval is plain Wilson's, and less for graded ones. Two imagined scores of the largest variance count with
    them, so that a few equal scores do not pass for certainty.
    Of scores of unequal weights n is the number of equal ones that tell as much, and the larger of two variances
    counts: that of the mean, from sum(w^2 (x - m)^2), and that of the calls, from sum(w (x - m)^2). The first alone is
    far too small while none of the few heavy scores happens to differ: it held the truth in 57 of 100 simulations.
    Source: Wilson 1927, JASA 22; Korn & Graubard 1998, Survey Methodology 24; for the largest variance Bhatia & Davis
    2000, Am. Math. Monthly 107; for weights Särndal, Swensson & Wretman 1992, section 5.7; Kish 1965, section 11.7.
    """
    n, mean, of = sums.effective_n, sums.mean, sums.as_weighted
    largest = mean * (1 - mean)
    of_calls = (of.wxx - mean * mean * of.w) / of.w
    of_mean = (of.wwxx - 2 * mean * of.wwx + mean * mean * of.ww) / of.ww
    variance = max(0.0, of_calls, of_mean)
    d = (n * variance + 2 * largest) / ((n + 2) * largest) if largest > 0 else 1.0
    z2_over_n = Z_95 * Z_95 * d / n
    centre = (mean + z2_over_n / 2) / (1 + z2_over_n)
    half = sqrt(z2_over_n * (largest + z2_over_n / 4)) / (1 + z2_over_n)
    return mean, min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))
