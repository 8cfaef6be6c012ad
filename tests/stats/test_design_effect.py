"""How many calls one independent unit is worth: reference values, independent calls, crowds, and its bounds."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import UnitSums
from rollout.core.stats.design_effect import BUCKETS, NOISE, Sums, crowding, design_effect, sums_of

Vectors = dict[str, dict[str, Any]]


def sums(buckets: Any, values: Any) -> Sums:
    """Of observations (m,), each of a unit in one of the buckets (m,)."""
    n, total, squares = (
        np.bincount(buckets, weights=np.asarray(values, dtype=float) ** power, minlength=BUCKETS) for power in (0, 1, 2)
    )
    return Sums(n, total, squares)


def variation(of: Sums) -> tuple[float, float]:
    """The design effect without the standard error that is added to it, and the relative standard error itself."""
    squares = (of.total - of.total.sum() / of.n.sum() * of.n) ** 2
    error = float(np.std(squares) / np.mean(squares)) / math.sqrt(BUCKETS)
    return design_effect(of) / (1 + error), error


def uncapped(buckets: Any, values: Any) -> Sums:
    """With a bucket more, so full of calls at the mean that crowding is no bound: they vary nothing."""
    of = sums(buckets, values)
    many, mean = 1e6, float(np.mean(values))
    assert of.n[-1] == 0
    for sum_, power in zip(of, (0, 1, 2), strict=True):
        sum_[-1] = many * mean**power
    return of


def test_design_effect__one_bucket_for_each_user__clustered_variance_of_statsmodels(vectors: Vectors) -> None:
    expected = vectors["V61"]["output"]
    rg = np.random.default_rng(3)  # as the vector's data are made
    user = np.repeat(np.arange(200), 5)
    canary = np.repeat(rg.random(200) < 0.3, 5)
    y = np.repeat(rg.normal(0, 1, 200), 5) + rg.normal(0, 1, 1000) + 0.2 * canary

    variance_of_means = squares = 0.0
    for arm in (canary, ~canary):
        n, within = int(arm.sum()), float(np.var(y[arm]) * arm.sum())
        worth, _ = variation(uncapped(user[arm], y[arm]))
        variance_of_means += worth * (BUCKETS - 1) / BUCKETS * within / n**2
        squares += within

    independent = squares / 998 * (1 / canary.sum() + 1 / (~canary).sum())
    assert y[canary].mean() - y[~canary].mean() == pytest.approx(expected["coef"], rel=1e-9)
    assert math.sqrt(independent) == pytest.approx(expected["se_iid"], rel=1e-9)
    assert math.sqrt(variance_of_means) == pytest.approx(expected["se_cluster"], rel=1e-6)


@pytest.mark.parametrize("rate", [0.5, 0.02])
def test_design_effect__every_call_another_unit__one_up_to_noise(rate: float) -> None:
    rng = np.random.default_rng(4)

    found = [
        design_effect(sums(rng.integers(0, BUCKETS, 10_000), 1000 * (rng.random(10_000) < rate))) for _ in range(40)
    ]

    # The deviation of a chi-square / 255 is .09, and so is that of crowding, which bounds it.
    assert min(found) == 1
    assert np.mean(found) < 1.1
    assert max(found) < 1.3


@pytest.mark.parametrize("alike", [0.05, 0.2, 1.0])
def test_design_effect__twenty_alike_calls_a_unit__as_kish_has_it(alike: float) -> None:
    rng = np.random.default_rng(5)
    found = []

    for _ in range(30):
        units = np.repeat(np.arange(2000), 20)
        bucket_of_unit = rng.integers(0, BUCKETS - 1, 2000)
        common, own = rng.normal(0, math.sqrt(alike), 2000), rng.normal(0, math.sqrt(1 - alike), 40_000)
        found.append(variation(uncapped(bucket_of_unit[units], 500 + 100 * (common[units] + own)))[0])

    assert np.median(found) == pytest.approx(1 + 19 * alike, rel=0.1)  # Kish: 1 + (n - 1) correlation


def test_design_effect__a_standard_error_more_than_the_estimate() -> None:
    rng = np.random.default_rng(6)
    units = np.repeat(np.arange(3000), 10)
    values = (rng.random(3000) < 0.3)[units]  # all calls of a unit are alike
    of = uncapped(rng.integers(0, BUCKETS - 1, 3000)[units], values)

    estimate, error = variation(of)

    assert error == pytest.approx(math.sqrt(2 / BUCKETS), rel=0.3)  # squares of what is nearly normal
    assert estimate == pytest.approx(10, rel=0.2)
    assert design_effect(of) == pytest.approx(estimate * (1 + error))


@given(
    st.lists(st.tuples(st.integers(0, BUCKETS - 1), st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=40)
)
def test_design_effect__any_failures__between_one_and_what_crowding_allows(drawn: list[tuple[int, int, int]]) -> None:
    ones = [(bucket, n, min(ones, n)) for bucket, n, ones in drawn]
    of = sums_of({bucket: UnitSums(n, 1000 * failures, 10**6 * failures) for bucket, n, failures in ones})

    assert 1 <= design_effect(of) <= max(1, crowding(of.n) - NOISE)


@pytest.mark.parametrize(
    "buckets",
    [{}, {3: UnitSums(0, 0, 0)}, {3: UnitSums(50, 0, 0), 4: UnitSums(1, 0, 0)}, {3: UnitSums(5, 5000, 5_000_000)}],
    ids=["nobody", "no calls", "nothing fails", "everything fails"],
)
def test_design_effect__nothing_varies__one(buckets: dict[int, UnitSums]) -> None:
    assert design_effect(sums_of(buckets)) == 1


def test_design_effect__one_unit_makes_all_failures__found() -> None:
    """A unit of 200 calls that all fail, among thousands that make one call and do not."""
    rng = np.random.default_rng(8)
    calls = dict(enumerate(rng.multinomial(5000, [1 / BUCKETS] * BUCKETS).tolist()))
    of = {bucket: UnitSums(n, 0, 0) for bucket, n in calls.items()}
    of[17] = UnitSums(calls[17] + 200, 200_000, 200_000_000)

    found = design_effect(sums_of(of))

    assert found == pytest.approx(crowding(sums_of(of).n) - NOISE)
    assert found > 7  # (200^2 + 5000) / 5200


def test_design_effect__values_in_another_unit__the_same() -> None:
    rng = np.random.default_rng(9)
    buckets, values = rng.integers(0, 40, 900), rng.integers(0, 1001, 900)

    assert design_effect(sums(buckets, 7 * values + 300)) == pytest.approx(design_effect(sums(buckets, values)))


def test_crowding__calls_of_units__sum_of_their_squares_over_the_calls() -> None:
    rng = np.random.default_rng(10)
    of_units = np.array([1] * 3000 + [20] * 100)

    found = [
        crowding(np.bincount(rng.integers(0, BUCKETS, 3100), weights=of_units, minlength=BUCKETS)) for _ in range(200)
    ]

    assert np.mean(found) == pytest.approx((3000 + 100 * 400) / 5000, rel=0.03)


def test_crowding__no_calls_or_evenly_spread__one() -> None:
    assert crowding(np.zeros(BUCKETS)) == 1
    assert crowding(np.full(BUCKETS, 40.0)) == 1


def test_sums__by_bucket__where_they_belong() -> None:
    found = sums_of({0: UnitSums(3, 2000, 2_000_000), 255: UnitSums(1, 500, 250_000)})

    assert (found.n[[0, 255]].tolist(), found.total[[0, 255]].tolist()) == ([3, 1], [2000, 500])
    assert found.squares[[0, 255]].tolist() == [2_000_000, 250_000]
    assert found.n.sum() == 4


@pytest.mark.parametrize("bucket", [-1, 256])
def test_sums__bucket_that_cannot_be__refused(bucket: int) -> None:
    with pytest.raises(ValueError, match=f"expected buckets from 0 to 255, got {bucket}"):
        sums_of({bucket: UnitSums(1, 0, 0)})
