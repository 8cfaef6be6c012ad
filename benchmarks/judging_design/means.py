"""Means of versions from calls that were chosen with unequal probabilities: are they those of all calls?

Each replication is an hour of one prompt's calls, of which those that are judged are written into a database with the
probabilities of their choice. The means and their intervals are then what `selectors.hours` and `core.figures` answer,
as on every page. Nothing of them is computed here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]

SEED = 8
SHARE = 0.02
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CALL = ("id", "trace_id", "span_id", "prompt_name", "operation", "error", "started_at", "place")
SCORE = (
    *("key", "target", "call_id", "waiting", "recheck", "counts", "name", "value", "source", "received_at"),
    *("probability", "by_design"),
)


@dataclass(frozen=True, slots=True)
class Population:
    """calls: of an hour. failed: the share that fails, and is always judged. canary: the share that is a canary's, and
    always judged, too; SHARE of the others is. of_failed, of_answered: their scores, with the mean of each."""

    name: str
    calls: int
    failed: float
    canary: float
    of_failed: tuple[Draw, float]
    of_answered: tuple[Draw, float]

    @property
    def truth(self) -> float:
        return self.failed * self.of_failed[1] + (1 - self.failed) * self.of_answered[1]


def graded(mean: float, size: float) -> tuple[Draw, float]:
    return lambda rng, n: rng.beta(mean * size, (1 - mean) * size, n), mean


def yes_or_no(rate: float) -> tuple[Draw, float]:
    return lambda rng, n: (rng.random(n) < rate).astype(float), rate


FAITHFUL, UNFAITHFUL = graded(0.94, 10), graded(0.4, 5)
POPULATIONS = (
    Population("faithfulness, 4 000 calls", 4000, 0.03, 0.0, UNFAITHFUL, FAITHFUL),
    Population("hallucination, 4 000 calls", 4000, 0.03, 0.0, yes_or_no(0.3), yes_or_no(0.018)),
    Population("faithfulness, 4 000 calls, 5 % a canary's", 4000, 0.03, 0.05, UNFAITHFUL, FAITHFUL),
    Population("hallucination, 4 000 calls, 5 % a canary's", 4000, 0.03, 0.05, yes_or_no(0.3), yes_or_no(0.018)),
    Population("faithfulness, 800 calls", 800, 0.03, 0.0, UNFAITHFUL, FAITHFUL),
)


def run(*, replications: int) -> Iterator[Mapping[str, Any]]:
    """A row for each population. Writes into the database that Django is set up with."""
    for number, population in enumerate(POPULATIONS):
        rng = np.random.default_rng([SEED, number])
        _store(population, [_hour(rng, population) for _ in range(replications)])
        yield _row(population, _means(population, replications))


class Judged(NamedTuple):
    """Of one hour: the calls that are judged."""

    failed: NDArray[np.bool_]
    value: Array
    probability: Array


def _hour(rng: np.random.Generator, population: Population) -> Judged:
    failed = rng.random(population.calls) < population.failed
    always = failed | (rng.random(population.calls) < population.canary)
    probability = np.where(always, 1.0, SHARE)
    chosen = rng.random(population.calls) < probability
    value = np.where(
        failed, population.of_failed[0](rng, population.calls), population.of_answered[0](rng, population.calls)
    )
    return Judged(failed[chosen], value[chosen], probability[chosen])


def _store(population: Population, hours: Sequence[Judged]) -> None:
    from django.db import connection, transaction

    from observability import bulk
    from observability.models import Call, Score
    from observability.models.calls import first_place

    id_ = Call.objects.count()
    for number, judged in enumerate(hours):
        at = SINCE + number * HOUR
        stored_at, place = connection.ops.adapt_datetimefield_value(at), first_place(at)
        calls, scores = [], []
        for failed, value, probability in zip(*(of.tolist() for of in judged), strict=True):
            id_ += 1
            span = id_.to_bytes(8, "big")
            calls.append((id_, span + span, span, population.name, "chat", failed, stored_at, place))
            scores.append(
                (str(id_), "", id_, False, False, True, "judged", value, "judge", stored_at, probability, not failed)
            )
        with transaction.atomic():
            bulk.append(Call, CALL, calls)
            bulk.append(Score, SCORE, scores)


def _means(population: Population, replications: int) -> list[tuple[Any, tuple[float, float, float]]]:
    """Of each hour: the sums, the mean and its interval."""
    from observability.core.figures import mean_with_interval
    from observability.selectors.hours import Stretch, version_figures

    hours = Stretch(SINCE, SINCE + replications * HOUR)
    found = version_figures(hours, prompts=[population.name], with_times=False)
    sums = [next(iter(figures.scores.values())) for figures in found.values() if figures.scores]
    return [(of_hour, mean_with_interval(of_hour)) for of_hour in sums]


def _row(population: Population, means: Sequence[tuple[Any, tuple[float, float, float]]]) -> Mapping[str, Any]:
    truth, n = population.truth, len(means)
    off = np.array([mean - truth for _, (mean, _, _) in means])
    plain = np.array([sums.total / sums.n - truth for sums, _ in means])
    held = sum(low <= truth <= high for _, (_, low, high) in means)
    coverage = binomtest(held, n).proportion_ci()
    error = 1.96 * float(off.std(ddof=1)) / n**0.5
    return {
        "about": "means",
        "name": population.name,
        "replications": n,
        "truth": round(truth, 4),
        "scores": round(float(np.mean([sums.n for sums, _ in means])), 1),
        "effective": round(float(np.mean([sums.effective_n for sums, _ in means])), 1),
        "bias": round(float(off.mean()), 5),
        "bias_low": round(float(off.mean()) - error, 5),
        "bias_high": round(float(off.mean()) + error, 5),
        "plain_bias": round(float(plain.mean()), 5),
        "coverage": round(held / n, 4),
        "coverage_low": round(float(coverage.low), 4),
        "coverage_high": round(float(coverage.high), 4),
        "width": round(float(np.mean([high - low for _, (_, low, high) in means])), 4),
    }
