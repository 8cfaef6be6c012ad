"""Means and verdicts though a part of the calls is judged: small simulations here, large ones that are published.

`python -m benchmarks.judging_design` makes the results.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from scipy.stats import binomtest

from benchmarks.judging_design.__main__ import RESULTS
from benchmarks.judging_design.means import POPULATIONS
from benchmarks.judging_design.page import BEGIN, END, PAGE, markdown
from benchmarks.judging_design.rollouts import WORLDS, rollout

WRONG = [(world, about) for world in WORLDS if world.canary == 0.94 and not world.failed_count for about in world.about]
MEANS = [population.name for population in POPULATIONS]


@pytest.fixture(scope="module")
def committed() -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = json.loads(RESULTS.read_text())
    return rows


def row_of(rows: list[Mapping[str, Any]], name: str, about: str) -> Mapping[str, Any]:
    (found,) = [row for row in rows if (row["name"], row["about"]) == (name, about)]
    return found


def test_committed_results__of_a_full_run(committed: list[Mapping[str, Any]]) -> None:
    assert [(row["name"], row["replications"]) for row in committed] == [
        *((world.name, world.full) for world in WORLDS for _ in world.about),
        *((name, 1000) for name in MEANS),
    ]


@pytest.mark.parametrize("name", MEANS)
def test_committed_means__no_bias_and_intervals_that_hold(committed: list[Mapping[str, Any]], name: str) -> None:
    row = row_of(committed, name, "means")

    # Of five intervals of 95 % one may miss by chance: then by less than its own half width.
    half = (row["bias_high"] - row["bias_low"]) / 2
    assert abs(row["bias"]) <= 1.5 * half
    assert abs(row["plain_bias"]) > 20 * half
    assert row["coverage_high"] >= 0.95


@pytest.mark.parametrize(("world", "about"), WRONG, ids=lambda of: of if isinstance(of, str) else of.name)
def test_committed_rollouts__equal_arms__no_more_wrong_ends_than_promised(
    committed: list[Mapping[str, Any]], world: Any, about: str
) -> None:
    row = row_of(committed, world.name, f"share_{about}")

    assert row["share"] <= (0.05 if about == "rollback" else 0.001)
    assert row["high"] <= (0.05 if about == "rollback" else 0.0025)  # none or one of 3 000


def test_committed_rollouts__failed_calls_counted__arms_that_are_equal_look_unlike(
    committed: list[Mapping[str, Any]],
) -> None:
    invalid, rolled_back, found = [
        row for row in committed if "failed calls counted" in row["name"] and row["about"] != "means"
    ]

    assert invalid["share"] > 0.95
    assert rolled_back["share"] > 0.95
    assert found["share"] < 0.05


def test_committed_rollouts__harm__found_in_half_the_time_by_judging_the_canary_oftener(
    committed: list[Mapping[str, Any]],
) -> None:
    oftener, alike = (
        row_of(committed, name, "share_rollback")
        for name in ("faithfulness .94 -> .87, 2 % judged, 5 %", "the same, both arms judged alike")
    )

    assert oftener["share"] > 0.99
    assert oftener["median_calls"] < 0.6 * alike["median_calls"]


def test_page__committed_results__as_they_are(committed: list[Mapping[str, Any]]) -> None:
    assert f"{BEGIN}\n\n{markdown(committed)}\n{END}" in PAGE.read_text()


def test_quick_rollouts__equal_arms__as_rare_as_promised() -> None:
    ends = [rollout(0, number).end for number in range(12)]

    assert binomtest(sum(end != "none" for end in ends), len(ends), 0.05, alternative="greater").pvalue > 0.001


def test_quick_rollouts__faithfulness_falls__found() -> None:
    (world,) = [place for place, of in enumerate(WORLDS) if of.name.startswith("faithfulness .94 -> .87")]

    assert {rollout(world, number).end for number in range(4)} == {"rollback"}
