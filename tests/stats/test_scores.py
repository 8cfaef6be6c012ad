"""The process of scores: which bets it makes, turned scores, margins, and what a baseline counts for."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.plan import PlanMetric
from rollout.core.stats.evidence import Batch, arm
from rollout.core.stats.scores import HARM, SAFE, Score

some_bins = st.dictionaries(st.integers(0, 1000), st.integers(1, 50), min_size=1, max_size=8)


def score(
    direction: Literal["lower", "higher"] = "higher",
    *,
    margin: dict[str, float] | None = None,
    baseline: dict[int, int] | None = None,
) -> Score:
    metric = PlanMetric("m", "score", direction, margin=margin)
    return Score.freeze(metric, baseline=baseline or {}, shares=())


def batch_of(control: dict[int, int], canary: dict[int, int]) -> Batch:
    return Batch(0, arm(control, top=1000), arm(canary, top=1000))


@given(control=some_bins, canary=some_bins)
def test_increments__scores_mirrored_and_direction_turned__the_same(
    control: dict[int, int], canary: dict[int, int]
) -> None:
    higher, lower = score("higher", baseline={900: 100}), score("lower", baseline={100: 100})

    found = higher.weigh(batch_of(control, canary), higher.memory)
    mirrored = lower.weigh(batch_of(_mirror(control), _mirror(canary)), lower.memory)

    assert mirrored.harm == pytest.approx(found.harm, abs=1e-9)
    assert mirrored.safe == pytest.approx(found.safe, abs=1e-9)


def _mirror(bins: dict[int, int]) -> dict[int, int]:
    return {1000 - place: count for place, count in bins.items()}


def test_freeze__score__bets_on_lower_scores_with_the_grids_of_the_design() -> None:
    process = score(margin={"absolute": 0.05})

    assert (process.contrast.worse, process.contrast.margin) == (-1, 0.05)
    # statistics.md, formulae: 16 x 2^(-j/2) and .97 x 2^(-j/2) / lim; down to .18 for where the canary is judged more
    assert process.contrast.harm == HARM
    assert HARM.points == tuple(pytest.approx(16 * 2 ** (-j / 2)) for j in range(14))
    assert sum(HARM.weights) == pytest.approx(1)
    assert len(HARM.weights) == 14
    assert process.contrast.safe.points == SAFE == tuple(pytest.approx(2 ** (-j / 2)) for j in range(6))


@pytest.mark.parametrize(
    ("baseline", "memory"),
    [({}, (0.0, 0.0)), ({900: 10}, (9.0, 10.0)), ({500: 10**6}, (10.0, 20.0))],
    ids=["none", "small", "large"],
)
def test_memory__at_the_start__a_baseline_counts_for_twenty_scores_at_most(
    baseline: dict[int, int], memory: tuple[float, float]
) -> None:
    assert score(baseline=baseline).memory == pytest.approx(memory)


def test_increments__no_baseline__the_first_batch_only_teaches_the_centre() -> None:
    process, batch = score(), batch_of({900: 60, 1000: 20}, {200: 20})

    first = process.weigh(batch, process.memory)
    second = process.weigh(batch, first.memory)

    assert not first.harm.any()
    assert not first.safe.any()
    assert second.harm.max() > 0 > second.safe.max()


@pytest.mark.parametrize("margin", [{"ratio": 1.5}, {"absolute": 0.0}, {"absolute": 1.0}, {"absolute": float("nan")}])
def test_margin__not_one_of_a_score__refused_with_what_was_expected(margin: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="to below 1, the margin of a score, got"):
        score(margin=margin)


def test_margin__none_given__three_hundredths() -> None:
    assert score().margin == {"absolute": 0.03}
