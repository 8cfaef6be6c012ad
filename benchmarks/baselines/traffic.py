"""Metrics as they are simulated: days of five-minute steps, whose level is log-normal from day to day.

Of rates, costs and latencies that is the level itself; of scores what they lose, 1 - mean: a log-sd of 0.2 is a
faithfulness of 0.94 whose days differ by 0.012, one of 0.1 by 0.006.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from observability.core.baselines import LOWER_IS_BETTER, QUARTERS, Step, Sums, loss, together
from observability.core.evidence import BUILT_IN_METRICS
from observability.core.times import BUCKET

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Draw = Callable[[np.random.Generator, Array, Ints], tuple[Array, Array]]
Timed = tuple[datetime, Step]

PER_DAY = 288  # steps
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SCORE_SIZE = 1.75  # of the beta distribution of scores: a standard deviation of 0.14 at 0.94
LOG_SD = 0.8  # of costs and latencies of prompts


@dataclass(frozen=True, slots=True)
class Kind:
    """level: as people know the metric. a_day: observations. draw: totals and totals of squares of steps, from their
    levels and numbers. swing: of traffic and of the oriented level within a day. share: how much of the usual share is
    judged during the middle half of every third day, as of the control of a rollout."""

    name: str
    metric: str
    level: float
    a_day: int
    draw: Draw
    swing: float = 0.0
    share: float = 1.0


def rates(rng: np.random.Generator, level: Array, n: Ints) -> tuple[Array, Array]:
    total = rng.binomial(n, level).astype(float)
    return total, total


def graded(rng: np.random.Generator, level: Array, n: Ints) -> tuple[Array, Array]:
    of = np.repeat(level, n)
    return _sums(rng.beta(of * SCORE_SIZE, (1 - of) * SCORE_SIZE), n)


def long_tailed(rng: np.random.Generator, level: Array, n: Ints) -> tuple[Array, Array]:
    return _sums(np.repeat(level, n) * np.exp(LOG_SD * rng.standard_normal(int(n.sum())) - LOG_SD**2 / 2), n)


def _sums(values: Array, n: Ints) -> tuple[Array, Array]:
    of = np.repeat(np.arange(len(n)), n)
    return np.bincount(of, values, len(n)), np.bincount(of, values**2, len(n))


def day_of(kind: Kind, rng: np.random.Generator, times: Array, number: int, first: int = 0) -> list[Timed]:
    """times: per step, how many times as bad as usual. number: of the day. first: its first step."""
    place = (np.arange(len(times)) + first) % PER_DAY
    wave = np.sin(2 * np.pi * place / PER_DAY)
    of_day = np.abs(place - PER_DAY / 2) < PER_DAY / 4
    share = np.where(of_day & (number % 3 == 0), kind.share, 1.0)
    n = rng.poisson(kind.a_day / PER_DAY * (1 + kind.swing * np.roll(wave, PER_DAY // 8)) * share)
    level = _level(kind, times * (1 + kind.swing * wave))
    totals, squares = kind.draw(rng, level, n)
    begins = BEGIN + (number * PER_DAY + first) * BUCKET
    return [
        (begins + k * BUCKET, Step(int(place[k]) * QUARTERS // PER_DAY, loss(kind.metric, Sums(*sums))))
        for k, sums in enumerate(zip(n.tolist(), totals.tolist(), squares.tolist(), strict=True))
    ]


def _level(kind: Kind, times: Array) -> Array:
    if kind.metric not in BUILT_IN_METRICS and kind.metric not in LOWER_IS_BETTER:
        return np.clip(1 - (1 - kind.level) * times, 0.001, 0.999)
    return kind.level * times if kind.draw is long_tailed else np.clip(kind.level * times, 0.0, 0.999)


def by_quarter(day: Sequence[Timed]) -> dict[int, Sums]:
    return {quarter: together(step.sums for _, step in day if step.quarter == quarter) for quarter in range(QUARTERS)}
