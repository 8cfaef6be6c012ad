"""A metric's way from its start over closed batches to its report: exact, order-free, finite, and of bounded size.

What holds of every kind is asked of all of them, and of the limits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.core.evidence import TOP_BIN, TOP_LOG_BIN
from rollout.core.plan import PlanMetric
from rollout.core.stats.metric import (
    Frozen,
    Report,
    State,
    fold,
    freeze,
    learns_first,
    nothing_yet,
    overall_log_e,
    report,
    start,
)
from rollout.core.stats.rates import Rate

SHARES = (0.05, 0.25, 0.5, 0.9)
Closed = tuple[int, dict[int, int], dict[int, int]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A metric of a kind, what its control did before, and bins that are good, usual and bad for it."""

    metric: PlanMetric
    baseline: Mapping[int, int]
    good: int
    usual: int
    bad: int
    top: int = TOP_BIN

    def bins(self) -> st.SearchStrategy[dict[int, int]]:
        return st.dictionaries(st.integers(0, self.top), st.integers(0, 10**5), max_size=6)

    def frozen(self) -> Frozen:
        return freeze(self.metric, baseline=self.baseline, shares=SHARES)


RATES = {0: 982, 1000: 18}
SCORES = {1000: 800, 800: 140, 400: 60}
# 1 % wide bins: 10 mUSD is in 1620 (ln(1e7) / ln 1.01), 1 s in 1389, 1000 tokens in 695; all spread by some 40 %.
COSTS, TIMES = {1580: 300, 1620: 400, 1660: 300}, {1350: 300, 1389: 400, 1430: 250, 1500: 50}

KINDS = {
    "rate": Kind(PlanMetric("m", "rate", "lower"), RATES, 0, 0, 1000),
    "rate, higher is better": Kind(PlanMetric("m", "rate", "higher"), {0: 18, 1000: 982}, 1000, 1000, 0),
    "score": Kind(PlanMetric("m", "score", "higher"), SCORES, 1000, 900, 0),
    "score, lower is better": Kind(PlanMetric("m", "score", "lower"), {0: 800, 400: 200}, 0, 100, 1000),
    "complaint": Kind(PlanMetric("thumbs_down", "complaint", "lower"), {0: 995, 1000: 5}, 0, 0, 1000),
    "cost": Kind(PlanMetric("cost_per_call", "cost", "lower"), COSTS, 1400, 1620, 1800, TOP_LOG_BIN),
    "tokens": Kind(PlanMetric("tokens", "cost", "lower"), {650: 500, 740: 500}, 500, 695, 900, TOP_LOG_BIN),
    "latency": Kind(PlanMetric("latency", "latency", "lower"), TIMES, 1250, 1389, 1600, TOP_LOG_BIN),
    "limit of a rate": Kind(PlanMetric("m", "rate", "lower", limit=0.02), RATES, 0, 0, 1000),
    "limit of a score": Kind(PlanMetric("m", "score", "higher", limit=0.9), SCORES, 1000, 900, 0),
    "limit of a cost": Kind(
        PlanMetric("cost_per_call", "cost", "lower", limit=0.02), COSTS, 1400, 1620, 1800, TOP_LOG_BIN
    ),
    "limit of a latency": Kind(
        PlanMetric("latency", "latency", "lower", limit=2000.0), TIMES, 1250, 1389, 1600, TOP_LOG_BIN
    ),
}
COMPARISONS = [name for name, kind in KINDS.items() if kind.metric.limit is None]
LIMITS = KINDS.keys() - set(COMPARISONS)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def frozen(baseline: Mapping[int, int] = RATES, **changes: Any) -> Frozen:
    """Of a rate, unless it is said otherwise."""
    metric = PlanMetric(**{"name": "m", "kind": "rate", "direction": "lower", **changes})
    return freeze(metric, baseline=baseline, shares=SHARES)


def folded(metric: Frozen, *closed: Closed, design_effect: float = 1.0) -> State:
    state = start(metric)
    for step, control, canary in closed:
        state = fold(metric, state, step=step, control=control, canary=canary, design_effect=design_effect)
    return state


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


def through_postgresql(data: Any) -> Any:
    """As JSONB gives numbers back: without an exponent, so that a large float has become an integer."""
    return json.loads(json.dumps(data), parse_float=lambda text: int(float(text)) if "e+" in text else float(text))


def drawn_batches(kind: Kind, data: st.DataObject) -> list[Closed]:
    batches = st.lists(st.tuples(st.integers(0, len(SHARES) - 1), kind.bins(), kind.bins()), max_size=5)
    return data.draw(batches)


@EVERY_KIND
@pytest.mark.parametrize("store", [through_json, through_postgresql])
@settings(max_examples=30)
@given(data=st.data())
def test_state__stored_after_every_batch__the_same_floats_as_never_stored(
    kind: Kind, store: Any, data: st.DataObject
) -> None:
    metric, closed = kind.frozen(), drawn_batches(kind, data)

    state = start(metric)
    for step, control, canary in closed:
        state = State.from_json(store(state.to_json()))
        state = fold(Frozen.from_json(store(metric.to_json())), state, step=step, control=control, canary=canary)

    assert repr(state) == repr(folded(metric, *closed))  # == would not see that a float came back as an integer
    assert Frozen.from_json(store(metric.to_json())) == metric


def test_state__numbers_that_postgresql_writes_as_integers__floats_again() -> None:
    state = replace(start(frozen()), memory=(1e22, 3.0), design_effect=1e16)

    stored = through_postgresql(state.to_json())

    assert isinstance(stored["memory"][0], int)
    assert repr(State.from_json(stored)) == repr(state)


@EVERY_KIND
@given(data=st.data())
def test_fold__bins_in_another_order__the_same_floats(kind: Kind, data: st.DataObject) -> None:
    closed = drawn_batches(kind, data)
    turned = [
        (step, dict(reversed(control.items())), dict(reversed(canary.items()))) for step, control, canary in closed
    ]

    assert folded(kind.frozen(), *turned) == folded(kind.frozen(), *closed)


@EVERY_KIND
@given(data=st.data())
def test_report__any_legal_batches__every_number_finite(kind: Kind, data: st.DataObject) -> None:
    found = report(kind.frozen(), folded(kind.frozen(), *drawn_batches(kind, data)))

    assert all(map(math.isfinite, numbers_of(found)))
    assert found.max_log_e_safe >= 0


def numbers_of(found: Report) -> list[float]:
    return [value for value in (*asdict(found).values(), *(found.interval or ())) if isinstance(value, float)]


ONE_SIDED_WORLDS = {
    "nothing ever fails": ({"good": 950}, {"good": 50}),
    "everything fails": ({"bad": 950}, {"bad": 50}),
    "only the canary fails": ({"good": 950}, {"bad": 50}),
    "only the control fails": ({"bad": 950}, {"good": 50}),
    "one call each": ({"good": 1}, {"bad": 1}),
    "only control": ({"good": 40, "bad": 3}, {}),
    "only canary": ({}, {"good": 40, "bad": 3}),
    "a million calls": ({"good": 940_000, "bad": 10_000}, {"good": 49_000, "bad": 1000}),
    "only the least and the largest": ({"least": 900, "top": 50}, {"least": 20, "top": 30}),
}


@pytest.mark.parametrize(
    ("kind", "margin"),
    [
        *[(kind, margin) for kind in COMPARISONS for margin in ("usual", "least", "largest")],
        *[(kind, "usual") for kind in sorted(LIMITS)],
    ],
)
def test_report__one_sided_worlds__every_number_finite(kind: str, margin: str) -> None:
    of = KINDS[kind]
    baselines = {"usual": of.baseline, "all good": {of.good: 1000}, "all bad": {of.bad: 1000}, "none": {}}

    found = {
        (baseline, world): reported_of(of, with_margin(of.metric, margin), before, world)
        for baseline, before in baselines.items()
        for world in ONE_SIDED_WORLDS
    }

    assert [which for which, numbers in found.items() if not all(map(math.isfinite, numbers))] == []


def reported_of(kind: Kind, declared: PlanMetric, before: Mapping[int, int], world: str) -> list[float]:
    if learns_first(declared, before):
        before = {kind.usual: 200}
    places = {"good": kind.good, "bad": kind.bad, "least": 0, "top": kind.top}
    control, canary = ({places[name]: n for name, n in arm.items()} for arm in ONE_SIDED_WORLDS[world])
    metric = freeze(declared, baseline=before, shares=SHARES)
    found = report(metric, folded(metric, *[(step, control, canary) for step in range(len(SHARES))] * 5))
    return numbers_of(found)


def with_margin(metric: PlanMetric, margin: str) -> PlanMetric:
    """The least and the largest that a plan may ask for."""
    if margin == "usual":
        return metric
    least, largest = (
        ({"absolute": 0.0001}, {"absolute": 0.9999})
        if metric.kind == "score"
        else ({"ratio": 1.01}, {"ratio": 10.0 if metric.kind in ("cost", "latency") else 100.0})
    )
    return replace(metric, margin=least if margin == "least" else largest)


@pytest.mark.parametrize("kind", ["score", "cost", "latency"])
def test_report__every_bin_there_is__every_number_finite(kind: str) -> None:
    metric, every = KINDS[kind].frozen(), range(KINDS[kind].top + 1)

    found = report(metric, folded(metric, *[(0, dict.fromkeys(every, 1000), dict.fromkeys(every, 50))] * 20))

    assert all(map(math.isfinite, numbers_of(found)))


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_report__nothing_ever_fails__no_harm_and_safe_after_5120_canary_calls(direction: str) -> None:
    metric = frozen({}, direction=direction)
    fine = 0 if direction == "lower" else 1000

    # statistics.md: the first n with .8 + sum over k of .2 / 3 ((1 - p_k) / (1 - .001))^n >= 20
    almost, proven = (report(metric, folded(metric, (0, {fine: 95_000}, {fine: n}))) for n in (5119, 5120))

    assert (almost.difference, proven.difference) == (0, 0)
    assert (almost.log_e_harm, proven.log_e_harm) == pytest.approx((0, 0), abs=1e-12)
    assert almost.max_log_e_safe < math.log(20) <= proven.max_log_e_safe


def test_report__two_steps__estimates_as_the_metric_is_named() -> None:
    control, canary = {0: 959, 1000: 41}, {400: 30, 500: 20}
    metrics = frozen(), frozen(direction="higher"), frozen({}, kind="score", direction="higher")
    lower, higher, score = (
        report(metric, folded(metric, (0, control, canary), (2, control, {}))) for metric in metrics
    )

    assert (lower.control_n, lower.canary_n, lower.steps) == (2000, 50, (0, 2))
    assert (lower.control_estimate, lower.canary_estimate) == (0.041, 0.4)
    assert (higher.control_estimate, higher.canary_estimate) == (0.041, 0.4)  # the share of 1s, whichever is bad
    assert score.canary_estimate == pytest.approx(0.44)
    assert score.difference == pytest.approx(0.44 - 0.041)


@pytest.mark.parametrize(
    ("kind", "unit", "control", "canary"),
    [
        ("rate", "share", 0.25, 0.5),
        ("score", "score", 0.675, 0.45),
        ("complaint", "share", 1 / 3, 1.0),
        ("cost", "USD", 0.75 * 1e-9 * 1.01**1619.5 + 0.25 * 1e-9 * 1.01**1799.5, None),
        ("tokens", "tokens", 0.75 * 1.01**694.5 + 0.25 * 1.01**899.5, None),
        ("latency", "ms", 0.75 * 1e-3 * 1.01**1388.5 + 0.25 * 1e-3 * 1.01**1599.5, None),
        ("limit of a rate", "share", 0.25, 0.5),
        ("limit of a score", "score", 0.675, 0.45),
        ("limit of a cost", "USD", 0.75 * 1e-9 * 1.01**1619.5 + 0.25 * 1e-9 * 1.01**1799.5, None),
        ("limit of a latency", "share", 0.25, 0.5),
    ],
)
def test_report__each_kind__estimates_and_difference_in_its_unit(
    kind: str, unit: str, control: float, canary: float | None
) -> None:
    """A log bin is worth its geometric middle. A limit of a latency is about how many calls take longer."""
    of = KINDS[kind]
    metric = of.frozen()

    found = report(metric, folded(metric, (0, {of.usual: 75, of.bad: 25}, {of.usual: 20, of.bad: 20})))

    assert found.unit == unit
    assert found.control_estimate == pytest.approx(control)
    if canary is not None:
        assert found.canary_estimate == pytest.approx(canary)
    assert found.difference == pytest.approx((found.canary_estimate or 0) - (found.control_estimate or 0))
    low, high = found.interval or (0, 0)
    assert low < found.difference < high or high == found.difference == pytest.approx(2 / 3)


def test_report__two_batches_of_a_step__counted_together() -> None:
    found = report(frozen(), folded(frozen(), (1, {0: 90, 1000: 10}, {0: 5}), (1, {0: 100}, {0: 4, 1000: 1})))

    assert (found.control_n, found.control_estimate, found.canary_n, found.canary_estimate) == (200, 0.05, 10, 0.1)
    assert found.steps == (1,)


@EVERY_KIND
def test_report__before_the_first_batch__undefined_is_none(kind: Kind) -> None:
    found = report(kind.frozen(), start(kind.frozen()))

    assert (found.control_n, found.control_estimate, found.difference, found.interval) == (0, None, None, None)
    assert (found.canary_n, found.canary_estimate, found.design_effect) == (0, None, 1.0)
    assert (found.log_e_harm, found.log_e_safe, found.max_log_e_safe) == pytest.approx((0, 0, 0), abs=1e-12)
    assert found.steps == ()


@EVERY_KIND
def test_nothing_yet__a_metric_without_a_scale__the_report_of_a_start_but_for_the_margin(kind: Kind) -> None:
    started = report(kind.frozen(), start(kind.frozen()))

    found = nothing_yet(kind.metric)

    assert replace(found, margin=started.margin) == replace(
        started, log_e_harm=pytest.approx(0, abs=1e-12), log_e_safe=pytest.approx(0, abs=1e-12)
    )


@pytest.mark.parametrize(
    ("kind", "baseline", "learns"),
    [
        ("cost", {}, True),
        ("cost", {1620: 199}, True),
        ("cost", {1620: 200}, False),
        ("latency", {0: 5000, 1389: 199}, True),  # what took no measurable time gives no scale
        ("limit of a cost", {}, False),
        ("limit of a latency", {}, False),
        ("rate", {}, False),
        ("score", {}, False),
        ("complaint", {}, False),
    ],
)
def test_learns_first__only_what_needs_a_scale_of_the_control(
    kind: str, baseline: dict[int, int], learns: bool
) -> None:
    assert learns_first(KINDS[kind].metric, baseline) is learns


def test_report__safety_seen_then_lost__the_first_crossing_stays() -> None:
    good, bad = ({0: 93, 1000: 7}, {0: 100}), ({0: 100}, {0: 80, 1000: 20})
    crossed = report(frozen(), folded(frozen(), *[(0, *good)] * 10))

    later = report(frozen(), folded(frozen(), *[(0, *good)] * 10, *[(0, *bad)] * 10))

    assert crossed.log_e_safe > math.log(20)
    assert later.log_e_safe < 0
    assert later.max_log_e_safe == pytest.approx(crossed.max_log_e_safe)


@EVERY_KIND
@pytest.mark.parametrize("failures", range(4))
def test_fold__one_more_failure_in_the_canary__more_evidence_of_harm_and_less_of_safety(
    kind: Kind, failures: int
) -> None:
    metric, control = kind.frozen(), {kind.good: 91, kind.bad: 4}

    less, more = (
        report(metric, folded(metric, (0, control, {kind.good: 5 - n, kind.bad: n}))) for n in (failures, failures + 1)
    )

    assert more.log_e_harm > less.log_e_harm
    assert more.log_e_safe < less.log_e_safe


@EVERY_KIND
@pytest.mark.parametrize(
    ("canary", "harmful", "safe"), [("bad", True, False), ("good", False, True)], ids=["worse", "better"]
)
def test_report__canary_plainly_worse_or_better__found(kind: Kind, canary: str, harmful: bool, safe: bool) -> None:
    metric = kind.frozen()
    control = (
        {kind.good: 450, kind.usual: 450, kind.bad: 50} if kind.good != kind.usual else {kind.usual: 900, kind.bad: 50}
    )
    of_canary = {kind.bad: 20, kind.usual: 30} if canary == "bad" else {kind.good: 50}

    found = report(metric, folded(metric, *[(0, control, of_canary)] * 10))

    assert (found.log_e_harm >= math.log(20)) is harmful
    assert (found.log_e_safe >= math.log(20)) is safe


@pytest.mark.parametrize("kind", ["rate", "score"])
def test_fold__turned_direction_and_outcomes__the_same_evidence(kind: str) -> None:
    control, canary = {0: 91, 1000: 4}, {0: 3, 1000: 2}
    turned = [{1000 - place: n for place, n in arm.items()} for arm in (control, canary)]
    lower = frozen({0: 982, 1000: 18}, kind=kind, direction="lower")
    higher = frozen({0: 18, 1000: 982}, kind=kind, direction="higher")

    one = report(lower, folded(lower, *[(0, control, canary)] * 3))
    other = report(higher, folded(higher, *[(0, turned[0], turned[1])] * 3))

    assert (other.log_e_harm, other.log_e_safe) == pytest.approx((one.log_e_harm, one.log_e_safe))


@EVERY_KIND
def test_state__thousand_batches__no_larger_than_after_one(kind: Kind) -> None:
    batch = (0, {kind.usual: 90, kind.bad: 5}, {kind.usual: 5})

    sizes = [_sizes(folded(kind.frozen(), *[batch] * batches).to_json()) for batches in (1, 1000)]

    assert sizes[0] == sizes[1]


def _sizes(value: Any) -> Any:
    """The shape of JSON: how many fields and items there are at every depth."""
    match value:
        case dict():
            return {name: _sizes(item) for name, item in value.items()}
        case list() | tuple():
            return [_sizes(item) for item in value]
    return None


@EVERY_KIND
def test_fold__empty_batch__changes_nothing(kind: Kind) -> None:
    before = folded(kind.frozen(), (0, {kind.usual: 90}, {kind.bad: 1}))

    assert fold(kind.frozen(), before, step=1, control={}, canary={500: 0}, design_effect=9.0) == before


@pytest.mark.parametrize("failures", [20, 0], ids=["harm", "safety"])
def test_fold__design_effect__divides_every_logarithm_before_they_are_mixed(failures: int) -> None:
    metric = frozen()
    assert isinstance(metric.process, Rate)
    batch = (0, {0: 920, 1000: 80}, {0: 100 - failures, 1000: failures})
    plain = folded(metric, batch, batch)

    found = report(metric, folded(metric, batch, batch, design_effect=2.5))

    mixed = [
        math.log(math.fsum(w * math.exp(log / 2.5) for w, log in zip(grid.weights, logs, strict=True)))
        for grid, logs in ((metric.process.harm, plain.harm), (metric.process.safe, plain.safe))
    ]
    after = report(metric, plain)
    assert (found.log_e_harm, found.log_e_safe) == pytest.approx(mixed)
    assert found.max_log_e_safe == pytest.approx(max(0, mixed[1]))
    assert max(mixed) > 1
    assert mixed != pytest.approx([after.log_e_harm / 2.5, after.log_e_safe / 2.5], rel=0.01)  # divided after mixing


@EVERY_KIND
def test_fold__design_effect_of_an_earlier_batch__forgotten_but_for_the_first_crossing(kind: Kind) -> None:
    metric, batch = kind.frozen(), {"step": 0, "control": {kind.usual: 95, kind.bad: 5}, "canary": {kind.good: 40}}
    states = []

    for design_effects in ((1.0, 3.0), (3.0, 1.0), (1.0, 1.0)):
        state = start(metric)
        for design_effect in design_effects:
            state = fold(metric, state, **batch, design_effect=design_effect)
        states.append(state)

    fell, rose, plain = states
    assert (fell.harm, fell.safe) == (rose.harm, rose.safe) == (plain.harm, plain.safe)
    assert replace(rose, max_log_e_safe=0.0) == replace(plain, max_log_e_safe=0.0)
    assert report(metric, fell).design_effect == 3.0


@EVERY_KIND
def test_report__design_effect_of_four__at_most_a_quarter_of_the_evidence_and_a_wider_interval(kind: Kind) -> None:
    metric = kind.frozen()
    batch = (0, {kind.usual: 95, kind.bad: 5}, {kind.usual: 35, kind.bad: 5})

    alone, alike = (report(metric, folded(metric, batch, batch, design_effect=d)) for d in (1.0, 4.0))

    # Jensen: the mean of fourth roots is at most the fourth root of the mean
    assert 4 * alike.log_e_harm <= alone.log_e_harm + 1e-12
    assert 4 * alike.log_e_safe <= alone.log_e_safe + 1e-12
    assert alike.difference == alone.difference
    assert (alike.interval or (0, 0))[0] < (alone.interval or (0, 0))[0]


SHARE_KINDS = ["rate", "score", "complaint", "limit of a rate", "limit of a score"]


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
@pytest.mark.parametrize("kind", SHARE_KINDS)
def test_fold__impossible_input__refused(kind: str, step: int, control: Any, message: str) -> None:
    metric = KINDS[kind].frozen()

    with pytest.raises(ValueError, match=message):
        fold(metric, start(metric), step=step, control=control, canary={})


@pytest.mark.parametrize("kind", ["cost", "tokens", "latency", "limit of a cost", "limit of a latency"])
def test_fold__beyond_the_log_bins__refused(kind: str) -> None:
    metric = KINDS[kind].frozen()

    with pytest.raises(ValueError, match="expected bins from 0 to 4000, got 4001"):
        fold(metric, start(metric), step=0, control={}, canary={4001: 1})


@pytest.mark.parametrize(
    ("kind", "margin", "message"),
    [
        ("rate", {"ratio": "2"}, "expected .* got {'ratio': '2'}"),
        ("rate", {}, "expected .* got {}"),
        ("score", {"ratio": 1.5}, 'expected {"absolute": a} .*, the margin of a score, got'),
        ("complaint", {"absolute": 0.1}, 'expected {"ratio": r} .*, the margin of a complaint, got'),
        ("cost", {"absolute": 0.1}, 'expected {"ratio": r} .*, the margin of a cost, got'),
        ("latency", {"absolute": 100.0}, 'expected {"ratio": r} .*, the margin of a latency, got'),
    ],
)
def test_freeze__margin_of_another_kind__refused_with_what_was_expected(
    kind: str, margin: dict[str, Any], message: str
) -> None:
    declared = replace(KINDS[kind].metric, margin=margin)

    with pytest.raises(ValueError, match=message):
        freeze(declared, baseline=KINDS[kind].baseline, shares=SHARES)


@pytest.mark.parametrize(
    ("kind", "margin"),
    [
        ("complaint", {"ratio": 2.0}),
        ("cost", {"ratio": 1.1}),
        ("latency", {"ratio": 1.1}),
        ("score", {"absolute": 0.03}),
    ],
)
def test_freeze__no_margin_in_the_plan__the_default_is_kept_with_it(kind: str, margin: dict[str, float]) -> None:
    assert KINDS[kind].frozen().metric.margin == margin


@pytest.mark.parametrize("kind", ["cost", "latency"])
def test_freeze__no_scale__refused(kind: str) -> None:
    with pytest.raises(ValueError, match="expected a baseline with a mean over 0"):
        freeze(KINDS[kind].metric, baseline={}, shares=SHARES)


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
