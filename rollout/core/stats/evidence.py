"""What every kind of metric is made of: batches of counted bins, totals for display, a process that weighs batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from observability.core.evidence import LOG_BINNED, TOP_BIN, TOP_LOG_BIN
from rollout.core.plan import PlanMetric
from rollout.core.stats.grid import Array

Counts = NDArray[np.int64]
Bins = Mapping[int, int]  # observations by bin, as they are stored

SPREAD = 3  # margins; measured: the displayed interval is narrow early and costs little late


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


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's observations of a closed batch. bins: (m,) ascending; counts: (m,), each over 0; n: their sum."""

    bins: Counts
    counts: Counts
    n: int

    def at_least(self, first: int) -> int:
        """How many observations lie in the bin `first` or above."""
        return int(self.counts[np.searchsorted(self.bins, first) :].sum())


@dataclass(frozen=True, slots=True)
class Batch:
    """What arrived in both arms on one step between two looks."""

    step: int
    control: Arm
    canary: Arm


class Increments(NamedTuple):
    """What one closed batch adds to ln of the e-values against each alternative, and what to remember of it."""

    harm: Array
    safe: Array
    memory: tuple[float, ...]


class Process(Protocol):
    """A kind of metric with everything about it fixed at the start.

    margin: as the plan says it, or the default; empty for a limit. spread: SPREAD margins in the unit of the estimates,
    for the displayed interval. outcomes: two values in it that any arm might have seen twice each, for its least error.
    sizes: how many alternatives harm and safety are weighed against. memory: what the first batch knows of earlier ones
    (floats, of a length fixed by the kind).
    """

    @property
    def margin(self) -> Mapping[str, float]: ...
    @property
    def spread(self) -> float: ...
    @property
    def outcomes(self) -> tuple[float, float]: ...
    @property
    def sizes(self) -> tuple[int, int]: ...
    @property
    def memory(self) -> tuple[float, ...]: ...

    @classmethod
    def freeze(cls, metric: PlanMetric, *, baseline: Bins, shares: Sequence[float]) -> Self: ...
    def totals(self, arm: Arm) -> Totals: ...
    def weigh(self, batch: Batch, memory: tuple[float, ...]) -> Increments: ...
    def log_e_harm(self, logs: Array) -> Array: ...
    def log_e_safe(self, logs: Array) -> Array: ...


def top_bin(measure: str) -> int:
    return TOP_LOG_BIN if measure in LOG_BINNED else TOP_BIN


def arm(bins: Bins, *, top: int) -> Arm:
    """The counts in the order of their bins. Raises ValueError on a bin, over `top` too, or count that cannot be."""
    numbers = {*map(type, bins), *map(type, bins.values())} <= {int}
    if not numbers or min(bins, default=0) < 0 or max(bins, default=0) > top or min(bins.values(), default=0) < 0:
        _check(bins, top=top)
    places = np.fromiter(bins.keys(), dtype=np.int64, count=len(bins))
    counts = np.fromiter(bins.values(), dtype=np.int64, count=len(bins))
    order = np.argsort(places)
    order = order[counts[order] > 0]
    return Arm(places[order], counts[order], int(counts.sum()))


def _check(bins: Bins, *, top: int) -> None:
    """Raises ValueError, which names the bin or count that cannot be."""
    for place, count in bins.items():
        if not isinstance(place, int) or not 0 <= place <= top:
            raise ValueError(f"expected bins from 0 to {top}, got {place!r}")
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"expected counts of 0 or more, got {count!r} in bin {place}")
