"""The displayed difference and its interval."""

import math
from typing import Any

import pytest

from rollout.core.stats.difference import Difference, difference, interval, mixture_bound
from rollout.core.stats.evidence import Totals

Vectors = dict[str, dict[str, Any]]


def of_rate(n: int, ones: int) -> Totals:
    return Totals(n, float(ones), float(ones))


@pytest.mark.parametrize("vector_id", ["V11", "V13"])
def test_bound__reference_boundary__agrees_with_confseq(vectors: Vectors, vector_id: str) -> None:
    given = vectors[vector_id]["inputs"]

    found = mixture_bound(math.sqrt(given["v"] / _rho(given)), alpha=given["alpha"]) * math.sqrt(given["v"])

    assert found == pytest.approx(vectors[vector_id]["output"], rel=1e-9)


def test_bound__at_the_reference_e_value__is_the_reference_sum(vectors: Vectors) -> None:
    given = vectors["V07"]["inputs"]
    alpha = math.exp(-vectors["V07"]["output"])

    found = mixture_bound(math.sqrt(given["v"] / _rho(given)), alpha=alpha) * math.sqrt(given["v"])

    assert found == pytest.approx(abs(given["s"]), rel=1e-9)


def _rho(given: dict[str, float]) -> float:
    """confseq's two-sided prior precision that is best at v_opt."""
    log_odds = 2 * math.log(1 / given["alpha_opt"])
    return given["v_opt"] / (log_odds + math.log1p(log_odds))


def test_difference__one_step__plain_difference_of_the_means() -> None:
    found = difference([(of_rate(9500, 171), of_rate(500, 21))])

    assert found is not None
    assert found.estimate == pytest.approx(21 / 500 - 171 / 9500)
    assert found.n == 500


def test_difference__steps_of_unequal_arms__weighted_as_mantel_and_haenszel_do() -> None:
    found = difference([(of_rate(90, 9), of_rate(10, 2)), (of_rate(50, 5), of_rate(50, 20))])

    # differences .1 and .3 with weights 90 x 10 / 100 = 9 and 50 x 50 / 100 = 25
    assert found is not None
    assert found.estimate == pytest.approx((9 * 0.1 + 25 * 0.3) / 34)


def test_difference__error__as_with_two_zeros_and_two_ones_more_in_each_arm() -> None:
    found = difference([(of_rate(6, 1), of_rate(16, 0))])

    # 3 of 10 and 2 of 20: variances .3 x .7 / 10 and .1 x .9 / 20
    assert found is not None
    assert found.error == pytest.approx(math.sqrt(0.021 + 0.0045))


def test_difference__ramp_under_drift__shows_none_where_pooling_would() -> None:
    calm, rough = (of_rate(9500, 95), of_rate(500, 5)), (of_rate(5000, 500), of_rate(5000, 500))

    found = difference([calm, rough])

    pooled = (5 + 500) / 5500 - (95 + 500) / 14_500
    assert found is not None
    assert found.estimate == pytest.approx(0)
    assert pooled > 0.05


def test_difference__no_step_with_both_arms__undefined() -> None:
    assert difference([]) is None
    assert difference([(of_rate(100, 1), Totals()), (Totals(), of_rate(100, 1))]) is None


@pytest.mark.parametrize("ones", [0, 40])
def test_interval__constant_arms__still_has_a_width(ones: int) -> None:
    found = difference([(of_rate(40, ones), of_rate(40, ones))])

    assert found is not None
    low, high = interval(found, spread=0.03) or (0, 0)
    assert low < 0 < high


def test_interval__few_observations__undefined() -> None:
    assert interval(Difference(0.1, 0.05, 19), spread=0.03) is None


def test_interval__wide__cut_where_nothing_can_be() -> None:
    assert interval(Difference(0.1, 0.5, 20), spread=0.03) == (-1, 1)
