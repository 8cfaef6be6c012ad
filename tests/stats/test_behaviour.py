"""What the arms are expected to do: a baseline smoothed or a guess, and worse by exactly the margin."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import LOG_STEP, SMALLEST, log_bin
from rollout.core.plan import PlanMetric
from rollout.core.stats.behaviour import breaks_limit, expected, worse
from rollout.core.stats.evidence import Bins, Process
from rollout.core.stats.grid import Array
from rollout.core.stats.metric import freeze
from rollout.core.stats.rates import FLOOR
from rollout.core.stats.values import raw_values

BUILT_IN = {"cost": "cost_per_call", "latency": "ttft"}


def planned(kind: str, **fields: Any) -> PlanMetric:
    return PlanMetric(**{"name": BUILT_IN.get(kind, "metric"), "kind": kind, "direction": "lower", **fields})


def process(metric: PlanMetric, baseline: Bins) -> Process:
    return freeze(metric, baseline=baseline, shares=[0.05]).process


def dense(bins: Bins, top: int = 1000) -> Array:
    values = np.zeros(top + 1)
    values[list(bins)] = list(bins.values())
    return values


def odds(share: float, ratio: float) -> float:
    return share * ratio / (1 + share * (ratio - 1))


def share_from(first: int, values: Array) -> float:
    return float(values[first:].sum() / values.sum())


def mean_amount(values: Array, measure: str) -> float:
    return float(values @ raw_values(np.arange(len(values)), SMALLEST[measure]) / values.sum())


@pytest.mark.parametrize(("direction", "share"), [("lower", 0.02), ("higher", 0.98)])
def test_worse__rate__odds_of_failing_by_the_ratio(direction: str, share: float) -> None:
    bins = {0: round(10_000 * (1 - share)), 1000: round(10_000 * share)}
    metric = planned("rate", direction=direction, margin={"ratio": 1.5})

    found = worse(process(metric, bins), dense(bins))

    assert found[1000 if direction == "lower" else 0] / found.sum() == pytest.approx(odds(0.02, 1.5))


def test_worse__rate_under_the_floor__at_the_floor() -> None:
    bins = {0: 9_999, 1000: 1}

    found = worse(process(planned("rate"), bins), dense(bins))

    assert share_from(500, found) == pytest.approx(FLOOR)


def test_worse__complaint__as_many_times_the_complaints() -> None:
    bins = {0: 9_900, 1000: 100}

    found = worse(process(planned("complaint", margin={"ratio": 3}), bins), dense(bins))

    assert share_from(500, found) == pytest.approx(0.03)


@given(
    st.dictionaries(st.integers(0, 1000), st.integers(1, 100), min_size=1),
    st.sampled_from(["lower", "higher"]),
    st.floats(0.001, 0.3),
)
def test_worse__score__its_mean_is_worse_by_the_margin_as_far_as_there_is_room(
    bins: dict[int, int], direction: str, margin: float
) -> None:
    metric = planned("score", direction=direction, margin={"absolute": margin})
    values = expected(metric, bins)

    found = worse(process(metric, bins), values)

    bad = np.arange(1001) / 1000 if direction == "lower" else 1 - np.arange(1001) / 1000
    before, after = (float(arm @ bad / arm.sum()) for arm in (values, found))
    assert after - before == pytest.approx(min(margin, (1 - before) / 2), abs=1e-6)


@given(
    st.dictionaries(st.integers(1, 3000), st.integers(1, 100), min_size=1),
    st.integers(0, 100),
    st.sampled_from(["cost", "latency"]),
    st.floats(1.01, 10),
)
def test_worse__cost_or_time__every_value_is_larger_by_the_ratio(
    bins: dict[int, int], zeros: int, kind: str, ratio: float
) -> None:
    metric = planned(kind, margin={"ratio": ratio})
    values = dense({**bins, 0: zeros}, top=4000)

    found = worse(process(metric, bins), values)

    before, after = (mean_amount(np.r_[0, arm[1:]], metric.measure) for arm in (values, found))
    assert after / before == pytest.approx(ratio, rel=1e-4)  # what lies between two bins is shared by them
    assert (found[0], found.sum()) == (zeros, pytest.approx(values.sum()))


@pytest.mark.parametrize(
    ("direction", "limit", "share"),
    [("lower", 0.02, odds(0.02, 1.5)), ("higher", 0.98, odds(0.02, 1.5)), ("lower", 0.002, odds(0.002, 2))],
    ids=["lower", "higher", "under 1 %: twice"],
)
def test_worse__rate_with_a_limit__odds_beyond_it_by_the_usual_ratio(
    direction: str, limit: float, share: float
) -> None:
    good, bad = (0, 1000) if direction == "lower" else (1000, 0)
    bins = {good: 9_950, bad: 50}

    found = worse(process(planned("rate", direction=direction, limit=limit), bins), dense(bins))

    assert found[bad] / found.sum() == pytest.approx(share)


@pytest.mark.parametrize(("direction", "mean"), [("lower", 0.83), ("higher", 0.77)])
def test_worse__score_with_a_limit__its_mean_beyond_it_by_the_usual_margin(direction: str, mean: float) -> None:
    bins = {400: 1, 900: 10, 1000: 5}

    found = worse(process(planned("score", direction=direction, limit=0.8), bins), dense(bins))

    assert found @ np.arange(1001) / 1000 / found.sum() == pytest.approx(mean)


@pytest.mark.parametrize("factor", [0.2, 3], ids=["far within", "far beyond"])
def test_worse__cost_with_a_limit__a_tenth_beyond_it(factor: float) -> None:
    bins = {1500: 10, 1550: 5, 1600: 1}
    limit = mean_amount(dense(bins, top=4000), "cost_per_call") / factor

    found = worse(process(planned("cost", limit=limit), bins), dense(bins, top=4000))

    assert mean_amount(found, "cost_per_call") == pytest.approx(1.1 * limit, rel=1e-3)


def test_worse__time_with_a_limit__odds_of_taking_longer_by_half() -> None:
    metric = planned("latency", limit=1000.0)
    first = log_bin(1000, SMALLEST["ttft"])
    bins = {first - 60: 990, first + 3: 10}

    found = worse(process(metric, bins), expected(metric, bins))

    assert share_from(first, found) == pytest.approx(odds(0.05, 1.5))


@pytest.mark.parametrize(
    ("direction", "bins", "failing"),
    [
        ("lower", {}, 0.05),
        ("higher", {}, 0.05),
        ("lower", {0: 400}, 0.5 / 401),
        ("lower", {0: 900, 600: 50, 1000: 50}, 100.5 / 1001),
    ],
    ids=["no baseline", "no baseline, higher is better", "no failure yet", "values of half and more fail"],
)
def test_expected__rate__its_baseline_smoothed_or_a_guess(direction: str, bins: Bins, failing: float) -> None:
    values = expected(planned("rate", direction=direction), bins)

    found = values[500:] if direction == "lower" else values[:500]
    assert found.sum() / values.sum() == pytest.approx(failing)


@pytest.mark.parametrize(("direction", "mean"), [("lower", 0.05), ("higher", 0.95)])
def test_expected__score_without_a_baseline__a_guess_that_is_mostly_good(direction: str, mean: float) -> None:
    values = expected(planned("score", direction=direction), {})

    assert values @ np.arange(1001) / 1000 / values.sum() == pytest.approx(mean)


@pytest.mark.parametrize("kind", ["cost", "latency"])
def test_expected__cost_or_time__its_baseline_as_it_is(kind: str) -> None:
    assert (expected(planned(kind), {1200: 7, 1300: 1}) == dense({1200: 7, 1300: 1}, top=4000)).all()


@pytest.mark.parametrize(("kind", "width"), [("cost", 0.9), ("latency", 0.6)])
def test_expected__cost_or_time_without_a_baseline__a_log_normal_guess(kind: str, width: float) -> None:
    values = expected(planned(kind), {})

    logs = np.arange(len(values)) * math.log(LOG_STEP)
    assert math.sqrt(np.cov(logs, aweights=values)) == pytest.approx(width, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "direction", "limit"),
    [
        ("rate", "lower", 0.02),
        ("rate", "higher", 0.98),
        ("score", "lower", 0.3),
        ("score", "higher", 0.7),
        ("cost", "lower", 0.01),
        ("latency", "lower", 1000.0),
    ],
)
def test_breaks_limit__a_guess_keeps_it_and_what_is_worse_breaks_it(kind: str, direction: str, limit: float) -> None:
    metric = planned(kind, direction=direction, limit=limit)
    values = expected(metric, {})
    of_metric = process(metric, {})

    assert not breaks_limit(of_metric, values)
    assert breaks_limit(of_metric, worse(of_metric, values))


def test_breaks_limit__comparison__has_none() -> None:
    assert not breaks_limit(process(planned("rate"), {}), dense({1000: 10}))
