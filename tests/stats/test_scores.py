"""The bets on scores: a fair game by enumeration, reference values, what the centre remembers, and the edges."""

from itertools import product
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.stats.evidence import histogram
from rollout.core.stats.margins import Baseline
from rollout.core.stats.scores import Bets, Score

Vectors = dict[str, dict[str, Any]]

some_bins = st.dictionaries(st.integers(0, 1000), st.integers(1, 50), min_size=1, max_size=8)
NOBODY = histogram({})


def test_wealth__reference_bets__agrees_with_confseq(vectors: Vectors) -> None:
    given_ = vectors["V25"]["inputs"]
    # 1 - lam (x - m) is one canary observation with the sign of "smaller is worse" and the stake lam w.
    bets = Bets(centre=given_["m"], sign=-1, tolerance=0.0, share=0.5)
    stakes = np.array([given_["lam"] * 0.5])

    wealth = [
        np.exp(bets.log_wealth(stakes, control=NOBODY, canary=_counted(given_["x"][:n])))[0]
        for n in range(1, len(given_["x"]) + 1)
    ]

    assert wealth == pytest.approx(vectors["V25"]["output"], rel=1e-12)


def _counted(values: list[float]) -> Any:
    return np.bincount([round(1000 * value) for value in values], minlength=1001)


@given(
    values=st.lists(st.integers(0, 1000), min_size=1, max_size=5),
    share=st.floats(0.01, 0.99),
    centre=st.floats(0, 1),
    sign=st.sampled_from([1, -1]),
)
def test_wealth__every_assignment_of_given_scores__expectation_is_exactly_one(
    values: list[int], share: float, centre: float, sign: Literal[1, -1]
) -> None:
    bets = Bets(centre=centre, sign=sign, tolerance=0.0, share=share)
    stakes = bets.largest * np.array([1, 0.5, 0.1])

    expectation = np.zeros(3)
    for in_canary in product([False, True], repeat=len(values)):
        arms = [
            np.bincount([v for v, c in zip(values, in_canary, strict=True) if c is arm], minlength=1001)
            for arm in (False, True)
        ]
        chance = np.prod([share if c else 1 - share for c in in_canary])
        expectation += chance * np.exp(bets.log_wealth(stakes, control=arms[0], canary=arms[1]))

    assert expectation == pytest.approx(1, rel=1e-9)


@given(centre=st.floats(0, 1), share=st.floats(1e-6, 1 - 1e-6), sign=st.sampled_from([1, -1]), margin=st.floats(0, 0.9))
def test_largest_stake__any_observation__never_loses_more_than_97_per_cent(
    centre: float, share: float, sign: Literal[1, -1], margin: float
) -> None:
    bets = Bets(centre=centre, sign=sign, tolerance=-margin, share=share)

    for worst in (0, 1000):
        for arms in (
            {"control": histogram({worst: 1}), "canary": NOBODY},
            {"control": NOBODY, "canary": histogram({worst: 1})},
        ):
            assert np.exp(bets.log_wealth(np.array([bets.largest]), **arms))[0] >= 0.03 - 1e-9


@given(control=some_bins, canary=some_bins)
def test_increments__scores_mirrored_and_direction_turned__the_same(
    control: dict[int, int], canary: dict[int, int]
) -> None:
    higher = Score.freeze(direction="higher", margin=None, baseline=Baseline(100, 90))
    lower = Score.freeze(direction="lower", margin=None, baseline=Baseline(100, 10))

    found = higher.weigh(control=histogram(control), canary=histogram(canary), memory=higher.memory)
    mirrored = lower.weigh(control=_mirror(control), canary=_mirror(canary), memory=lower.memory)

    assert mirrored.harm == pytest.approx(found.harm, abs=1e-9)
    assert mirrored.safe == pytest.approx(found.safe, abs=1e-9)


def _mirror(bins: dict[int, int]) -> Any:
    return histogram({1000 - place: count for place, count in bins.items()})


def test_increments__no_baseline__the_first_batch_only_teaches_the_centre() -> None:
    process = Score.freeze(direction="higher", margin=None, baseline=Baseline(0, 0))
    batch = {"control": histogram({900: 60, 1000: 20}), "canary": histogram({200: 20})}

    first = process.weigh(**batch, memory=process.memory)
    second = process.weigh(**batch, memory=first.memory)

    assert not first.harm.any()
    assert not first.safe.any()
    assert first.memory == pytest.approx((74.0, 80.0))  # 60 x .9 + 20 x 1, of 80
    assert second.harm.max() > 0


def test_increments__centre__is_what_earlier_batches_taught_never_the_batch_itself() -> None:
    process = Score.freeze(direction="higher", margin=None, baseline=Baseline(1000, 940))
    control, canary = histogram({800: 30, 1000: 10}), histogram({500: 10})
    bets = Bets(centre=0.94, sign=-1, tolerance=0.0, share=0.2)

    found = process.weigh(control=control, canary=canary, memory=process.memory)

    stakes = np.minimum(np.array(process.harm.points) * 0.2, bets.largest)
    assert found.harm == pytest.approx(bets.log_wealth(stakes, control=control, canary=canary))


@pytest.mark.parametrize("empty", ["control", "canary"])
def test_increments__empty_arm__no_evidence(empty: str) -> None:
    process = Score.freeze(direction="higher", margin=None, baseline=Baseline(1000, 940))
    batch = {"control": histogram({900: 50}), "canary": histogram({100: 50})} | {empty: NOBODY}

    found = process.weigh(**batch, memory=process.memory)

    assert not found.harm.any()
    assert not found.safe.any()


def test_memory__huge_control__older_observations_fade_at_four_thousand() -> None:
    process = Score.freeze(direction="higher", margin=None, baseline=Baseline(10**6, 5 * 10**5))

    learned = process.weigh(control=histogram({1000: 99_980}), canary=NOBODY, memory=process.memory).memory

    assert process.memory == (10.0, 20.0)  # a baseline counts for 20 observations at most
    assert learned[1] == pytest.approx(4000)
    assert learned[0] / learned[1] == pytest.approx((10 + 99_980) / 100_000)


@pytest.mark.parametrize("margin", [{"ratio": 1.5}, {"absolute": 0.0}, {"absolute": 1.0}, {"absolute": float("nan")}])
def test_margin__not_one_of_a_score__refused_with_what_was_expected(margin: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="to below 1, got"):
        Score.freeze(direction="higher", margin=margin, baseline=Baseline(0, 0))


def test_margin__none_given__three_hundredths() -> None:
    assert Score.freeze(direction="higher", margin=None, baseline=Baseline(0, 0)).margin == {"absolute": 0.03}
