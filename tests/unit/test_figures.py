"""Figures that add up: percentiles from bins of 1 %, and the interval of a mean of scores."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import LATENCY, SMALLEST, log_bin
from observability.core.figures import Figures, ScoreSums, Weights, mean_with_interval, percentile

times_ms = st.lists(st.floats(0.01, 1e7), min_size=1, max_size=200)


def binned(values: list[float]) -> Counter[int]:
    return Counter(log_bin(value, SMALLEST[LATENCY]) for value in values)


def sums_of(values: list[float]) -> ScoreSums:
    return ScoreSums(len(values), sum(values), sum(value * value for value in values))


@given(times_ms, st.sampled_from([0.5, 0.95, 0.99]))
def test_percentile__any_times__within_one_percent_of_the_nearest_rank(values: list[float], share: float) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]

    found = percentile(binned(values), share, LATENCY)

    assert found == pytest.approx(exact, rel=0.01)


def test_percentile__nothing__none() -> None:
    assert percentile({}, 0.5, LATENCY) is None


def test_figures__two_halves__add_up_to_the_whole() -> None:
    first = Figures(
        calls=2,
        errors=Counter({"429": 1}),
        cost_usd=Decimal("0.1"),
        priced=1,
        ttft=Counter({5: 1}),
        scores={("tone", "judge"): ScoreSums(1, 0.5, 0.25)},
    )
    second = Figures(
        calls=3,
        errors=Counter({"429": 1, "5xx": 1}),
        cost_usd=Decimal("0.2"),
        priced=2,
        ttft=Counter({5: 1, 9: 2}),
        scores={("tone", "judge"): ScoreSums(2, 1.0, 1.0), ("tone", "user"): ScoreSums(1, 1.0, 1.0)},
    )

    first.add(second)

    assert (first.calls, first.cost_usd, first.priced) == (5, Decimal("0.3"), 3)
    assert first.errors == {"429": 2, "5xx": 1}
    assert first.ttft == {5: 2, 9: 2}
    assert first.scores == {("tone", "judge"): ScoreSums(3, 1.5, 1.25), ("tone", "user"): ScoreSums(1, 1.0, 1.0)}


def test_interval__of_zeros_and_ones__is_wilsons() -> None:
    mean, low, high = mean_with_interval(sums_of([1.0] * 9 + [0.0]))

    # Agresti & Coull 1998, The American Statistician 52: p = 0.9, n = 10 gives 0.596 to 0.982.
    assert (mean, round(low, 3), round(high, 3)) == (0.9, 0.596, 0.982)


def test_interval__of_graded_scores__narrower_than_of_zeros_and_ones() -> None:
    _, low, high = mean_with_interval(sums_of([0.4, 0.6] * 50))
    _, widest_low, widest_high = mean_with_interval(sums_of([0.0, 1.0] * 50))

    assert high - low < 0.3 * (widest_high - widest_low)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [0.7, 0.7, 0.7]])
def test_interval__of_few_equal_scores__is_no_certainty(values: list[float]) -> None:
    mean, low, high = mean_with_interval(sums_of(values))

    assert 0 <= low <= mean <= high <= 1
    assert high - low > 0.3


def weighted(values: list[tuple[float, float]]) -> ScoreSums:
    """Sums of (score, how many calls it stands for)."""
    powers = [(w, w * x, w * x * x, w * w, w * w * x, w * w * x * x) for x, w in values]
    return sums_of([x for x, _ in values])._replace(weights=Weights._make(map(sum, zip(*powers, strict=True))))


def test_mean__of_unequal_weights__is_of_the_calls_that_they_stand_for() -> None:
    sums = weighted([(0.0, 1.0), (1.0, 49.0)])

    assert sums.mean == pytest.approx(0.98)
    assert sums.effective_n == pytest.approx(50**2 / (1 + 49**2))
    assert sums.is_weighted


@pytest.mark.parametrize("weight", [1.0, 50.0])
def test_interval__of_equal_weights__as_of_none(weight: float) -> None:
    values = [0.0, 0.25, 1.0, 1.0, 0.9]

    sums = weighted([(value, weight) for value in values])

    assert mean_with_interval(sums) == pytest.approx(mean_with_interval(sums_of(values)))
    assert sums.effective_n == pytest.approx(5)
    assert not sums.is_weighted


def test_interval__the_few_heavy_scores_are_equal__no_certainty() -> None:
    mean, low, high = mean_with_interval(weighted([(0.0, 1.0)] * 60 + [(1.0, 50.0)] * 39))

    assert mean == pytest.approx(39 * 50 / (39 * 50 + 60))
    assert high - low > 0.08  # none of 39 went wrong: as of 39 equal scores, a share up to some 8 % agrees with that


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1.0, 2.0, 50.0])), min_size=1, max_size=30),
    st.lists(st.tuples(st.floats(0, 1), st.just(1.0)), min_size=1, max_size=30),
)
def test_sums__weighted_and_plain__add_up_in_any_order(first: list[Any], second: list[Any]) -> None:
    plain = sums_of([value for value, _ in second])

    together = weighted(first).plus(plain)

    assert together == plain.plus(weighted(first))
    assert together.as_weighted == pytest.approx(weighted([*first, *second]).as_weighted)


@pytest.mark.parametrize("sums", [ScoreSums(2, 1.0, 1.0), weighted([(0.5, 1.0), (1.0, 50.0)])])
def test_sums__stored__come_back(sums: ScoreSums) -> None:
    assert ScoreSums.of(json.loads(json.dumps(sums.to_json()))) == sums


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 1e4)), min_size=1, max_size=50))
def test_interval__any_weights__holds_the_mean_within_0_and_1(values: list[tuple[float, float]]) -> None:
    mean, low, high = mean_with_interval(weighted(values))

    assert 0 <= low <= mean <= high <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_interval__any_scores__holds_the_mean_within_0_and_1(values: list[float]) -> None:
    mean, low, high = mean_with_interval(sums_of(values))

    assert 0 <= low <= mean <= high <= 1


@pytest.mark.parametrize("n", [10, 40, 200])
@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda dice: float(dice.random() < 0.2), 0.2),
        (lambda dice: dice.betavariate(8, 2), 0.8),
        (lambda dice: dice.choice([0.0, 0.25, 0.5, 0.75, 1.0]), 0.5),
    ],
)
def test_interval__drawn_scores__holds_the_truth_in_about_95_of_100(
    draw: Callable[[random.Random], float], truth: float, n: int
) -> None:
    dice = random.Random(n)
    intervals = [mean_with_interval(sums_of([draw(dice) for _ in range(n)])) for _ in range(2000)]

    held = sum(low <= truth <= high for _, low, high in intervals) / len(intervals)

    # Wilson's own coverage swings by 0.02 around 0.95 at such n: Brown, Cai & DasGupta 2001, Statistical Science 16.
    assert held > 0.925
