"""Margins: what still counts as not worse, as a plan writes it, checked against the control version's baseline.

Plain Python, so that a web process can refuse a margin before the start without loading numpy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from observability.core.evidence import TOP_BIN
from rollout.core.plan import Direction, Kind, PlanMetric

KNOWN = 200  # observations from which on a baseline says something about rates near 1 %
SMALLEST = 0.0001  # below it nothing could ever be proven
LARGEST, LARGEST_OF_MEANS = 100, 10  # ratios; means are of values capped at 20 baseline means, and can show no more
FIRST_ONE = 500  # bins from here on count as a 1
SCORE = {"absolute": 0.03}
RELATIVE = {"ratio": 1.1}


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the control version did before the rollout: observations and the sum of their values in [0, 1]."""

    n: int
    total: float

    def __post_init__(self) -> None:
        if not 0 <= self.total <= self.n:
            raise ValueError(f"expected a baseline with 0 <= total <= n, got n {self.n} and total {self.total}")

    @classmethod
    def of_rates(cls, bins: Mapping[int, int]) -> Self:
        return cls(sum(bins.values()), float(sum(n for place, n in bins.items() if place >= FIRST_ONE)))

    @classmethod
    def of_scores(cls, bins: Mapping[int, int]) -> Self:
        return cls(sum(bins.values()), sum(place * n for place, n in bins.items()) / TOP_BIN)

    def failures(self, direction: Direction) -> float:
        """Of a rate: its 1s when lower is better, its 0s when higher is."""
        return self.total if direction == "lower" else self.n - self.total

    def known_rate(self, direction: Direction) -> float | None:
        """The rate of failing, None below KNOWN observations."""
        return self.failures(direction) / self.n if self.n >= KNOWN else None

    def likely_rate(self, direction: Direction) -> float:
        """The rate of failing, strictly between 0 and 1 however few observations there are."""
        return (self.failures(direction) + 0.5) / (self.n + 1)


def resolve(metric: PlanMetric, bins: Mapping[int, int]) -> dict[str, float]:
    """The margin as it will hold, the kind's default when the plan has none. Raises ValueError with what was expected.

    bins: of the control version's baseline. Rates and complaints: {"ratio": r}, an odds ratio of failing, by default
    1.5, or 2 where the baseline is known to fail under 1 %; rates also {"absolute": a}, a difference that needs a
    baseline. Scores: {"absolute": a}, by default 0.03. Costs and latencies: {"ratio": r} of means, by default 1.1.
    """
    if metric.margin is None:
        return _default(metric, bins)
    check(metric.kind, metric.margin)
    if metric.kind == "rate" and "absolute" in metric.margin:
        known = Baseline.of_rates(bins)
        _check_difference(metric.margin["absolute"], direction=metric.direction, baseline=known)
    return {name: float(value) for name, value in metric.margin.items()}


def check(kind: Kind, margin: Mapping[str, float]) -> None:
    """Raises ValueError, saying what was expected, unless a metric of this kind can have this margin."""
    largest = LARGEST_OF_MEANS if kind in ("cost", "latency") else LARGEST
    match dict(margin):
        case {"ratio": int() | float() as ratio, **rest} if kind != "score" and not rest and 1.01 <= ratio <= largest:
            return
        case {"absolute": int() | float() as absolute, **rest} if (
            kind in ("rate", "score") and not rest and SMALLEST <= absolute < 1
        ):
            return
    expected = " or ".join(
        [
            *([f'{{"ratio": r}} with r from 1.01 to {largest}'] if kind != "score" else []),
            *([f'{{"absolute": a}} with a from {SMALLEST} to below 1'] if kind in ("rate", "score") else []),
        ]
    )
    raise ValueError(f"expected {expected}, the margin of a {kind}, got {dict(margin)}")


def usual_ratio(rate: float | None) -> float:
    """The default margin of a rate, by how often the baseline is known to fail."""
    return 2.0 if rate is not None and rate < 0.01 else 1.5


def log_odds_ratio(margin: Mapping[str, float], *, direction: Direction, baseline: Baseline) -> float:
    """A resolved margin of a rate as ln odds ratio; a difference through the baseline's rate."""
    if "ratio" in margin:
        return math.log(margin["ratio"])
    rate = baseline.likely_rate(direction)
    return _logit(rate + margin["absolute"]) - _logit(rate)


def _default(metric: PlanMetric, bins: Mapping[int, int]) -> dict[str, float]:
    if metric.kind == "score":
        return dict(SCORE)
    if metric.kind in ("cost", "latency"):
        return dict(RELATIVE)
    return {"ratio": usual_ratio(Baseline.of_rates(bins).known_rate(metric.direction))}


def _check_difference(absolute: float, *, direction: Direction, baseline: Baseline) -> None:
    if not baseline.n:
        raise ValueError(
            "expected earlier observations of the control version, through which an absolute margin of a rate becomes "
            'an odds ratio, got none; give {"ratio": 1.5} instead'
        )
    rate = baseline.likely_rate(direction)
    if rate + absolute >= 1:
        raise ValueError(f"expected a margin below {1 - rate:.3g}, since already {rate:.3g} fail, got {absolute}")


def _logit(rate: float) -> float:
    return math.log(rate) - math.log1p(-rate)
