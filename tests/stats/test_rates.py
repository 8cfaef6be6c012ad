"""The e-process of rates against reference values, by enumeration of small batches, and at its numerical edges."""

import math
from collections.abc import Mapping
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom, nchypergeom_fisher

from rollout.core.plan import Direction, PlanMetric
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.margins import Baseline, log_odds_ratio
from rollout.core.stats.rates import FLOOR, RARE, Rate, log_increments, log_increments_of_one_arm, log_normaliser

Vectors = dict[str, dict[str, Any]]

counts = st.integers(min_value=0, max_value=8)
log_odds_ratios = st.floats(min_value=-2, max_value=2)


def rate(
    direction: Direction = "lower", *, margin: Mapping[str, float] | None = None, calls: int = 0, ones: int = 0
) -> Rate:
    """With a baseline of so many calls, of which some are a 1."""
    metric = PlanMetric("m", "rate", direction, margin=margin)
    return Rate.freeze(metric, baseline={0: calls - ones, 1000: ones}, shares=())


def batch_of(*, control: tuple[int, int], canary: tuple[int, int]) -> Batch:
    """One of (calls, 1s) in each arm."""
    return Batch(0, *(arm({0: calls - ones, 1000: ones}, top=1000) for calls, ones in (control, canary)))


@pytest.mark.parametrize("vector_id", ["V49", "V50", "V52"])
def test_increment__reference_batch__agrees_with_scipy(vectors: Vectors, vector_id: str) -> None:
    vector = vectors[vector_id]
    batch = vector["inputs"]

    (found,) = log_increments(
        control=batch["batch_total"] - batch["canary"],
        canary=batch["canary"],
        control_failures=batch["failures"] - batch["canary_failures"],
        canary_failures=batch["canary_failures"],
        log_odds=np.array([math.log(batch["odds"])]),
        nulls=np.array([0.0]),
    )

    assert found == pytest.approx(vector["output"], rel=1e-10)


@given(control=counts, canary=counts, failures=counts, null=log_odds_ratios, alternative=log_odds_ratios)
def test_e_value__any_small_batch_under_the_null__expectation_is_exactly_one(
    control: int, canary: int, failures: int, null: float, alternative: float
) -> None:
    assume(failures <= control + canary)
    possible = range(max(0, failures - control), min(failures, canary) + 1)

    e_values = [
        math.exp(
            log_increments(
                control=control,
                canary=canary,
                control_failures=failures - j,
                canary_failures=j,
                log_odds=np.array([alternative]),
                nulls=np.array([null]),
            )[0]
        )
        for j in possible
    ]

    ways = [math.comb(canary, j) * math.comb(control, failures - j) * math.exp(null * j) for j in possible]
    expectation = sum(way * e for way, e in zip(ways, e_values, strict=True)) / sum(ways)
    assert expectation == pytest.approx(1, rel=1e-12)


@given(canary=counts, floor=st.floats(0.001, 0.9), share=st.floats(0.01, 0.99), above=st.floats(0, 1))
def test_e_value_under_the_floor__any_small_batch__expectation_is_one_at_the_floor_and_less_above(
    canary: int, floor: float, share: float, above: float
) -> None:
    rates = np.array([share * floor])
    e_values = [
        math.exp(log_increments_of_one_arm(n=canary, failures=x, rates=rates, null=floor)[0]) for x in range(canary + 1)
    ]

    at_floor, over = (
        float(binom.pmf(range(canary + 1), canary, p) @ e_values) for p in (floor, floor + above * (1 - floor))
    )

    assert at_floor == pytest.approx(1, rel=1e-12)
    assert over <= 1 + 1e-12


@given(
    control=counts,
    canary=counts,
    margin=st.sampled_from([1.01, 1.5, 2.0, 10.0]),
    failing=st.one_of(st.just(FLOOR), st.floats(FLOOR, 0.99)),
    ratio=st.one_of(st.just(1.0), st.floats(1, 1000)),
)
def test_e_value_of_safety__worse_by_the_margin_or_more__expectation_of_a_batch_is_at_most_one(
    control: int, canary: int, margin: float, failing: float, ratio: float
) -> None:
    process = rate(margin={"ratio": margin})
    odds = failing / (1 - failing) / (margin * ratio)  # the control's; ratio 1 and FLOOR are the two borders

    expectation = sum(
        float(binom.pmf(x, canary, failing) * binom.pmf(y, control, odds / (1 + odds)))
        * e_value_of_safety(process, control=(control, y), canary=(canary, x))
        for x, y in product(range(canary + 1), range(control + 1))
    )

    assert expectation <= 1 + 1e-12


def e_value_of_safety(process: Rate, *, control: tuple[int, int], canary: tuple[int, int]) -> float:
    """After one batch of (calls, failures) in each arm."""
    return math.exp(process.log_e_safe(process.weigh(batch_of(control=control, canary=canary), ()).safe))


@given(control=counts, canary=counts, control_failures=counts, canary_failures=counts, log_odds=log_odds_ratios)
def test_increment__relabelled_batch__the_same(
    control: int, canary: int, control_failures: int, canary_failures: int, log_odds: float
) -> None:
    assume(control_failures <= control and canary_failures <= canary)
    batch = {"control": control, "canary": canary}

    (found,) = log_increments(
        **batch,
        control_failures=control_failures,
        canary_failures=canary_failures,
        log_odds=np.array([log_odds]),
        nulls=np.array([0.0]),
    )
    (arms_swapped,) = log_increments(
        control=canary,
        canary=control,
        control_failures=canary_failures,
        canary_failures=control_failures,
        log_odds=np.array([-log_odds]),
        nulls=np.array([0.0]),
    )
    (outcomes_swapped,) = log_increments(
        **batch,
        control_failures=control - control_failures,
        canary_failures=canary - canary_failures,
        log_odds=np.array([-log_odds]),
        nulls=np.array([0.0]),
    )

    assert arms_swapped == pytest.approx(found, abs=1e-12)
    assert outcomes_swapped == pytest.approx(found, abs=1e-12)


@given(
    control=st.integers(1, 300), canary=st.integers(1, 300), failures=st.integers(1, 300), log_odds=st.floats(0.01, 3)
)
def test_increment__more_of_the_failures_in_the_canary__larger(
    control: int, canary: int, failures: int, log_odds: float
) -> None:
    low, high = max(0, failures - control), min(failures, canary)
    assume(low < high and failures < control + canary)

    found = [
        log_increments(
            control=control,
            canary=canary,
            control_failures=failures - j,
            canary_failures=j,
            log_odds=np.array([log_odds]),
            nulls=np.array([0.0]),
        )[0]
        for j in range(low, high + 1)
    ]

    assert found == sorted(found)
    assert found[0] < 0 < found[-1]


@pytest.mark.parametrize(
    ("control", "canary", "failures"),
    [(20_000, 15_000, 12_000), (100_000, 3, 60_000), (30_000, 30_000, 59_990), (5000, 100_000, 7000)],
)
def test_normaliser__long_support__windows_leave_out_nothing(control: int, canary: int, failures: int) -> None:
    log_odds = np.array([-6.0, -0.4, 0.0, 0.001, 1.7, 10.0])
    j = np.arange(max(0, failures - control), min(failures, canary) + 1)
    at_null = log_weights(control, canary, failures, j)

    found = log_normaliser(control=control, canary=canary, failures=failures, log_odds=log_odds)

    in_full = logsumexp(at_null + log_odds[:, None] * j, axis=1)
    assert found - found[2] == pytest.approx(in_full - in_full[2], rel=1e-12, abs=1e-9)


def log_weights(control: int, canary: int, failures: int, j: np.ndarray[Any, Any]) -> Any:
    """ln C(canary, j) C(control, failures - j) but for a constant, from ratios of neighbours, not gamma functions."""
    up = j[:-1].astype(float)
    steps = np.log(canary - up) + np.log(failures - up) - np.log(up + 1) - np.log(control - failures + up + 1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def test_increment__batch_of_thousands__agrees_with_scipy() -> None:
    batch = {"control": 9_500, "canary": 500, "control_failures": 171, "canary_failures": 21}

    (found,) = log_increments(**batch, log_odds=np.array([math.log(2.5)]), nulls=np.array([math.log(1.5)]))

    fisher = [nchypergeom_fisher(10_000, 192, 500, odds).logpmf(21) for odds in (2.5, 1.5)]
    assert found == pytest.approx(fisher[0] - fisher[1], rel=1e-7)


@pytest.mark.parametrize(
    "batch",
    [
        {"control": 90, "canary": 10, "control_failures": 0, "canary_failures": 0},
        {"control": 90, "canary": 10, "control_failures": 90, "canary_failures": 10},
        {"control": 0, "canary": 10, "control_failures": 0, "canary_failures": 4},
        {"control": 90, "canary": 0, "control_failures": 3, "canary_failures": 0},
    ],
    ids=["nothing fails", "everything fails", "no control", "no canary"],
)
def test_increment__batch_that_cannot_tell__exactly_nothing(batch: dict[str, int]) -> None:
    found = log_increments(**batch, log_odds=np.array([-1.0, 0.5, 3.0]), nulls=np.full(3, 0.4))

    assert found.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("control", "canary"),
    [
        ((1, 0), (1, 1)),
        ((950_000, 0), (50_000, 50_000)),
        ((500_000, 499_999), (500_000, 1)),
        ((999_999, 100_000), (1, 1)),
    ],
)
def test_increment__extreme_batch__finite(control: tuple[int, int], canary: tuple[int, int]) -> None:
    found = rate(margin={"ratio": 100}).weigh(batch_of(control=control, canary=canary), ())

    assert np.isfinite(found.harm).all()
    assert np.isfinite(found.safe).all()


def test_increment__several_nulls_at_once__each_as_alone() -> None:
    batch = {"control": 90, "canary": 10, "control_failures": 7, "canary_failures": 3}
    log_odds, nulls = np.array([-1.0, 0.5, 0.5, 3.0]), np.array([0.0, 0.4, 0.0, 0.4])

    together = log_increments(**batch, log_odds=log_odds, nulls=nulls)

    alone = [log_increments(**batch, log_odds=log_odds[[k]], nulls=nulls[[k]])[0] for k in range(4)]
    assert together == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_weigh__rate__harm_against_equal_arms_and_safety_against_the_margin_and_the_floor(direction: Direction) -> None:
    process = rate(direction, margin={"ratio": 1.5}, calls=1000, ones=18 if direction == "lower" else 982)
    bad = {"control": 7, "canary": 3}
    ones = bad if direction == "lower" else {"control": 93, "canary": 7}

    found = process.weigh(batch_of(control=(100, ones["control"]), canary=(10, ones["canary"])), ())

    failures = {"control": 100, "canary": 10, "control_failures": 7, "canary_failures": 3}
    harm, ratios = np.array(process.harm.points), np.array(process.safe.points[:25])
    assert found.harm == pytest.approx(log_increments(**failures, log_odds=harm, nulls=np.zeros(24)))
    assert found.safe[:25] == pytest.approx(
        log_increments(**failures, log_odds=ratios, nulls=np.full(25, math.log(1.5)))
    )
    assert found.safe[25:] == pytest.approx(
        log_increments_of_one_arm(n=10, failures=3, rates=np.array(RARE), null=FLOOR)
    )


def test_increment__more_failures_than_calls__refused() -> None:
    with pytest.raises(ValueError, match="expected failures between 0"):
        log_increments(
            control=5,
            canary=5,
            control_failures=6,
            canary_failures=0,
            log_odds=np.array([1.0]),
            nulls=np.array([0.0]),
        )


@pytest.mark.parametrize(("calls", "ones", "scale"), [(0, 0, 0.8), (1000, 18, 0.8), (1000, 100, 0.5), (1000, 300, 0.4)])
def test_harm_grid__by_the_baseline__as_the_design_says(calls: int, ones: int, scale: float) -> None:
    grid = rate(calls=calls, ones=ones).harm

    # statistics.md, formulae: r_k = exp(s Phi^-1(.5 + (k + .5) / (2 K))), K = 24
    assert grid.points == pytest.approx([scale * NormalDist().inv_cdf(0.5 + (k + 0.5) / 48) for k in range(24)])
    assert sum(grid.weights) == pytest.approx(1)


def test_safe_grid__margin_one_and_a_half__ratios_weigh_four_fifths_and_equal_arms_four_fifths_of_them() -> None:
    process = rate(margin={"ratio": 1.5})

    ratios, rates = process.safe.points[:25], process.safe.points[25:]
    assert process.ratios == 25
    assert ratios[0] == 0
    assert process.safe.weights[0] == pytest.approx(0.64)
    assert all(point < math.log(1.5) for point in ratios)
    assert rates == RARE
    assert all(0 < point < process.floor == FLOOR for point in rates)
    assert sum(process.safe.weights[:25]) == pytest.approx(0.8)
    assert sum(process.safe.weights) == pytest.approx(1)


@pytest.mark.parametrize(
    ("direction", "calls", "ones", "margin"),
    [
        ("lower", 0, 0, {"ratio": 1.5}),
        ("lower", 199, 1, {"ratio": 1.5}),
        ("lower", 200, 1, {"ratio": 2.0}),
        ("lower", 200, 2, {"ratio": 1.5}),
        ("higher", 200, 199, {"ratio": 2.0}),
    ],
)
def test_default_margin__by_the_baseline__doubles_under_one_per_cent(
    direction: Direction, calls: int, ones: int, margin: dict[str, float]
) -> None:
    assert rate(direction, calls=calls, ones=ones).margin == margin


def test_absolute_margin__known_baseline__becomes_an_odds_ratio() -> None:
    margin = {"absolute": 0.1}

    lower = log_odds_ratio(margin, direction="lower", baseline=Baseline(99_999, 9_999.5))
    higher = log_odds_ratio(margin, direction="higher", baseline=Baseline(99_999, 89_999.5))

    # from 10 % to 20 % of failures: (.2 / .8) / (.1 / .9) = 2.25
    assert math.exp(lower) == pytest.approx(2.25)
    assert higher == pytest.approx(lower)


def test_absolute_margin__of_a_rate__kept_as_the_plan_says_it_and_weighed_as_an_odds_ratio() -> None:
    process = rate(margin={"absolute": 0.1}, calls=99_999, ones=10_000)

    assert process.margin == {"absolute": 0.1}
    assert math.exp(process.log_margin) == pytest.approx(2.25, rel=1e-4)


@pytest.mark.parametrize(
    ("margin", "calls", "ones", "message"),
    [
        ({"absolute": 0.03}, 0, 0, "expected earlier observations of the control version"),
        ({"absolute": 0.5}, 1000, 600, "expected a margin below 0.4"),
        ({"ratio": 1.0}, 0, 0, 'expected {"ratio": r}'),
        ({"ratio": 101}, 0, 0, 'expected {"ratio": r} with r from 1.01 to 100'),
        ({"ratio": math.inf}, 0, 0, 'expected {"ratio": r}'),
        ({"ratio": math.nan}, 0, 0, 'expected {"ratio": r}'),
        ({"absolute": 0.0}, 1000, 18, 'expected {"ratio": r}'),
        ({"ratio": 1.5, "absolute": 0.1}, 1000, 18, 'expected {"ratio": r}'),
        ({"percent": 3.0}, 1000, 18, 'expected {"ratio": r}'),
    ],
)
def test_margin__not_one_of_a_rate__refused_with_what_was_expected(
    margin: dict[str, float], calls: int, ones: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rate(margin=margin, calls=calls, ones=ones)


@pytest.mark.parametrize(("n", "total"), [(5, 6.0), (5, -0.1)])
def test_baseline__total_that_cannot_be__refused(n: int, total: float) -> None:
    with pytest.raises(ValueError, match="expected a baseline with 0 <= total <= n"):
        Baseline(n, total)
