"""Figures that add up: percentiles from bins of 1 %, and the interval of a mean of scores."""

import math
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import LATENCY, SMALLEST, log_bin
from observability.core.figures import Figures, ScoreSums, mean_with_interval, percentile

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
    assert first.scores == {("tone", "judge"): (3, 1.5, 1.25), ("tone", "user"): (1, 1.0, 1.0)}


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
