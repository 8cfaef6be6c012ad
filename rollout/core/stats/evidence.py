"""What every kind of metric is made of: batches read from bins, totals for display, a process that weighs batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rollout.core.stats.grid import Array, Grid
from rollout.core.stats.margins import Baseline, Direction

Counts = NDArray[np.int64]

SPREAD = 3  # margins; measured: the displayed interval is narrow early and costs little late
BINS = 1001  # an observation of value v in [0, 1] is counted in bin round(1000 v)


@dataclass(frozen=True, slots=True)
class Totals:
    """One arm's observations so far, for display only: how many, their sum and their sum of squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.n + other.n, self.total + other.total, self.squares + other.squares)


class Increments(NamedTuple):
    """What one closed batch adds to ln of the e-values against the points of both grids, and what to remember of it."""

    harm: Array
    safe: Array
    memory: tuple[float, ...]


class Process(Protocol):
    """A metric kind with everything about it fixed at the start.

    margin: as the plan says it, or the default. spread: SPREAD margins in the metric's own unit, for the displayed
    interval. memory: what the first batch knows of earlier ones (floats, of a length fixed by the kind).
    """

    @property
    def margin(self) -> Mapping[str, float]: ...
    @property
    def harm(self) -> Grid: ...
    @property
    def safe(self) -> Grid: ...
    @property
    def spread(self) -> float: ...
    @property
    def memory(self) -> tuple[float, ...]: ...

    @classmethod
    def freeze(cls, *, direction: Direction, margin: Mapping[str, float] | None, baseline: Baseline) -> Self: ...
    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self: ...
    def totals(self, histogram: Counts) -> Totals: ...
    def weigh(self, *, control: Counts, canary: Counts, memory: tuple[float, ...]) -> Increments: ...


def histogram(bins: Mapping[int, int]) -> Counts:
    """The counts as an array over all bins. Raises ValueError on a bin or count that cannot be."""
    counts = np.zeros(BINS, dtype=np.int64)
    for place, count in bins.items():
        if not isinstance(place, int) or not 0 <= place < BINS:
            raise ValueError(f"expected bins from 0 to {BINS - 1}, got {place!r}")
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"expected counts of 0 or more, got {count!r} in bin {place}")
        counts[place] = count
    return counts
