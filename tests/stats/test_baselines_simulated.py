"""What baseline alerts promise: small simulations here, the large ones that are published.

`python -m benchmarks.baselines` makes the results.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.baselines.__main__ import RESULTS
from benchmarks.baselines.page import BEGIN, END, PAGE, markdown
from benchmarks.baselines.simulations import CHANGES, FAITHFULNESS, HEALTHY, RETURNS, SEED, comeback, delay
from benchmarks.baselines.traffic import PER_DAY, by_quarter, day_of
from observability.core.baselines import together


@pytest.fixture(scope="module")
def committed() -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = json.loads(RESULTS.read_text())
    return rows


def test_committed_results__of_a_full_run(committed: list[Mapping[str, Any]]) -> None:
    assert [(row["name"], row["sd"], row.get("days")) for row in committed if row["about"] == "healthy"] == [
        (of.kind.name, of.sd, of.days) for of in HEALTHY
    ]
    assert [(row["name"], row["sd"]) for row in committed if row["about"] in ("change", "return")] == [
        (of.name, of.sd) for of in (*CHANGES, *RETURNS)
    ]


def test_committed_results__healthy_metrics__alert_on_few_days(committed: list[Mapping[str, Any]]) -> None:
    (together_,) = [row for row in committed if row["about"] == "together"]

    assert together_["days"] >= 5000
    assert together_["share"] <= 0.011


def test_committed_results__drop_of_faithfulness__found_within_two_hours(committed: list[Mapping[str, Any]]) -> None:
    row = next(row for row in committed if row["about"] == "change")

    assert row["name"].startswith("faithfulness 0.94 to 0.87")
    assert row["runs"] == row["in_a_day"] == 200
    assert row["in_two_hours"] >= 199


def test_committed_results__level_is_back__ends_in_time(committed: list[Mapping[str, Any]]) -> None:
    seldom, much, _, many_calls = [row["minutes"]["p50"] for row in committed if row["about"] == "return"]

    assert seldom < 120
    assert max(much, many_calls) <= 20


def test_page__committed_results__as_they_are(committed: list[Mapping[str, Any]]) -> None:
    assert f"{BEGIN}\n\n{markdown(committed)}\n{END}" in PAGE.read_text()


def test_day__of_a_metric__level_and_traffic_as_named() -> None:
    day = day_of(FAITHFULNESS, np.random.default_rng(1), np.full(PER_DAY, 2.0), 0)

    sums = together(by_quarter(day).values())
    assert sums.n == pytest.approx(4800, rel=0.05)
    assert sums.total / sums.n == pytest.approx(0.12, abs=0.01)


def test_quick_change__faithfulness_falls__found_within_two_hours() -> None:
    found = [delay(0, SEED + 1, number) for number in range(8)]

    assert binomtest(sum(one is not None and one <= 120 for one in found), len(found), 0.99).pvalue > 0.001


def test_quick_return__much_traffic__ends_within_minutes() -> None:
    (busy,) = [place for place, of in enumerate(RETURNS) if of.kind.a_day > 1_000_000]

    assert [comeback(busy, SEED + 1, number) for number in range(5)] == [15.0] * 5
