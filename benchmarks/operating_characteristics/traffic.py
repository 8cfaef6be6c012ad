"""Simulated calls: whose they are, by what chance the canary serves them, and what they would show under each arm.

Everything about a rollout's calls is drawn before it starts, for both arms. So every method sees the same calls, and
a method that leaves a step later than another sees the same users in the same arms until then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.operating_characteristics.crowds import Crowd
from benchmarks.operating_characteristics.measures import Array, Ints, Measure
from rollout.core.plan import PlanMetric
from rollout.core.stats.design_effect import BUCKETS

LOOK = 100  # calls between two looks
DAY = 20_000  # calls a day, one a second

Drift = Callable[[np.random.Generator, int], Array]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a metric's measure really does in each arm.

    control, canary: the rate, mean score or mean value. judged: the share of calls that show it, `delay` calls later on
    average. alike: the correlation between failures of one unit, of a rate.
    """

    metric: PlanMetric
    measure: Measure
    control: float
    canary: float
    judged: float = 1.0
    delay: float = 0.0
    alike: float = 0.0


@dataclass(frozen=True, slots=True)
class Observed:
    """A measure's observations in the order in which they arrive: of which call, and in which bin under either arm.

    arrived: how many of them have arrived by look 0, 1, 2 ... (looks + 1,), from 0 before the first.
    """

    call: Ints
    control: Ints
    canary: Ints
    arrived: Ints


@dataclass(frozen=True, slots=True)
class Calls:
    """chance: in [0, 1), of each call's unit; the canary serves the call while its share is larger.

    bucket: the unit's, 0 to 255, a hash that knows nothing of the arm.
    """

    chance: Array
    bucket: Ints
    observed: Mapping[str, Observed]

    @property
    def looks(self) -> int:
        return len(self.chance) // LOOK


def wave(*, amplitude: float, period: int) -> Drift:
    """Common to both arms: a sine that starts anywhere."""

    def drift(rng: np.random.Generator, n: int) -> Array:
        phases: Array = 1 + amplitude * np.sin(2 * np.pi * (np.arange(n) / period + rng.random()))
        return phases

    return drift


def steady(rng: np.random.Generator, n: int) -> Array:
    return np.ones(n)


def draw_calls(
    rng: np.random.Generator, truths: Sequence[Truth], n: int, *, crowd: Crowd, drift: Drift, skew: float = 1.0
) -> Calls:
    """n calls. skew: how many times its planned share the canary really gets."""
    unit = crowd(rng, n)
    units = int(unit.max()) + 1
    factor = drift(rng, n)
    observed = {truth.metric.name: _observe(rng, truth, unit, factor) for truth in truths}
    return Calls((rng.random(units) / skew)[unit], rng.integers(0, BUCKETS, units)[unit], observed)


def baseline(rng: np.random.Generator, truth: Truth, n: int, *, drift: Drift) -> dict[int, int]:
    """What the control showed in n earlier observations, by bin."""
    bins = truth.measure.draw(rng, truth.measure.drifted(truth.control, drift(rng, n)))
    return count(bins)


def count(bins: Ints) -> dict[int, int]:
    places, counts = np.unique(bins, return_counts=True)
    return dict(zip(places.tolist(), counts.tolist(), strict=True))


def served_by_canary(calls: Calls, steps: Sequence[tuple[float, int]]) -> Bools:
    """Which calls the canary serves when every step, a share and its calls, is left on time."""
    share = np.repeat([share for share, _ in steps], [n for _, n in steps])
    return calls.chance < share


def _observe(rng: np.random.Generator, truth: Truth, unit: Ints, factor: Array) -> Observed:
    n = len(unit)
    call = np.flatnonzero(rng.random(n) < truth.judged) if truth.judged < 1 else np.arange(n)
    look = call // LOOK
    if truth.delay:
        late = (call + rng.exponential(truth.delay, len(call))).astype(np.int64) // LOOK
        order = np.argsort(late, kind="stable")
        call, look = call[order], late[order]
        call, look = call[look < n // LOOK], look[look < n // LOOK]
    arms = (truth.measure.draw(rng, level[call]) for level in _levels(rng, truth, unit=unit, factor=factor))
    control, canary = arms
    return Observed(call, control, canary, np.searchsorted(look, np.arange(n // LOOK + 1)))


def _levels(rng: np.random.Generator, truth: Truth, *, unit: Ints, factor: Array) -> Iterator[Array]:
    """The level of every call under control, then under canary."""
    if truth.alike:
        size = 1 / truth.alike - 1
        rate = rng.beta(truth.control * size, (1 - truth.control) * size, int(unit.max()) + 1)
        factor = factor * (rate / truth.control)[unit]
    for level in (truth.control, truth.canary):
        yield truth.measure.drifted(level, factor)
