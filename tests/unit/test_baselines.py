"""Thresholds and evidence of baselines, against numbers computed here in another way, and what they promise."""

import random
from datetime import UTC, datetime
from math import exp, log, sqrt
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observability.core.baselines import (
    BETS,
    RATIOS,
    Baseline,
    Change,
    Detector,
    Step,
    Sums,
    as_told,
    baseline,
    could_fire,
    has_recovered,
    is_back,
    loss,
    most_evidence,
    ratio,
)
from observability.core.times import BUCKET

N = 1000


def day(mean: float, n: int = N) -> dict[int, Sums]:
    """A day of ones and zeros, the same in each quarter."""
    return {quarter: Sums(n // 4, mean * n / 4, mean * n / 4) for quarter in range(4)}


def steps(level: float, n: int, many: int) -> list[Step]:
    return [Step(0, Sums(n, n * level, n * level)) for _ in range(many)]


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def timed(many: list[Step]) -> list[tuple[datetime, Step]]:
    return [(BEGIN + place * BUCKET, step) for place, step in enumerate(many)]


def found_in(metric: str, base: Baseline, many: list[Step]) -> Change:
    detector = Detector(metric, base)
    for step in many:
        detector.add(step)
    return detector.change


def test_loss__of_scores__what_is_lost() -> None:
    values = [1.0, 0.9, 0.4]
    sums = Sums(3, sum(values), sum(v * v for v in values))

    found = loss("faithfulness", sums)

    assert found[:3] == pytest.approx((3, 0.7, 0.1**2 + 0.6**2))
    assert loss("hallucination", sums) == loss("latency", sums) == sums
    assert as_told("faithfulness", found.total / 3) == pytest.approx(sum(values) / 3)


def test_baseline__fewer_than_three_days_with_enough__none() -> None:
    assert baseline("error_rate", [day(0.01), day(0.01), {0: Sums(19, 0, 0)}]) is None
    assert baseline("error_rate", [day(0.01), day(0.01), day(0.01)]) is not None


def test_baseline__days__mean_and_deviation_without_what_is_due_to_few_observations() -> None:
    means = [0.10, 0.12, 0.08, 0.14, 0.06, 0.10, 0.10]

    base = baseline("error_rate", [day(mean) for mean in means])

    assert base is not None
    assert base.mean == pytest.approx(0.1)
    between = (2 * 0.02**2 + 2 * 0.04**2) / 6  # by hand
    within = sum(m * (1 - m) / N for m in means) / 7
    assert base.sd == pytest.approx(sqrt(between - within))
    assert base.threshold == pytest.approx(0.1 * ratio(7, base.sd / 0.1))


@pytest.mark.parametrize(
    ("days", "sd", "wanted"),
    [
        (7, 0.0, 1.2),
        (7, 0.2, exp(3.3 * sqrt((6 * 0.04 + 0.0144) / 7) * sqrt(8 / 7))),
        (3, 0.1, exp(4.4 * sqrt((2 * 0.01 + 0.0144) / 3) * sqrt(4 / 3))),
    ],
)
def test_ratio__by_hand(days: int, sd: float, wanted: float) -> None:
    assert ratio(days, sd) == pytest.approx(wanted)


@pytest.mark.parametrize("sd", [0.0, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_ratio__never_under_that_of_the_design(sd: float) -> None:
    assert ratio(7, sd) >= max(1.2, 1 + 2 * sd * sqrt(1 + 1 / 7))


def test_baseline__no_errors_in_a_week__half_a_percent_is_no_alert() -> None:
    base = baseline("error_rate", [day(0.0)] * 7)

    assert base is not None
    assert base.threshold == 0.005


def test_baseline__more_at_one_time_of_the_day__that_quarter_has_a_higher_threshold() -> None:
    uneven = {**day(0.1), 3: Sums(250, 50.0, 50.0)}

    base = baseline("error_rate", [uneven] * 7)

    assert base is not None
    assert base.factors == pytest.approx((1, 1, 1, 0.2 / 0.125))


def test_detector__evidence__is_that_of_the_definition() -> None:
    """The sum over all beginnings of the product of the e-values from there on, over all alternatives."""
    base = baseline("error_rate", [day(0.1)] * 7)
    assert base is not None
    seen = [(20, 3.0), (15, 1.0), (30, 7.0), (0, 0.0), (25, 6.0)]
    change = found_in("error_rate", base, [Step(0, Sums(n, x, x)) for n, x in seen])

    c = 0.1

    def e_of_bet(b: float, n: int, x: float) -> float:
        ys = [1 / c - 1] * int(x) + [-1.0] * int(n - x)
        return exp(sum(b * y - (-log(1 - b) - b) * y * y for y in ys))

    def e_of_rate(r: float, n: int, x: float) -> float:
        p = min((1 + c) / 2, c * r)
        return float((p / c) ** x * ((1 - p) / (1 - c)) ** (n - x))

    def detector(e: object, alternative: float) -> float:
        total = 0.0
        observed = [one for one in seen if one[0]]
        for begin in range(len(observed)):
            product = 1.0
            for n, x in observed[begin:]:
                product *= e(alternative, n, x)  # type: ignore[operator]
            total += product
        return total

    by_bets = sum(detector(e_of_bet, b) for b in BETS) / len(BETS)
    by_rates = sum(detector(e_of_rate, r) for r in RATIOS) / len(RATIOS)
    assert change.log_e == pytest.approx(log((by_bets + by_rates) / 2))


def test_e_values__at_the_level__expect_no_more_than_one() -> None:
    """Of one observation that is 0 or 1, as far apart as values with that mean can be."""
    c = 0.1
    for b in BETS:
        expected = c * exp(b * 9 - (-log(1 - b) - b) * 81) + (1 - c) * exp(-b - (-log(1 - b) - b))
        assert expected <= 1 + 1e-12


def test_change__after_a_long_healthy_time__at_once_and_where_it_began() -> None:
    base = baseline("error_rate", [day(0.02)] * 7)
    assert base is not None
    healthy, worse = steps(0.02, 100, 200), steps(0.1, 100, 6)

    change = found_in("error_rate", base, [*healthy, *worse])

    assert change.first == 200
    assert change.since[:3] == pytest.approx((600, 60, 60))
    assert change.log_e > log(100)


def test_fires__healthy_level__does_not() -> None:
    base = baseline("error_rate", [day(0.02)] * 7)
    assert base is not None
    rng, detector = random.Random(5), Detector("error_rate", base)
    for _ in range(288):
        failed = sum(rng.random() < 0.02 for _ in range(50))
        detector.add(Step(0, Sums(50, failed, failed)))
        assert not detector.fires


def test_fires__a_level_between_baseline_and_threshold__does_not() -> None:
    base = baseline("error_rate", [day(0.1)] * 7)
    assert base is not None
    detector = Detector("error_rate", base)
    for step in steps(0.115, 1000, 200):
        detector.add(step)
    assert detector.change.log_e > log(100)  # it has surely changed

    assert not detector.fires


@pytest.mark.parametrize("mean", [1.0, 0.9995])
def test_fires__nearly_all_is_wrong_already__never(mean: float) -> None:
    base = baseline("error_rate", [day(mean)] * 7)
    assert base

    many = steps(mean, 1000, 288)

    assert not fired(base, many)
    assert not could_fire("error_rate", base, many)


def test_fires__one_quarter_of_the_day_is_always_wrong__the_others_are_watched_all_the_same() -> None:
    at_night, by_day = Sums(30, 30.0, 30.0), Sums(40, 2.0, 2.0)
    base = baseline("error_rate", [{0: at_night, 1: by_day, 2: by_day, 3: by_day}] * 7)
    assert base
    night = [Step(0, Sums(20, 20.0, 20.0))] * 40
    broken = [Step(2, Sums(20, 20.0, 20.0))] * 40

    assert not fired(base, night)
    assert fired(base, [*night, *broken])
    assert could_fire("error_rate", base, [*night, *broken])


def fired(base: Baseline, many: list[Step]) -> bool:
    detector = Detector("error_rate", base)
    for step in many:
        detector.add(step)
    return detector.fires


def test_has_recovered__nearer_to_the_threshold_or_of_few__not_yet() -> None:
    base = baseline("error_rate", [day(0.1)] * 7)
    assert base is not None
    nearly = 0.9 * base.threshold + 0.1 * base.mean

    assert has_recovered("error_rate", base, 1.0, Sums(5000, 500, 500))
    assert not has_recovered("error_rate", base, 1.0, Sums(5000, 5000 * nearly, 5000 * nearly))
    assert not has_recovered("error_rate", base, 1.0, Sums(40, 4, 4))
    assert not has_recovered("error_rate", base, 1.0, Sums(19, 0, 0))


def test_is_back__much_traffic__after_a_quarter_of_an_hour() -> None:
    base = baseline("error_rate", [day(0.1)] * 7)
    assert base is not None
    bad, good = steps(0.3, 10_000, 12), steps(0.1, 10_000, 3)

    assert is_back("error_rate", base, timed([*bad, *good]), BEGIN)
    assert not is_back("error_rate", base, timed([*bad, *good[:2]]), BEGIN)


def test_is_back__only_before_the_alert__not() -> None:
    base = baseline("error_rate", [day(0.1)] * 7)
    assert base is not None
    good = timed(steps(0.1, 10_000, 12))

    assert not is_back("error_rate", base, good, good[-2][0])
    assert not is_back("error_rate", base, [], BEGIN)


def test_is_back__little_traffic__as_long_as_it_takes_to_be_sure() -> None:
    base = baseline("error_rate", [day(0.1)] * 7)
    assert base is not None
    bad, good = steps(0.3, 10, 24), steps(0.1, 10, 192)

    ends = [n for n in range(1, 193) if is_back("error_rate", base, timed([*bad, *good[:n]]), BEGIN)]

    assert 20 < ends[0] <= 192


def a_day(metric: str, base: Baseline, shape: str, size: float, n: int, rng: random.Random) -> list[Step]:
    """A day of five-minute steps, oriented: the level in units of the baseline goes as the shape says."""
    times = {
        "calm": lambda place: 1.0,
        "fall": lambda place: size if place >= 200 else 1.0,
        "drift": lambda place: 1 + (size - 1) * place / 288,
        "return": lambda place: size if 100 <= place < 200 else 1.0,
        "better": lambda place: 1 / size,
        "wave": lambda place: 1 + (size - 1) * (place % 24 < 6),
    }[shape]
    found = []
    for place in range(288):
        quarter = (place // 72 + 2) % 4
        level = max(base.mean, 0.001) * times(place) * base.factors[quarter]
        seen = rng.randrange(2 * n + 1)  # none at times
        if metric == "latency":
            values = [level * rng.lognormvariate(-0.32, 0.8) for _ in range(seen)]
        elif metric == "error_rate":
            values = [float(rng.random() < level) for _ in range(seen)]
        else:
            level = min(level, 0.99)
            values = [rng.betavariate(5 * level, 5 * (1 - level)) for _ in range(seen)]
        found.append(Step(quarter, Sums(seen, sum(values), sum(v * v for v in values))))
    return found


@pytest.mark.parametrize("shape", ["calm", "fall", "drift", "return", "better", "wave"])
@pytest.mark.parametrize("metric", ["error_rate", "latency", "faithfulness"])
@settings(max_examples=10)
@given(
    mean=st.sampled_from([0.0, 0.002, 0.06, 0.3]),
    beyond=st.floats(1.2, 3.0),
    factors=st.sampled_from([(1.0,) * 4, (1.0, 1.6, 1.1, 1.0)]),
    size=st.floats(1.1, 6.0),
    n=st.sampled_from([1, 4, 17]),
    seed=st.integers(0, 2**32),
)
def test_could_fire__no__the_detector_does_not(
    metric: str, shape: str, mean: float, beyond: float, factors: Any, size: float, n: int, seed: int
) -> None:
    mean = mean or (0.0 if metric != "latency" else 500.0)
    base = Baseline(7, mean, 0.0, max(mean * beyond, 0.005), factors)
    detector, steps_ = Detector(metric, base), a_day(metric, base, shape, size, n, random.Random(seed))
    for number, step in enumerate(steps_, 1):
        detector.add(step)
        if detector.fires:
            assert could_fire(metric, base, steps_[:number])
            break


@given(
    many=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 40), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40
    ),
    metric=st.sampled_from(["error_rate", "latency", "faithfulness"]),
    mean=st.floats(0.001, 0.6),
    beyond=st.floats(1.0, 2.0),
)
def test_could_fire__any_steps_and_no__the_detector_does_not(
    many: list[tuple[int, int, float, float]], metric: str, mean: float, beyond: float
) -> None:
    """many: quarter, n, mean, and how far the squares are on from all the same to ones and zeros."""
    base = Baseline(5, mean, 0.0, min(0.999, mean * beyond), (1.0, 1.3, 1.0, 1.0))
    steps_ = [Step(quarter, Sums(n, n * x, n * (x * x + spread * (x - x * x)))) for quarter, n, x, spread in many]
    detector = Detector(metric, base)
    for number, step in enumerate(steps_, 1):
        detector.add(step)
        assert could_fire(metric, base, steps_[:number]) or not detector.fires


@pytest.mark.parametrize("metric", ["error_rate", "latency", "faithfulness"])
@given(
    many=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.floats(0, 0.4)), min_size=1, max_size=40),
    level=st.floats(0.01, 0.5),
    ones=st.booleans(),
)
@example(many=[(0, 30, 8 / 30), (2, 30, 8 / 30)], level=0.1, ones=True)  # as much in each of two quarters of the day
def test_most_evidence__never_less_than_there_is(
    metric: str, many: list[tuple[int, int, float]], level: float, ones: bool
) -> None:
    """A detector of which the mean is the threshold tells the evidence against it."""
    base = Baseline(5, level, 0.0, level, (1.0, 1.2, 1.0, 1.5))
    steps_ = []
    for quarter, n, x in many:
        total = float(round(n * x)) if ones else n * x
        steps_.append(Step(quarter, Sums(n, total, total if ones else n * x * x)))

    assert most_evidence(metric, base, steps_) >= found_in(metric, base, steps_).log_e - 1e-6


@pytest.mark.parametrize("metric", ["error_rate", "latency", "faithfulness"])
def test_could_fire__calm_days__hardly_ever(metric: str) -> None:
    base = Baseline(7, 0.06, 0.005, 0.06 * ratio(7, 0.1), (1.0, 1.2, 1.0, 1.0))
    rng = random.Random(9)

    asked = sum(could_fire(metric, base, a_day(metric, base, "calm", 1.0, 17, rng)) for _ in range(20))

    assert asked <= 4
