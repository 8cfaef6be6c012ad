"""Which arm a unit gets: the vectors, the shares of very many units, and what a greater weight does (fault 29)."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from rollout.core.assignment import BUCKETS, UNIT_BUCKETS, bucket, is_canary, unit_bucket

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "assignment.json").read_text(encoding="utf-8"))["vectors"]

units = st.text(st.characters(exclude_categories=["Cs"]))
weights = st.integers(0, BUCKETS)


@pytest.mark.parametrize("vector", VECTORS)
def test_vector(vector: dict[str, Any]) -> None:
    salt, unit = vector["salt"], vector["unit"]

    found = bucket(salt, unit)

    assert found == vector["bucket"]
    assert unit_bucket(salt, unit) == vector["unit_bucket"]
    assert {w: "canary" if is_canary(found, int(w)) else "control" for w in vector["arms"]} == vector["arms"]


@given(salt=units, unit=units)
def test_buckets__any_text__in_range_and_repeatable(salt: str, unit: str) -> None:
    assert 0 <= bucket(salt, unit) < BUCKETS
    assert 0 <= unit_bucket(salt, unit) < UNIT_BUCKETS
    assert (bucket(salt, unit), unit_bucket(salt, unit)) == (bucket(salt, unit), unit_bucket(salt, unit))


@given(salt=units, unit=units, less=weights, more=weights)
def test_is_canary__weight_grows__no_unit_leaves_the_canary(salt: str, unit: str, less: int, more: int) -> None:
    less, more = sorted((less, more))
    at = bucket(salt, unit)

    assert is_canary(at, more) or not is_canary(at, less)


@given(salt=units, unit=units)
def test_is_canary__no_and_full_weight__exact(salt: str, unit: str) -> None:
    at = bucket(salt, unit)

    assert not is_canary(at, 0)
    assert is_canary(at, BUCKETS)


@pytest.fixture(scope="module")
def million() -> list[int]:
    """The buckets of 10^6 units."""
    return [bucket("4f1d0c9a7b3e5826", f"user-{i}") for i in range(1_000_000)]


@pytest.mark.parametrize("weight_bp", [1, 10, 50, 500, 2500, 5000, 9990])
def test_share__10_to_the_6_units__within_binomial_bounds(million: list[int], weight_bp: int) -> None:
    canary = sum(is_canary(at, weight_bp) for at in million)

    # A fair binomial leaves these bounds once in a million salts; this salt is fixed, so the test cannot flicker.
    low, high = binom.interval(1 - 1e-6, len(million), weight_bp / BUCKETS)
    assert low <= canary <= high


def test_share__weight_grows_from_10_to_500_to_5000__only_adds_units(million: list[int]) -> None:
    canaries = [{i for i, at in enumerate(million) if is_canary(at, weight_bp)} for weight_bp in (10, 500, 5000)]

    assert canaries[0] < canaries[1] < canaries[2]


def test_unit_bucket__100_000_units__even_and_independent_of_the_arm() -> None:
    n, weight_bp, salt = 100_000, 5000, "4f1d0c9a7b3e5826"

    cells = Counter(
        (is_canary(bucket(salt, unit), weight_bp), unit_bucket(salt, unit)) for unit in map("user-{}".format, range(n))
    )

    # Pearson's chi-square of the 512 cells against n/512 each; a fair hash passes the bound once in 10 000 salts.
    expected = n / (2 * UNIT_BUCKETS)
    assert len(cells) == 2 * UNIT_BUCKETS
    assert sum((cell - expected) ** 2 / expected for cell in cells.values()) < chi2.ppf(1 - 1e-4, 511)


def test_bucket__other_salt__other_units() -> None:
    weight_bp = 1000

    both = sum(
        is_canary(bucket("one", f"user-{i}"), weight_bp) and is_canary(bucket("two", f"user-{i}"), weight_bp)
        for i in range(20_000)
    )

    # Independent draws: 1 % of 20 000 units are in both canaries.
    low, high = binom.interval(1 - 1e-6, 20_000, 0.01)
    assert low <= both <= high
