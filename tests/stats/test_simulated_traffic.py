"""The simulations themselves: calls are what they are said to be, and results depend on nothing but the seed."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.operating_characteristics.crowds import one_call_a_unit, pool
from benchmarks.operating_characteristics.measures import COST, RATE, SCORE, TTFT, Measure
from benchmarks.operating_characteristics.page import BEGIN, END, drawings, markdown, publish
from benchmarks.operating_characteristics.running import run
from benchmarks.operating_characteristics.scenarios import COSTS, FAITHFULNESS, HALLUCINATION, scenarios
from benchmarks.operating_characteristics.traffic import DAY, LOOK, Truth, draw_calls, served_by_canary, steady, wave


@pytest.mark.parametrize(
    ("measure", "level"),
    [(RATE, 0.018), (SCORE, 0.94), (COST, 0.004), (TTFT, 463.0)],
    ids=["rate", "score", "cost", "ttft"],
)
def test_measure__many_draws__mean_is_the_level(measure: Measure, level: float) -> None:
    bins = measure.draw(np.random.default_rng(1), np.full(400_000, level))

    assert measure.value(bins).mean() == pytest.approx(level, rel=0.02)


def test_pool__twenty_calls_each__four_hundred_users_at_a_time() -> None:
    units = pool(users=400, calls_each=20)(np.random.default_rng(2), 50_000)

    calls = np.bincount(units)
    assert calls.max() == 20
    assert (calls < 20).sum() <= 400


def test_calls__alike_failures__correlate_as_told() -> None:
    truth = Truth(HALLUCINATION.metric, RATE, 0.018, 0.018, alike=0.2)
    calls = draw_calls(np.random.default_rng(3), [truth], 200_000, crowd=lambda _, n: np.arange(n) // 20, drift=steady)

    failed = (calls.observed["hallucination"].control > 0).reshape(-1, 20)
    rate = failed.mean()
    between = (failed.mean(axis=1).var() - rate * (1 - rate) / 20) * 20 / 19
    assert rate == pytest.approx(0.018, rel=0.1)
    assert between / (rate * (1 - rate)) == pytest.approx(0.2, rel=0.1)


def test_calls__judged_later__arrive_after_the_call_in_order() -> None:
    truth = Truth(FAITHFULNESS.metric, SCORE, 0.94, 0.94, judged=0.05, delay=300)
    calls = draw_calls(np.random.default_rng(4), [truth], DAY, crowd=one_call_a_unit, drift=steady)

    observed = calls.observed["faithfulness"]
    look = np.repeat(np.arange(calls.looks), np.diff(observed.arrived))
    waits = look - observed.call // LOOK
    assert len(observed.call) == pytest.approx(0.05 * DAY, rel=0.1)
    assert waits.min() >= 0
    assert waits.mean() * LOOK == pytest.approx(300, rel=0.1)


def test_calls__canary_given_more_than_planned__gets_it() -> None:
    calls = draw_calls(np.random.default_rng(5), [], 100_000, crowd=one_call_a_unit, drift=steady, skew=1.2)

    assert served_by_canary(calls, [(0.05, 100_000)]).mean() == pytest.approx(0.06, rel=0.05)


def test_wave__whole_periods__averages_one() -> None:
    factor = wave(amplitude=0.3, period=DAY)(np.random.default_rng(6), DAY)

    assert factor.mean() == pytest.approx(1)
    assert factor.max() == pytest.approx(1.3, rel=1e-6)


def test_drift__of_a_score__makes_its_shortfall_larger() -> None:
    drifted = [truth.measure.drifted(truth.control, np.array([1.5]))[0] for truth in (FAITHFULNESS, COSTS)]

    assert drifted == pytest.approx([0.91, 0.006])


def test_run__one_process_or_two__same_rows() -> None:
    chosen = [scenario for scenario in scenarios() if scenario.name == "faithfulness .94 -> .87"]

    alone, together = (run(chosen, quick=True, processes=n, progress=lambda line: None) for n in (1, 2))

    assert alone == together


def test_publish__page_with_markers__only_what_is_between_changes(tmp_path: Path) -> None:
    chosen = [scenario for scenario in scenarios() if scenario.name == "faithfulness .94 -> .87"]
    rows = run(chosen, quick=True, processes=1, progress=lambda line: None)
    page = tmp_path / "statistics.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    publish(rows, page)

    assert page.read_text() == f"before\n{BEGIN}\n\n{markdown(rows)}\n{END}\nafter\n"
    for name, drawing in drawings(rows).items():
        assert page.with_name(name).read_text() == drawing
        assert ElementTree.fromstring(drawing).tag.endswith("svg")


def test_publish__page_without_markers__refused(tmp_path: Path) -> None:
    page = tmp_path / "statistics.md"
    page.write_text("nothing to replace")

    with pytest.raises(ValueError, match="expected the markers"):
        publish([], page)
