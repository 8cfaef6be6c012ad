"""A metric's way from its start over closed batches to its report: exact, order-free, finite, and of bounded size."""

import json
import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.stats.margins import Kind
from rollout.core.stats.metric import Frozen, Report, State, fold, freeze, overall_log_e, report, start

KINDS: tuple[Kind, ...] = ("rate", "score")
bins = st.dictionaries(st.integers(0, 1000), st.integers(0, 10**5), max_size=6)
batches = st.lists(st.tuples(st.integers(0, 3), bins, bins), max_size=5)


def frozen(kind: Kind = "rate", **changes: Any) -> Frozen:
    settings: dict[str, Any] = {
        "name": "m",
        "kind": kind,
        "direction": "lower" if kind == "rate" else "higher",
        "role": "guardrail",
        "weight": 1.0,
        "margin": None,
        "baseline_n": 1000,
        "baseline_total": 18.0 if kind == "rate" else 940.0,
    }
    return freeze(**{**settings, **changes})


def folded(metric: Frozen, *closed: tuple[int, dict[int, int], dict[int, int]]) -> State:
    state = start(metric)
    for step, control, canary in closed:
        state = fold(metric, state, step=step, control=control, canary=canary)
    return state


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("kind", KINDS)
@given(closed=batches)
def test_state__stored_after_every_batch__the_same_floats_as_never_stored(kind: Kind, closed: Any) -> None:
    metric = frozen(kind)

    state = start(metric)
    for step, control, canary in closed:
        stored = State.from_json(through_json(state.to_json()))
        state = fold(
            Frozen.from_json(through_json(metric.to_json())), stored, step=step, control=control, canary=canary
        )

    assert state == folded(metric, *closed)
    assert Frozen.from_json(through_json(metric.to_json())) == metric


@pytest.mark.parametrize("kind", KINDS)
@given(closed=batches)
def test_fold__bins_in_another_order__the_same_floats(kind: Kind, closed: Any) -> None:
    turned = [
        (step, dict(reversed(control.items())), dict(reversed(canary.items()))) for step, control, canary in closed
    ]

    assert folded(frozen(kind), *turned) == folded(frozen(kind), *closed)


@pytest.mark.parametrize("kind", KINDS)
@given(closed=batches)
def test_report__any_legal_batches__every_number_finite(kind: Kind, closed: Any) -> None:
    found = asdict(report(frozen(kind), folded(frozen(kind), *closed)))

    numbers = [value for value in (*found.values(), *(found["interval"] or ())) if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))
    assert found["max_log_e_safe"] >= 0


ONE_SIDED_WORLDS = {
    "nothing ever fails": ({0: 950}, {0: 50}),
    "everything fails": ({1000: 950}, {1000: 50}),
    "only the canary fails": ({0: 950}, {1000: 50}),
    "only the control fails": ({1000: 950}, {0: 50}),
    "one call each": ({0: 1}, {1000: 1}),
    "only control": ({0: 40, 1000: 3}, {}),
    "only canary": ({}, {0: 40, 1000: 3}),
    "a million calls": ({0: 940_000, 1000: 10_000}, {0: 49_000, 1000: 1000}),
    "every bin": (dict.fromkeys(range(1001), 1000), dict.fromkeys(range(1001), 50)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("baseline", [(0, 0.0), (1000, 0.0), (1000, 1000.0)], ids=["none", "all 0", "all 1"])
@pytest.mark.parametrize("world", ONE_SIDED_WORLDS)
def test_report__one_sided_world__every_number_finite(
    kind: Kind, direction: str, baseline: tuple[int, float], world: str
) -> None:
    metric = frozen(kind, direction=direction, baseline_n=baseline[0], baseline_total=baseline[1])
    control, canary = ONE_SIDED_WORLDS[world]

    found = report(metric, folded(metric, *[(0, control, canary)] * 20))

    numbers = (found.log_e_harm, found.log_e_safe, found.max_log_e_safe, *(found.interval or ()))
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_report__nothing_ever_fails__no_harm_and_safe_after_5120_canary_calls(direction: str) -> None:
    metric = frozen(direction=direction, baseline_n=0, baseline_total=0.0)
    fine = 0 if direction == "lower" else 1000

    # statistics.md: the first n with .8 + sum over k of .2 / 3 ((1 - p_k) / (1 - .001))^n >= 20
    almost, proven = (report(metric, folded(metric, (0, {fine: 95_000}, {fine: n}))) for n in (5119, 5120))

    assert (almost.difference, proven.difference) == (0, 0)
    assert (almost.log_e_harm, proven.log_e_harm) == pytest.approx((0, 0), abs=1e-12)
    assert almost.max_log_e_safe < math.log(20) <= proven.max_log_e_safe


def test_report__two_steps__estimates_as_the_metric_is_named() -> None:
    control, canary = {0: 959, 1000: 41}, {400: 30, 500: 20}
    lower = report(frozen(), folded(frozen(), (0, control, canary), (2, control, {})))
    higher = report(frozen(direction="higher"), folded(frozen(direction="higher"), (0, control, canary)))
    score = report(frozen("score"), folded(frozen("score"), (0, control, canary)))

    assert (lower.control_n, lower.canary_n, lower.steps) == (2000, 50, (0, 2))
    assert (lower.control_estimate, lower.canary_estimate) == (0.041, 0.4)
    assert (higher.control_estimate, higher.canary_estimate) == (0.041, 0.4)  # the share of 1s, whichever is bad
    assert score.canary_estimate == pytest.approx(0.44)
    assert score.difference == pytest.approx(0.44 - 0.041)


def test_report__two_batches_of_a_step__counted_together() -> None:
    found = report(frozen(), folded(frozen(), (1, {0: 90, 1000: 10}, {0: 5}), (1, {0: 100}, {0: 4, 1000: 1})))

    assert (found.control_n, found.control_estimate, found.canary_n, found.canary_estimate) == (200, 0.05, 10, 0.1)
    assert found.steps == (1,)


def test_report__before_the_first_batch__undefined_is_none() -> None:
    found = report(frozen(), start(frozen()))

    assert (found.control_n, found.control_estimate, found.difference, found.interval) == (0, None, None, None)
    assert (found.log_e_harm, found.log_e_safe) == pytest.approx((0, 0), abs=1e-12)
    assert found.steps == ()


def test_report__safety_seen_then_lost__the_first_crossing_stays() -> None:
    good, bad = ({0: 93, 1000: 7}, {0: 100}), ({0: 100}, {0: 80, 1000: 20})
    crossed = report(frozen(), folded(frozen(), *[(0, *good)] * 10))

    later = report(frozen(), folded(frozen(), *[(0, *good)] * 10, *[(0, *bad)] * 10))

    assert crossed.log_e_safe > math.log(20)
    assert later.log_e_safe < 0
    assert later.max_log_e_safe == pytest.approx(crossed.max_log_e_safe)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failures", range(4))
def test_fold__one_more_failure_in_the_canary__more_evidence_of_harm(kind: Kind, failures: int) -> None:
    good, bad = (0, 1000) if kind == "rate" else (1000, 0)
    control = {good: 91, bad: 4}

    less, more = (
        report(frozen(kind), folded(frozen(kind), (0, control, {good: 5 - n, bad: n})))
        for n in (failures, failures + 1)
    )

    assert more.log_e_harm > less.log_e_harm
    assert more.log_e_safe < less.log_e_safe


@pytest.mark.parametrize("kind", KINDS)
def test_fold__turned_direction_and_outcomes__the_same_evidence(kind: Kind) -> None:
    control, canary = {0: 91, 1000: 4}, {0: 3, 1000: 2}
    turned = [{1000 - place: n for place, n in arm.items()} for arm in (control, canary)]
    lower = frozen(kind, direction="lower", baseline_total=18.0)
    higher = frozen(kind, direction="higher", baseline_total=982.0)

    one = report(lower, folded(lower, *[(0, control, canary)] * 3))
    other = report(higher, folded(higher, *[(0, turned[0], turned[1])] * 3))

    assert (other.log_e_harm, other.log_e_safe) == pytest.approx((one.log_e_harm, one.log_e_safe))


def test_state__thousand_batches__no_larger_than_after_one() -> None:
    one = folded(frozen(), (0, {0: 90, 1000: 5}, {0: 5}))
    many = folded(frozen(), *[(0, {0: 90, 1000: 5}, {0: 5})] * 1000)

    sizes = [[len(value) for value in state.to_json().values() if isinstance(value, tuple)] for state in (one, many)]
    assert sizes[0] == sizes[1]


def test_fold__empty_batch__changes_nothing() -> None:
    before = folded(frozen(), (0, {0: 90}, {1000: 1}))

    assert fold(frozen(), before, step=1, control={}, canary={500: 0}) == before


@pytest.mark.parametrize(
    ("step", "control", "message"),
    [
        (-1, {0: 1}, "expected a step of 0 or more"),
        (0, {1001: 1}, "expected bins from 0 to 1000, got 1001"),
        (0, {-1: 1}, "expected bins from 0 to 1000, got -1"),
        (0, {"0": 1}, "expected bins from 0 to 1000, got '0'"),
        (0, {math.nan: 1}, "expected bins from 0 to 1000, got nan"),
        (0, {0: -1}, "expected counts of 0 or more, got -1"),
        (0, {0: 1.5}, "expected counts of 0 or more, got 1.5"),
    ],
)
def test_fold__impossible_input__refused(step: int, control: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fold(frozen(), start(frozen()), step=step, control=control, canary={})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cost"}, "expected one of rate, score, got 'cost'"),
        ({"direction": "up"}, "expected one of lower, higher, got 'up'"),
        ({"role": "gate"}, "expected one of guardrail, observed, got 'gate'"),
        ({"weight": 0}, "expected a weight over 0, got 0"),
        ({"weight": math.nan}, "expected a weight over 0, got nan"),
        ({"margin": {"ratio": "2"}}, "expected .* got {'ratio': '2'}"),
        ({"margin": {}}, "expected .* got {}"),
        ({"baseline_total": 1001}, "expected a baseline with 0 <= total <= n"),
    ],
)
def test_freeze__impossible_metric__refused_with_what_was_expected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frozen(**changes)


def with_log_e(log_e: float, *, role: str = "guardrail", weight: float = 1.0) -> Report:
    return replace(report(frozen(), start(frozen())), log_e_harm=log_e, role=role, weight=weight)


def test_overall__guardrails_of_different_weight__weighted_mean_of_e_values() -> None:
    reports = [with_log_e(math.log(30), weight=3), with_log_e(math.log(2)), with_log_e(99, role="observed")]

    assert overall_log_e(reports) == pytest.approx(math.log((3 * 30 + 2) / 4))


def test_overall__no_guardrail__e_value_one() -> None:
    assert overall_log_e([]) == 0
    assert overall_log_e([with_log_e(99, role="observed")]) == 0


def test_overall__e_values_beyond_floats__no_overflow() -> None:
    assert overall_log_e([with_log_e(5000.0), with_log_e(-5000.0)]) == pytest.approx(5000 - math.log(2))
