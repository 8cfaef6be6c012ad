"""The bets on means: a fair game by enumeration, reference values, what the centre remembers, and the edges."""

from collections import Counter
from itertools import product
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observability.core.evidence import TOP_LOG_BIN
from rollout.core.stats.bets import FORGET, Bets, Contrast, Values
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.grid import Grid
from rollout.core.stats.values import CAP, CLIP, Capped, ClippedLogs, Shares

Vectors = dict[str, dict[str, Any]]
Sign = Literal[1, -1]

# Bins that reach from nothing to beyond the cap and to both clips: the unit is in bin 1389, e^centre too.
VALUES: dict[str, Values] = {
    "shares": Shares(),
    "capped": Capped(smallest=1e-3, unit=1000.0),
    "clipped logarithms": ClippedLogs(smallest=1e-3, centre=float(np.log(1000)), width=0.5),
}
BINS = {
    "shares": st.integers(0, 1000),
    "capped": st.one_of(st.integers(1200, 1800), st.integers(0, TOP_LOG_BIN)),
    "clipped logarithms": st.one_of(st.integers(1200, 1600), st.integers(0, TOP_LOG_BIN)),
}
EVERY_VALUES = pytest.mark.parametrize("kind", VALUES)


def batch_of(control: dict[int, int], canary: dict[int, int]) -> Batch:
    return Batch(0, arm(control, top=TOP_LOG_BIN), arm(canary, top=TOP_LOG_BIN))


def wealth(bets: Bets, stakes: Any, values: Values, batch: Batch) -> Any:
    control, canary = values.of(batch.control.bins), values.of(batch.canary.bins)
    return np.exp(bets.log_wealth(np.asarray(stakes), batch, control=control, canary=canary))


def bets_on(values: Values, *, at: float, sign: Sign, tolerance: float = 0.0, share: float) -> Bets:
    """at: where the centre lies between the lowest and the highest value, 0 to 1."""
    centre = values.low + at * (values.high - values.low)
    return Bets(values.low, values.high, centre=centre, sign=sign, tolerance=tolerance, share=share)


def test_wealth__reference_bets__agrees_with_confseq(vectors: Vectors) -> None:
    given_ = vectors["V25"]["inputs"]
    # 1 - lam (x - m) is one canary observation with the sign of "smaller is worse" and the stake lam w.
    bets = Bets(0.0, 1.0, centre=given_["m"], sign=-1, tolerance=0.0, share=0.5)

    found = [
        wealth(bets, [given_["lam"] * 0.5], Shares(), batch_of({}, _counted(given_["x"][:n])))[0]
        for n in range(1, len(given_["x"]) + 1)
    ]

    assert found == pytest.approx(vectors["V25"]["output"], rel=1e-12)


def _counted(values: list[float]) -> dict[int, int]:
    return Counter(round(1000 * value) for value in values)


@EVERY_VALUES
@given(
    data=st.data(),
    share=st.floats(0.01, 0.99),
    at=st.floats(0, 1),
    sign=st.sampled_from([1, -1]),
)
def test_wealth__every_assignment_of_given_values__expectation_is_exactly_one(
    kind: str, data: st.DataObject, share: float, at: float, sign: Sign
) -> None:
    observed = data.draw(st.lists(BINS[kind], min_size=1, max_size=5))
    bets = bets_on(VALUES[kind], at=at, sign=sign, share=share)
    stakes = bets.largest * np.array([1, 0.5, 0.1])

    expectation = np.zeros(3)
    for in_canary in product([False, True], repeat=len(observed)):
        arms = [
            Counter(place for place, c in zip(observed, in_canary, strict=True) if c is which)
            for which in (False, True)
        ]
        chance = np.prod([share if c else 1 - share for c in in_canary])
        expectation += chance * wealth(bets, stakes, VALUES[kind], batch_of(*arms))

    assert expectation == pytest.approx(1, rel=1e-9)


@EVERY_VALUES
@example(at=1e-5, share=1e-6, sign=1, margin=0.0)
@given(at=st.floats(0, 1), share=st.floats(1e-6, 1 - 1e-6), sign=st.sampled_from([1, -1]), margin=st.floats(0, 0.9))
def test_largest_stake__any_observation__never_loses_more_than_97_per_cent(
    kind: str, at: float, share: float, sign: Sign, margin: float
) -> None:
    """margin: as a share of the values' range, of which the largest that a plan may have is .45 (a cost's)."""
    values = VALUES[kind]
    bets = bets_on(values, at=at, sign=sign, tolerance=-margin * (values.high - values.low), share=share)
    least, top = (0, 1000) if kind == "shares" else (0, TOP_LOG_BIN)

    left = [
        wealth(bets, [bets.largest], values, batch)[0]
        for place in (least, top)
        for batch in (batch_of({place: 1}, {}), batch_of({}, {place: 1}))
    ]

    assert min(left) >= 0.03 - 1e-9
    if not margin and at > 1e-3:
        # It could not be larger. Bin 0 is worth nearly 0, but not beside a centre that is nearly 0 as well.
        assert min(left) == pytest.approx(0.03, abs=1e-6 if kind == "shares" else 1e-3)


@EVERY_VALUES
def test_wealth__more_of_the_canary_on_the_bad_side__grows(kind: str) -> None:
    values, (low, high) = VALUES[kind], {"shares": (100, 900)}.get(kind, (1300, 1450))
    bets = bets_on(values, at=0.5, sign=1, share=0.1)
    stakes = [0.01, 0.5 * bets.largest, bets.largest]

    found = [wealth(bets, stakes, values, batch_of({}, {low: 5 - n, high: n})) for n in range(6)]

    assert (np.diff(found, axis=0) > 0).all()


def contrast(*, worse: int = 1, trust: float = 0.0, mean: float = 0.0) -> Contrast:
    harm = Grid.uniform((4.0, 0.5, 0.01))
    return Contrast.freeze(worse=worse, margin=0.1, harm=harm, safe=(1.0, 0.5), mean=mean, trust=trust)


def test_contrast__nothing_known_of_the_control__the_first_batch_only_teaches_the_centre() -> None:
    bets, batch = contrast(), batch_of({900: 60, 1000: 20}, {980: 20})

    first = bets.weigh(Shares(), batch, bets.memory)
    second = bets.weigh(Shares(), batch, first.memory)

    assert not first.harm.any()
    assert not first.safe.any()
    assert first.memory == pytest.approx((74.0, 80.0))  # 60 x .9 + 20 x 1, of 80
    assert second.harm.max() > 0


def test_contrast__centre__is_what_earlier_batches_taught_never_the_batch_itself() -> None:
    bets, batch = contrast(mean=0.94, trust=20), batch_of({800: 30, 1000: 10}, {500: 10})

    found = bets.weigh(Shares(), batch, bets.memory)

    for sign, tolerance, logs, points in (
        (1, 0.0, found.harm, bets.harm.points),
        (-1, -0.1, found.safe, bets.safe.points),
    ):
        of_sign = Bets(0.0, 1.0, centre=0.94, sign=sign, tolerance=tolerance, share=0.2)
        stakes = np.array(points)
        stakes = np.minimum(stakes * 0.2, of_sign.largest) if sign == 1 else stakes * of_sign.largest
        assert np.exp(logs) == pytest.approx(wealth(of_sign, stakes, Shares(), batch))


@pytest.mark.parametrize("empty", ["control", "canary"])
def test_contrast__empty_arm__no_evidence(empty: str) -> None:
    bets = contrast(mean=0.94, trust=20)

    found = bets.weigh(Shares(), batch_of(**{"control": {900: 50}, "canary": {100: 50}, empty: {}}), bets.memory)

    assert not found.harm.any()
    assert not found.safe.any()


def test_contrast__empty_canary__the_control_teaches_all_the_same() -> None:
    bets = contrast(mean=0.94, trust=20)

    assert bets.weigh(Shares(), batch_of({500: 20}, {}), bets.memory).memory == pytest.approx((28.8, 40.0))
    assert bets.weigh(Shares(), batch_of({}, {500: 20}), bets.memory).memory == bets.memory


def test_memory__huge_control__older_observations_fade_at_four_thousand() -> None:
    bets = contrast(mean=0.5, trust=20)

    learned = bets.weigh(Shares(), batch_of({1000: 99_980}, {}), bets.memory).memory

    assert bets.memory == (10.0, 20.0)
    assert learned[1] == pytest.approx(FORGET) == 4000
    assert learned[0] / learned[1] == pytest.approx((10 + 99_980) / 100_000)


def test_contrast__same_effect_at_another_share__stakes_grow_with_it() -> None:
    """A point of the grid of harm means one effect at every weight, as long as no stake is clipped."""
    bets = contrast(mean=0.5, trust=20)

    small, large = (
        bets.weigh(Shares(), batch_of({500: round(100 / share) - 100}, {510: 100}), bets.memory).harm[2]
        for share in (0.05, 0.5)
    )

    assert small == pytest.approx(large, rel=0.01)


def test_values__of_bins__shares_as_they_are_costs_capped_and_logarithms_clipped() -> None:
    assert Shares().of(np.array([0, 941, 1000])) == pytest.approx([0, 0.941, 1])
    capped = VALUES["capped"].of(np.array([0, 1389, 1700, TOP_LOG_BIN]))
    assert capped == pytest.approx([0, 1.01**1388.5 / 1e6, CAP, CAP], abs=1e-5)  # of 1 ms / 1000 there is 1e-6
    logs = VALUES["clipped logarithms"].of(np.array([0, 1389, TOP_LOG_BIN]))
    assert logs == pytest.approx([-CLIP, (1388.5 * np.log(1.01) - np.log(1e6)) / 0.5, CLIP])
