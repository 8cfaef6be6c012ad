"""The methods that the operating characteristics compare with, against reference values that nobody here computed."""

from typing import Any

import numpy as np
import pytest
from scipy.special import chdtrc, ndtr
from scipy.stats import mannwhitneyu

from benchmarks.operating_characteristics.references import (
    CRITICAL_OF_RATIO,
    Moments,
    chi_square,
    growthbook,
    mann_whitney,
    z_test,
)

Vectors = dict[str, dict[str, Any]]


def arm(given: dict[str, Any], name: str) -> Moments:
    """An arm of a vector; the squares of zeros and ones are what they are."""
    n, total = given[f"n_{name}"], given[f"sum_{name}"]
    squares = given.get(f"ss_{name}", total)
    return Moments(*(np.array([float(number)]) for number in (n, total, squares)), rate=f"ss_{name}" not in given)


@pytest.mark.parametrize("vector_id", ["V28", "V29", "V31", "V32", "V34", "V35"])
def test_growthbook__reference_counts__agrees_with_gbstats(vectors: Vectors, vector_id: str) -> None:
    given, expected = vectors[vector_id]["inputs"], vectors[vector_id]["output"]

    gap, error, width = growthbook(
        arm(given, "a"),
        arm(given, "b"),
        relative=given["difference_type"] == "relative",
        alpha=given["alpha"],
        tuning=given["tuning"],
    )

    assert gap[0] == pytest.approx(expected["expected"], rel=1e-9)
    assert error[0] == pytest.approx(expected["stddev"], rel=1e-9)
    assert [gap[0] - width[0], gap[0] + width[0]] == pytest.approx(expected["ci"], rel=1e-9)


def test_growthbook__no_failure_in_one_arm__infinitely_wide() -> None:
    none, some = (Moments(np.array([100.0]), np.array([f]), np.array([f]), rate=True) for f in (0.0, 9.0))

    with np.errstate(divide="ignore", invalid="ignore"):
        widths = [growthbook(*arms)[2][0] for arms in ((none, some), (some, none))]

    assert widths == [np.inf, np.inf]


def test_z_test__reference_moments__agrees_with_scipys_welch(vectors: Vectors) -> None:
    expected = vectors["V62"]["output"]["t"]  # means, standard deviations and sizes as in its call

    found = z_test(of(mean=1.0, deviation=1.31, n=9500), of(mean=1.2, deviation=1.5, n=500))

    assert found[0] == pytest.approx(expected, rel=1e-9)


def of(*, mean: float, deviation: float, n: int) -> Moments:
    squares = deviation**2 * (n - 1) + n * mean**2
    return Moments(np.array([float(n)]), np.array([mean * n]), np.array([squares]))


def test_mann_whitney__counts_with_ties__agrees_with_scipy() -> None:
    control, canary = np.array([[30, 5, 10, 55]]), np.array([[4, 3, 0, 9]])
    values = [np.repeat(np.arange(4), counts[0]) for counts in (canary, control)]

    z = mann_whitney(control, canary)[0]

    expected = mannwhitneyu(*values, alternative="two-sided", method="asymptotic", use_continuity=False)
    wins = expected.statistic - 16 * 100 / 2
    assert 2 * ndtr(-abs(z)) == pytest.approx(expected.pvalue, rel=1e-9)
    assert np.sign(z) == np.sign(wins)


def test_chi_square__reference_counts__agrees_with_gbstats(vectors: Vectors) -> None:
    (control, canary), (_, share) = vectors["V37"]["inputs"]["counts"], vectors["V37"]["inputs"]["weights"]

    statistic = chi_square(np.array([control]), np.array([canary]), share)[0]

    assert chdtrc(1, statistic) == pytest.approx(vectors["V37"]["output"], rel=1e-9)
    assert chdtrc(1, CRITICAL_OF_RATIO) == pytest.approx(0.001, rel=1e-9)
