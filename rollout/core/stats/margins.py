"""Margins: what still counts as not worse, as a plan writes it, checked against the control version's baseline.

Plain Python, so that a web process can refuse a margin before the start without loading numpy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["rate", "score"]
Direction = Literal["lower", "higher"]

KNOWN = 200  # observations from which on a baseline says something about rates near 1 %
SMALLEST = 0.0001  # below it nothing could ever be proven
SCORE = {"absolute": 0.03}


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the control version did before the rollout: observations and the sum of their values in [0, 1]."""

    n: int
    total: float

    def __post_init__(self) -> None:
        if not 0 <= self.total <= self.n:
            raise ValueError(f"expected a baseline with 0 <= total <= n, got n {self.n} and total {self.total}")

    def failures(self, direction: Direction) -> float:
        """Of a rate: its 1s when lower is better, its 0s when higher is."""
        return self.total if direction == "lower" else self.n - self.total

    def known_rate(self, direction: Direction) -> float | None:
        """The rate of failing, None below KNOWN observations."""
        return self.failures(direction) / self.n if self.n >= KNOWN else None

    def likely_rate(self, direction: Direction) -> float:
        """The rate of failing, strictly between 0 and 1 however few observations there are."""
        return (self.failures(direction) + 0.5) / (self.n + 1)


def resolve(
    kind: Kind, margin: Mapping[str, float] | None, *, direction: Direction, baseline: Baseline
) -> dict[str, float]:
    """The margin as it will hold, the default when it is None. Raises ValueError saying what was expected.

    Rates: {"ratio": r}, an odds ratio of failing, or {"absolute": a}, a difference that needs a baseline; by default
    the ratio 1.5, or 2 where the baseline is known to fail under 1 %. Scores: {"absolute": a}, by default 0.03.
    """
    if margin is None:
        return dict(SCORE) if kind == "score" else _default_of_rate(baseline.known_rate(direction))
    match dict(margin):
        case {"ratio": int() | float() as ratio, **rest} if kind == "rate" and not rest and 1.01 <= ratio <= 100:
            return {"ratio": float(ratio)}
        case {"absolute": int() | float() as absolute, **rest} if not rest and SMALLEST <= absolute < 1:
            if kind == "rate":
                _check_difference(absolute, direction=direction, baseline=baseline)
            return {"absolute": float(absolute)}
    of_rate = '{"ratio": r} with r from 1.01 to 100 (odds of failing, canary : control) or ' if kind == "rate" else ""
    raise ValueError(f'expected {of_rate}{{"absolute": a}} with a from {SMALLEST} to below 1, got {dict(margin)}')


def log_odds_ratio(margin: Mapping[str, float], *, direction: Direction, baseline: Baseline) -> float:
    """A resolved margin of a rate as ln odds ratio; a difference through the baseline's rate."""
    if "ratio" in margin:
        return math.log(margin["ratio"])
    rate = baseline.likely_rate(direction)
    return _logit(rate + margin["absolute"]) - _logit(rate)


def _default_of_rate(rate: float | None) -> dict[str, float]:
    return {"ratio": 2.0 if rate is not None and rate < 0.01 else 1.5}


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
