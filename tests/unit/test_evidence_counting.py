"""Exposures and observations: they read back as written, and add up in any order."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import (
    ARMS,
    Exposure,
    Observation,
    bin_of,
    count_bins,
    error_observation,
    parse_exposure,
    sum_units,
)

exposures = st.builds(
    Exposure,
    st.from_regex(r"rol_[0-9a-z]{1,20}", fullmatch=True),
    st.integers(0, 999),
    st.sampled_from(ARMS),
    st.integers(0, 255),
)
observations = st.builds(
    Observation,
    st.builds(Exposure, st.just("rol_1"), st.integers(0, 1), st.sampled_from(ARMS), st.integers(0, 3)),
    st.integers(0, 2),
    st.sampled_from(["error_rate", "hallucination"]),
    st.integers(0, 1000),
    st.integers(1, 5),
)


@given(exposures)
def test_exposure__reads_back_as_written(exposure: Exposure) -> None:
    assert parse_exposure(str(exposure)) == exposure


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rol_1:0:canary",
        "rol_1:0:canary:256",
        "rol_1:-1:canary:1",
        "rol_1:1000:canary:1",
        "rol_1:0:treatment:1",
        "rol_1:0:canary:1:2",
        "rol_1:0:canary:1\n",
        "rol_1:٣:canary:1",
        ":0:canary:1",
    ],
)
def test_exposure__anything_else__value_error(text: str) -> None:
    with pytest.raises(ValueError, match="unit bucket"):
        parse_exposure(text)


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (1, 1000), (0.5, 500), (0.0004, 0), (0.9996, 1000), (0.87, 870)]
)
def test_bin_of__thousandths(value: float, expected: int) -> None:
    assert bin_of(value) == expected


def test_error_observation__bin_1000_for_an_error() -> None:
    exposure = Exposure("rol_1", 0, "canary", 5)

    assert error_observation(exposure, 7, error=True).bin == 1000
    assert error_observation(exposure, 7, error=False).bin == 0


@given(st.lists(observations, max_size=30), st.integers(0, 2**32))
def test_counters__any_order_and_any_grouping__same_sums(found: list[Observation], seed: int) -> None:
    pick = random.Random(seed)
    shuffled = pick.sample(found, len(found))
    cut = pick.randint(0, len(found))

    whole, parts = count_bins(found), count_bins(shuffled[:cut]) + count_bins(shuffled[cut:])

    assert whole == parts
    assert sum_units(found) == sum_units(shuffled)


@given(st.lists(observations, max_size=30))
def test_unit_sums__agree_with_the_bins(found: list[Observation]) -> None:
    from_bins: Counter[tuple[object, ...]] = Counter()
    for key, n in count_bins(found).items():
        from_bins[key[:-1]] += n * key.bin

    from_units: Counter[tuple[object, ...]] = Counter()
    for unit, (_, total) in sum_units(found).items():
        from_units[unit[:-1]] += total

    assert from_bins == from_units
    assert sum(n for n, _ in sum_units(found).values()) == sum(o.count for o in found)
