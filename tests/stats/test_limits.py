"""The processes of limits: fair by enumeration, whatever the control does, and on the side that the estimate is on."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from observability.core.evidence import TOP_LOG_BIN, log_bin
from rollout.core.plan import Direction, Kind, PlanMetric
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.limits import STAKES, MeanLimit, RateLimit
from rollout.core.stats.metric import Frozen, Report, fold, freeze, report, start

MS_2000 = log_bin(2000.0, 1e-3)
TWO_CENTS = log_bin(0.02, 1e-9)


def rate_limit(limit: float, direction: Direction = "lower") -> RateLimit:
    return RateLimit.freeze(PlanMetric("m", "rate", direction, limit=limit), baseline={}, shares=())


def mean_limit(kind: Kind, limit: float, direction: Direction = "lower") -> MeanLimit:
    name = "cost_per_call" if kind == "cost" else "m"
    return MeanLimit.freeze(PlanMetric(name, kind, direction, limit=limit), baseline={}, shares=())


def of_canary(bins: dict[int, int]) -> Batch:
    return Batch(0, arm({}, top=TOP_LOG_BIN), arm(bins, top=TOP_LOG_BIN))


@given(
    n=st.integers(0, 8),
    limit=st.floats(0.001, 0.99),
    direction=st.sampled_from(["lower", "higher"]),
    beyond=st.floats(0, 1),
)
def test_rate_limit__every_rate_inside_the_null__expectation_is_at_most_one_and_one_at_the_limit(
    n: int, limit: float, direction: Direction, beyond: float
) -> None:
    process = rate_limit(limit, direction)
    failing = process.limit  # rate of failing at the limit
    assert failing == (limit if direction == "lower" else 1 - limit)

    kept, broken = failing * (1 - beyond), failing + beyond * (1 - failing)

    harm, safe = (_e_values(process, n, failing, direction) for failing in (kept, broken))
    assert harm[0] <= 1 + 1e-9
    assert safe[1] <= 1 + 1e-9
    assert _e_values(process, n, failing, direction) == pytest.approx((1, 1), rel=1e-9)


def _e_values(process: RateLimit, n: int, failing: float, direction: Direction) -> tuple[float, float]:
    """Expectations of the e-values of harm and safety after n calls that fail at this rate."""
    good, bad = (0, 1000) if direction == "lower" else (1000, 0)
    increments = [process.weigh(of_canary({good: n - x, bad: x}), ()) for x in range(n + 1)]
    chances = binom.pmf(range(n + 1), n, failing)
    return (
        float(chances @ [math.exp(process.log_e_harm(one.harm)) for one in increments]),
        float(chances @ [math.exp(process.log_e_safe(one.safe)) for one in increments]),
    )


# (bins and chances) of a score or a cost; the means are .5 and, in cents, about 2
THREE_SCORES = {0: 0.3, 500: 0.4, 1000: 0.3}
THREE_COSTS = {0: 0.5, TWO_CENTS: 0.3, TWO_CENTS + 100: 0.2}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("kind", ["score", "cost"])
@pytest.mark.parametrize("beyond", [0.0, 0.05, 0.3])
def test_mean_limit__every_mean_inside_the_null__expectation_is_at_most_one_and_one_at_the_limit(
    n: int, direction: Direction, kind: Kind, beyond: float
) -> None:
    truth = THREE_SCORES if kind == "score" else THREE_COSTS
    mean = sum(
        chance * (place / 1000 if kind == "score" else 1e-9 * 1.01 ** (place - 0.5)) for place, chance in truth.items()
    )
    worse = 1 if direction == "lower" else -1

    harm, _ = _expectations(mean_limit(kind, mean * (1 + worse * beyond), direction), truth, n)
    _, safe = _expectations(mean_limit(kind, mean * (1 - worse * beyond), direction), truth, n)

    if beyond:
        assert harm < 1
        assert safe < 1
    else:
        assert (harm, safe) == pytest.approx((1, 1), rel=1e-9)


def _expectations(process: MeanLimit, truth: dict[int, float], n: int) -> tuple[float, float]:
    """Of the e-values of harm and safety, over every sequence of n observations."""
    harm = safe = 0.0
    for places in product(truth, repeat=n):
        chance = math.prod(truth[place] for place in places)
        found = process.weigh(of_canary({place: places.count(place) for place in places}), ())
        harm += chance * math.exp(process.log_e_harm(found.harm))
        safe += chance * math.exp(process.log_e_safe(found.safe))
    return harm, safe


@pytest.mark.parametrize("kind", ["score", "cost"])
@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("limit", [0.001, 0.5, 0.999])
def test_mean_limit__any_observation__never_loses_more_than_97_per_cent(
    kind: Kind, direction: Direction, limit: float
) -> None:
    process = mean_limit(kind, limit, direction)

    found = [
        process.weigh(of_canary({place: 1}), ())
        for place in range(0, (1000 if kind == "score" else TOP_LOG_BIN) + 1, 50)
    ]

    harm, safe = ([np.exp(logs) for logs in increments] for increments in zip(*(one[:2] for one in found), strict=True))
    assert np.min(harm) == pytest.approx(0.03, abs=1e-5)
    assert np.min(safe) == pytest.approx(0.03, abs=1e-5)
    assert process.harm.points == process.safe.points == STAKES


WORLDS: dict[str, tuple[PlanMetric, dict[int, int], dict[int, int]]] = {
    "rate": (PlanMetric("m", "rate", "lower", limit=0.02), {0: 99, 1000: 1}, {0: 96, 1000: 4}),
    "rate, higher is better": (PlanMetric("m", "rate", "higher", limit=0.95), {0: 1, 1000: 99}, {0: 9, 1000: 91}),
    "score": (PlanMetric("m", "score", "higher", limit=0.9), {1000: 80, 800: 20}, {1000: 50, 600: 50}),
    "score, lower is better": (PlanMetric("m", "score", "lower", limit=0.1), {0: 90, 500: 10}, {0: 50, 500: 50}),
    "cost": (PlanMetric("cost_per_call", "cost", "lower", limit=0.02), {TWO_CENTS - 40: 100}, {TWO_CENTS + 40: 100}),
    "latency": (
        PlanMetric("latency", "latency", "lower", limit=2000.0),
        {MS_2000 - 60: 99, MS_2000 + 5: 1},
        {MS_2000 - 60: 88, MS_2000 + 5: 12},
    ),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("broken", [False, True], ids=["kept", "broken"])
def test_limit__kept_or_broken__evidence_on_the_side_of_the_estimate(world: str, broken: bool) -> None:
    metric, keeps, breaks = WORLDS[world]
    frozen = freeze(metric, baseline={}, shares=())

    found = _report(frozen, canary=breaks if broken else keeps, batches=25)

    assert found.canary_estimate is not None
    assert _is_beyond(metric, found.canary_estimate) is broken
    assert (found.log_e_harm >= math.log(20)) is broken
    assert (found.log_e_safe >= math.log(20)) is not broken
    assert min(found.log_e_harm, found.log_e_safe) < 0


def _is_beyond(metric: PlanMetric, estimate: float) -> bool:
    limit = 0.05 if metric.kind == "latency" else metric.limit or 0
    return estimate > limit if metric.direction == "lower" else estimate < limit


def _report(
    frozen: Frozen, *, canary: dict[int, int], control: dict[int, int] | None = None, batches: int = 1
) -> Report:
    state = start(frozen)
    for _ in range(batches):
        state = fold(frozen, state, step=0, control=control or {}, canary=canary)
    return report(frozen, state)


@pytest.mark.parametrize("world", WORLDS)
def test_limit__whatever_the_control_does__the_same_evidence(world: str) -> None:
    metric, keeps, breaks = WORLDS[world]
    frozen = freeze(metric, baseline={}, shares=())

    alone, *others = (_report(frozen, canary=breaks, control=control) for control in ({}, keeps, breaks))

    for other in others:
        assert (other.log_e_harm, other.log_e_safe) == (alone.log_e_harm, alone.log_e_safe)
    assert alone.interval is None
    assert (alone.limit, alone.margin) == (metric.limit, {})


def test_latency_limit__a_twentieth_may_take_longer() -> None:
    process = RateLimit.freeze(WORLDS["latency"][0], baseline={}, shares=())

    under, at = (process.totals(arm({place: 10}, top=TOP_LOG_BIN)).mean for place in (MS_2000 - 1, MS_2000))

    assert process.limit == 0.05
    assert (under, at) == (0, 1)


def test_rate_limit__grids__odds_over_and_under_the_limit() -> None:
    process = rate_limit(0.02)

    assert all(point > 0.02 for point in process.harm.points)
    assert all(0 < point < 0.02 for point in process.safe.points)
    # .8 x Phi^-1(.5 + 23.5 / 48) = 1.849 is the largest ln odds ratio
    odds = process.harm.points[-1] / (1 - process.harm.points[-1]) / (0.02 / 0.98)
    assert math.log(odds) == pytest.approx(1.849, abs=1e-3)
    assert len(process.harm.points) == len(process.safe.points) == 24


@pytest.mark.parametrize(
    ("kind", "limit", "message"),
    [
        ("rate", 0.0, "expected a limit .*, got"),
        ("rate", 1.0, "expected a limit .*, got"),
        ("score", 1.5, "expected a limit .*, got"),
        ("score", math.nan, "expected a limit .*, got"),
        ("cost", 0.0, "expected a limit .*, got"),
        ("cost", math.inf, "expected a limit .*, got"),
        ("latency", -5.0, "expected a limit .*, got"),
        ("complaint", 0.1, "expected no limit: a complaint may come long after its call"),
    ],
)
def test_limit__not_one_of_the_kind__refused_with_what_was_expected(kind: Any, limit: float, message: str) -> None:
    name = {"cost": "cost_per_call", "latency": "latency"}.get(kind, "m")

    with pytest.raises(ValueError, match=message):
        freeze(PlanMetric(name, kind, "lower", limit=limit), baseline={}, shares=())


@pytest.mark.parametrize(
    ("name", "kind", "direction", "limit"),
    [
        ("m", "rate", "lower", 1e-17),
        ("m", "rate", "lower", 1 - 2**-53),
        ("m", "rate", "higher", 1e-17),
        ("m", "rate", "higher", 1 - 2**-53),
        ("m", "score", "higher", 1 - 2**-53),
        ("cost_per_call", "cost", "lower", 1e-320),
        ("cost_per_call", "cost", "lower", 1e300),
        ("latency", "latency", "lower", 1e300),
    ],
)
def test_limit__beyond_what_floats_can_weigh__refused_before_the_start(
    name: str, kind: Kind, direction: Direction, limit: float
) -> None:
    with pytest.raises(ValueError, match="expected a limit"):
        freeze(PlanMetric(name, kind, direction, limit=limit), baseline={}, shares=())
