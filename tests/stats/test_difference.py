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


def test_difference__costs__error_as_with_two_free_and_two_double_calls_more() -> None:
    control, canary = Totals(6, 6 * 0.02, 6 * 0.02**2), Totals(16, 16 * 0.03, 16 * 0.03**2)

    found = difference([(control, canary)], outcomes=(0.0, 0.04))

    assert found is not None
    assert found.estimate == pytest.approx(0.01)
    means = (0.02, (16 * 0.03 + 0.08) / 20)
    squares = ((6 * 0.02**2 + 2 * 0.04**2) / 10, (16 * 0.03**2 + 2 * 0.04**2) / 20)
    assert found.error == pytest.approx(
        math.sqrt((squares[0] - means[0] ** 2) / 10 + (squares[1] - means[1] ** 2) / 20)
    )


def test_difference__more_complaints_than_calls_known__still_has_an_error() -> None:
    found = difference([(of_rate(30, 90), of_rate(30, 120))])

    assert found is not None
    assert found.estimate == 1.0
    assert found.error == pytest.approx(math.sqrt(2) / 34)  # of two 0s and two 1s alone, in 34


def test_wider__four_calls_are_worth_one_unit__twice_the_error() -> None:
    assert Difference(0.1, 0.05, 400).wider(4.0) == Difference(0.1, 0.1, 400)


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


def test_interval__of_an_unbounded_unit__cut_nowhere() -> None:
    low, high = interval(Difference(120.0, 90.0, 20), spread=60.0, limit=math.inf) or (0, 0)

    assert low == pytest.approx(240 - high)
    assert high > 300


def test_interval__mixture__holds_at_every_look_and_is_narrower_the_more_is_known() -> None:
    """The reach in standard errors is the boundary of the reference; it is sharpest at about a third of the spread."""
    few, many = (interval(Difference(0.0, error, 500), spread=0.03) or (0, 0) for error in (0.02, 0.002))

    assert many[1] == pytest.approx(mixture_bound(15.0) * 0.002)
    assert many[1] < few[1]
    reaches = [mixture_bound(ratio) for ratio in (0.3, 1.0, 3.0, 10.0, 100.0)]
    assert min(reaches) == mixture_bound(3.0)
