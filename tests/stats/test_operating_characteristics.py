"""What the verdict promises: in small simulations here, in large ones whose results are committed and published.

`python -m benchmarks.operating_characteristics` makes the results; its quick run is here. Bounds leave room for the
size: nothing may be incompatible with alpha, and a median of 25 delays has a standard error of some 15 %.
"""

import json
import os
from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.operating_characteristics.__main__ import RESULTS
from benchmarks.operating_characteristics.driving import LEAST_BATCH, Judged
from benchmarks.operating_characteristics.measures import RATE
from benchmarks.operating_characteristics.page import BEGIN, END, PAGE, drawings, markdown
from benchmarks.operating_characteristics.running import Row, run
from benchmarks.operating_characteristics.scenarios import (
    FAITHFULNESS,
    HALLUCINATION,
    SERINUS,
    Scenario,
    Steps,
    at_margin,
    scenarios,
)
from benchmarks.operating_characteristics.traffic import Truth, served_by_canary
from rollout import batches
from rollout.core.plan import PlanMetric
from rollout.core.verdict import log_threshold

pytestmark = pytest.mark.xdist_group("operating_characteristics")  # one quick run serves all

RAMP: Steps = ((0.25, 4000), (0.5, 4000))
REACHED = [scenario for scenario in scenarios() if scenario.reach]


@pytest.fixture(scope="session")
def quick() -> Mapping[str, Row]:
    """The rows of a quick run, by scenario."""
    processes = os.cpu_count() or 1
    of_scenarios = run(scenarios(), quick=True, processes=processes, progress=print, references=False)
    return {row["scenario"]: row for (row,) in of_scenarios}


def test_quick_run__wrong_decisions_of_all_scenarios_together__as_rare_as_promised(quick: Mapping[str, Row]) -> None:
    """Few rollouts of each say little by themselves: together they may not be incompatible with alpha."""
    rows = [quick[s.name] for s in REACHED if s.is_wrong_end and s.about != "invalid"]
    rollouts = sum(row["replications"] for row in rows)
    wrong = sum(round(row["replications"] * row[row["about"]]) for row in rows)

    assert rollouts >= 40
    assert binomtest(wrong, rollouts, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("scenario", [s for s in REACHED if not s.is_wrong_end], ids=lambda scenario: scenario.name)
def test_quick_run__harm_and_broken_ratio__found_about_as_soon_as_the_design(
    quick: Mapping[str, Row], scenario: Scenario
) -> None:
    row = quick[scenario.name]

    assert scenario.reach
    assert row[scenario.reach.column] <= 1.4 * scenario.reach.limit


def test_quick_run__harm_under_six_guardrails__rolled_back(quick: Mapping[str, Row]) -> None:
    harmful = [row for name, row in quick.items() if name.startswith("6 guardrails") and "->" in name]

    assert [row["share_rolled_back"] for row in harmful] == [1.0] * len(harmful)


@pytest.fixture(scope="module")
def committed() -> list[Row]:
    rows: list[Row] = json.loads(RESULTS.read_text())
    return rows


def test_committed_results__every_method_of_every_scenario__with_the_rollouts_of_a_full_run(
    committed: list[Row],
) -> None:
    found = [(row["scenario"], row["method"], row["replications"]) for row in committed]

    assert found == [(s.name, method, s.full) for s in scenarios() for method in (SERINUS, *s.methods)]


@pytest.mark.parametrize("scenario", REACHED, ids=lambda scenario: scenario.name)
def test_committed_results__what_the_design_asks_for__reached(committed: list[Row], scenario: Scenario) -> None:
    (row,) = (row for row in committed if (row["scenario"], row["method"]) == (scenario.name, SERINUS))

    assert scenario.reach
    assert row[scenario.reach.column] <= scenario.reach.limit


def test_page__committed_results__as_they_are(committed: list[Row]) -> None:
    assert f"{BEGIN}\n\n{markdown(committed)}\n{END}" in PAGE.read_text()
    for name, drawn in drawings(committed).items():
        assert PAGE.with_name(name).read_text() == drawn


@pytest.mark.parametrize(
    ("truth", "steps"),
    [
        (at_margin(HALLUCINATION, 1.5), RAMP),
        # 11 250 canary calls: a proof against the floor takes 5120
        (
            Truth(PlanMetric("rare", "rate", "lower", margin={"ratio": 2.0}), RATE, 0.0005, 0.001),
            ((0.25, 15_000), (0.5, 15_000)),
        ),
        (Truth(FAITHFULNESS.metric, FAITHFULNESS.measure, 0.94, 0.91), RAMP),
    ],
    ids=["rate", "rate at the floor", "score"],
)
def test_proof_of_safety__canary_exactly_at_the_margin__within_alpha(truth: Truth, steps: Steps) -> None:
    proofs = [is_proven_safe(truth, steps, rng) for rng in np.random.default_rng(8).spawn(120)]

    assert np.mean(proofs) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(proofs))


def test_proof_of_safety__equal_arms__comes() -> None:
    proofs = [is_proven_safe(FAITHFULNESS, ((0.25, 6000),), rng) for rng in np.random.default_rng(9).spawn(40)]

    assert np.mean(proofs) >= 0.9


def test_batch__as_the_evaluator__needs_as_many_observations() -> None:
    assert LEAST_BATCH == batches.LEAST_BATCH


def is_proven_safe(truth: Truth, steps: Steps, rng: np.random.Generator) -> bool:
    """Whether the metric's own evidence says so at any look, whatever else would have ended the rollout before."""
    scenario = Scenario("a proof", "promoted", (truth,), steps, full=0, quick=0)
    calls, baselines = scenario.draw(rng)
    name = truth.metric.name
    judged = Judged(truth.metric, baselines[name], calls.observed[name], [share for share, _ in steps])
    step_of = np.repeat(np.arange(len(steps)), [n for _, n in steps])
    canary = served_by_canary(calls, steps)
    for look in range(calls.looks):
        judged.look(look, canary=canary, step=step_of, bucket=calls.bucket, design_effects=True)
    return judged.report.max_log_e_safe >= log_threshold(scenario.plan.alpha)
