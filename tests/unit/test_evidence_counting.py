"""Exposures and observations: they read back as written, and add up in any order."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.evidence import (
    ARMS,
    LOG_BINNED,
    SMALLEST,
    TOP_LOG_BIN,
    Exposure,
    Observation,
    bin_of,
    count_bins,
    log_bin,
    parse_exposure,
    sum_units,
    value_of_log_bin,
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (0.999e-3, 0),
        (1e-3, 1),
        (1.0099e-3, 1),
        (1.0101e-3, 2),
        (1.0, 695),  # 1.01^694 = 997.7 and 1.01^695 = 1007.7 thousandths
        (100.0, 1158),  # 1.01^1157 = 99 961 and 1.01^1158 = 100 960 thousandths
        (1e300, TOP_LOG_BIN),
    ],
)
def test_log_bin__thousandths_of_a_millisecond_and_up(value: float, expected: int) -> None:
    assert log_bin(value, SMALLEST["latency"]) == expected


@given(st.floats(1, 1e17), st.sampled_from(sorted(LOG_BINNED)))
def test_log_bin__value_that_stands_for_it__within_half_a_percent(ratio: float, measure: str) -> None:
    value = ratio * SMALLEST[measure]

    stands_for_it = value_of_log_bin(log_bin(value, SMALLEST[measure]), SMALLEST[measure])

    assert stands_for_it == pytest.approx(value, rel=0.005)


@given(st.integers(0, TOP_LOG_BIN), st.sampled_from(sorted(LOG_BINNED)))
def test_value_of_log_bin__falls_into_its_bin(bin_: int, measure: str) -> None:
    assert log_bin(value_of_log_bin(bin_, SMALLEST[measure]), SMALLEST[measure]) == bin_


@given(st.floats(0, 1e20), st.floats(0, 1e20))
def test_log_bin__larger_value__no_smaller_bin(one: float, other: float) -> None:
    smaller, larger = sorted((one, other))

    assert log_bin(smaller, 1e-3) <= log_bin(larger, 1e-3)


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
        from_bins.update(
            {(*key[:-1], "n"): n, (*key[:-1], "total"): n * key.bin, (*key[:-1], "squares"): n * key.bin**2}
        )

    from_units: Counter[tuple[object, ...]] = Counter()
    for unit, sums in sum_units(found).items():
        from_units.update({(*unit[:-1], name): value for name, value in sums._asdict().items()})

    assert from_bins == from_units
