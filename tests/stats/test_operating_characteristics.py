"""What the verdict promises, in small simulations with fixed seeds (benchmarks/operating_characteristics.py: large).

Bounds are wide enough for their size: a median of 100 delays has a standard error of about 8 %.
"""

import math
from statistics import median

import pytest

from benchmarks.operating_characteristics import Truth, beta, canary_calls_until, harmful, rate, safe, score


def share(delays: list[float]) -> float:
    return sum(map(math.isfinite, delays)) / len(delays)


@pytest.mark.parametrize(
    ("truth", "calls", "low", "high"),
    [
        (rate(0.018, 0.041), 30_000, 230, 400),  # statistics.md: 310, at most 340 over many rollouts
        (score(0.94, 0.87, beta), 5_000, 30, 56),  # statistics.md: 40, at most 45; a batch is 5 of them
    ],
    ids=["rate 1.8 to 4.1 %", "score .94 to .87"],
)
def test_rollback__harmful_canary__about_as_soon_as_the_design(
    truth: Truth, calls: int, low: float, high: float
) -> None:
    delays = canary_calls_until(harmful, [truth], rollouts=100, calls=calls)

    assert low <= median(delays) <= high
    assert share(delays) >= 0.97


@pytest.mark.parametrize(
    "truths",
    [[rate(0.018, 0.018)], [score(0.94, 0.94, beta)], [rate(0.01, 0.01), rate(0.018, 0.018)]],
    ids=["rate", "score", "two rates"],
)
def test_rollback__healthy_canary__within_alpha(truths: list[Truth]) -> None:
    delays = canary_calls_until(harmful, truths, rollouts=120, calls=8_000, weights=(0.05, 0.25, 0.5))

    assert share(delays) <= 0.05


@pytest.mark.parametrize(
    ("truth", "calls"),
    [
        (rate(0.018, 0.018 * 1.5 / (1 + 0.018 * 0.5), margin=1.5), 8_000),
        (rate(0.0005, 0.001, margin=2), 30_000),  # 11 250 canary calls: a proof against the floor takes 5120
        (score(0.94, 0.91, beta), 8_000),
    ],
    ids=["rate", "rate at the floor", "score"],
)
def test_proof_of_safety__canary_exactly_at_the_margin__within_alpha(truth: Truth, calls: int) -> None:
    delays = canary_calls_until(safe, [truth], rollouts=120, calls=calls, weights=(0.25, 0.5))

    assert share(delays) <= 0.05


def test_proof_of_safety__equal_arms__comes() -> None:
    delays = canary_calls_until(safe, [score(0.94, 0.94, beta)], rollouts=40, calls=6_000, weights=(0.25,))

    assert share(delays) >= 0.9
