"""How many calls one independent unit is worth: requests of one user are alike, so they are less evidence than calls.

Units are known by 256 buckets, a hash that says nothing about the arm. Under independence the buckets' sums vary as
much as the observations in them allow; correlation makes them vary more. A log e-value is divided by the ratio.
Source: the variance of a ratio estimator from clusters, Cochran 1977, "Sampling Techniques", chapter 9; Kish 1965.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from rollout.core.stats.grid import Array

BUCKETS = 256
NOISE = math.sqrt(2 / (BUCKETS - 1))  # by which the crowding strays from 1 where no unit comes twice


class UnitSums(Protocol):
    """Of the observations of one bucket's units: how many, the sum of their bins and of the bins' squares."""

    @property
    def n(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def squares(self) -> int: ...


class Sums(NamedTuple):
    """The same of all buckets, (256,) each."""

    n: Array
    total: Array
    squares: Array


def design_effect(*arms: Sums) -> float:
    """At least 1, and at most what the crowding of the units allows: a unit is worth no more than all of its calls.

    B / (B - 1) sum over buckets of (S - m n)^2 / sum over observations of (y - m)^2, added over the arms, each around
    its own mean m, and a standard error more: while failures are few, most estimates are too low, a few far too high.
    """
    squares, within = np.zeros(0), 0.0
    for sums in arms:
        n = float(sums.n.sum())
        mean = float(sums.total.sum()) / n if n else 0.0
        within += float(sums.squares.sum()) - n * mean**2
        squares = np.append(squares, (sums.total - mean * sums.n) ** 2)
    if within <= 0 or not squares.any():
        return 1.0
    between = float(squares.sum()) * BUCKETS / (BUCKETS - 1)
    error = float(squares.std() / squares.mean()) / math.sqrt(len(squares))
    crowded = crowding(np.sum([sums.n for sums in arms], axis=0)) - NOISE
    return max(1.0, min(between / within * (1 + error), crowded))


def crowding(calls: Array) -> float:
    """How unevenly calls (256,) fill the buckets: sum of squares of the units' calls / calls, at least 1.

    It does not look at the outcomes, nor at the arms: it is right even while one arm has seen no unit, or only one.
    """
    n = float(calls.sum())
    if not n:
        return 1.0
    return max(1.0, float(((calls - n / BUCKETS) ** 2).sum()) * BUCKETS / (BUCKETS - 1) / n)


def sums_of(buckets: Mapping[int, UnitSums]) -> Sums:
    """From bucket → sums. Raises ValueError on a bucket that cannot be."""
    for bucket in buckets:
        if not 0 <= bucket < BUCKETS:
            raise ValueError(f"expected buckets from 0 to {BUCKETS - 1}, got {bucket}")
    sums = np.zeros((len(Sums._fields), BUCKETS))
    if buckets:
        sums[:, list(buckets)] = np.array([(of.n, of.total, of.squares) for of in buckets.values()], dtype=float).T
    return Sums(*sums)
