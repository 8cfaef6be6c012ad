"""Repeats scenarios over processes and sums the outcomes up as rows.

Each rollout has a random stream of its own, made of the seed, the scenario's name and the rollout's number: results
depend neither on the number of processes nor on which other scenarios are run.
"""

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.operating_characteristics.driving import End, Outcome, drive
from benchmarks.operating_characteristics.references import METHODS, first_broken_ratio, first_finds
from benchmarks.operating_characteristics.scenarios import (
    CALLS_ALONE,
    CHI_SQUARE,
    SERINUS,
    Scenario,
    scenarios,
)
from benchmarks.operating_characteristics.traffic import LOOK, Bools, served_by_canary

SEED = 3
ENDS = ("rolled_back", "promoted", "invalid")

Row = Mapping[str, Any]


def run(
    chosen: Sequence[Scenario],
    *,
    quick: bool,
    processes: int,
    progress: Callable[[str], None],
    references: bool = True,
) -> Iterator[list[Row]]:
    """The rows of each scenario, in their order. references: also of the methods that Serinus is compared with."""
    places = {scenario.name: place for place, scenario in enumerate(scenarios())}
    with get_context("spawn").Pool(processes) as pool:
        for scenario in chosen:
            start, n = time.monotonic(), scenario.quick if quick else scenario.full
            tasks = [(places[scenario.name], number, references) for number in range(n)]
            outcomes = pool.map(_rollout, tasks, chunksize=max(1, min(8, n // (4 * processes))))
            new = list(_rows(scenario, outcomes))
            progress(f"{scenario.name}: {n} rollouts in {time.monotonic() - start:.0f} s")
            for row in new:
                progress(f"    {_line(row)}")
            yield new


def rollout(scenario: Scenario, number: int) -> dict[str, Outcome]:
    """What each method made of the scenario's rollout of that number."""
    seed = np.random.SeedSequence(SEED, spawn_key=(zlib.crc32(scenario.name.encode()), number))
    calls, baselines = scenario.draw(np.random.default_rng(seed))
    canary = served_by_canary(calls, scenario.steps)
    found = {SERINUS: drive(scenario.plan, calls, baselines)}
    for method in scenario.methods:
        if method == CALLS_ALONE:
            found[method] = drive(scenario.plan, calls, baselines, design_effects=False)
        elif method == CHI_SQUARE:
            found[method] = _ended("invalid", first_broken_ratio(calls, canary, scenario.steps[0][0]), canary)
        else:
            found[method] = _ended("rolled_back", first_finds(METHODS[method], scenario.truths, calls, canary), canary)
    return found


def _rollout(task: tuple[int, int, bool]) -> dict[str, Outcome]:
    """The scenario by its place: its functions cannot be sent to another process."""
    place, number, references = task
    scenario = scenarios()[place]
    return rollout(scenario if references else replace(scenario, methods=()), number)


def _ended(end: End, look: int | None, canary: Bools) -> Outcome:
    """The outcome of a method that ends a rollout at one look, if at all."""
    if look is None:
        return Outcome("undecided", len(canary), int(canary.sum()))
    calls = (look + 1) * LOOK
    return Outcome(end, calls, int(canary[:calls].sum()))


def _rows(scenario: Scenario, rollouts: Sequence[Mapping[str, Outcome]]) -> Iterator[Row]:
    for method in rollouts[0]:
        outcomes = [found[method] for found in rollouts]
        n = len(outcomes)
        ended = [outcome for outcome in outcomes if outcome.end == scenario.about]
        interval = binomtest(len(ended), n).proportion_ci()
        missing = [math.inf] * (n - len(ended))
        canary_calls = sorted([outcome.canary_calls for outcome in ended]) + missing
        yield {
            "scenario": scenario.name,
            "method": method,
            "replications": n,
            "about": f"share_{scenario.about}",
            **{f"share_{end}": _share(outcomes, end) for end in ENDS},
            "ci_low": round(float(interval.low), 5),
            "ci_high": round(float(interval.high), 5),
            "median_canary_calls": _or_none(median(canary_calls)),
            "p90_canary_calls": _or_none(canary_calls[math.ceil(0.9 * n) - 1]),
            "median_calls": _or_none(median(sorted(outcome.calls for outcome in ended) + missing)),
        }


def _share(outcomes: Sequence[Outcome], end: str) -> float:
    return round(sum(outcome.end == end for outcome in outcomes) / len(outcomes), 5)


def _or_none(calls: float) -> float | None:
    return calls if math.isfinite(calls) else None


def _line(row: Row) -> str:
    found = f"{row[row['about']]:7.2%} [{row['ci_low']:.2%}, {row['ci_high']:.2%}]"
    calls = " ".join(f"{row[key] or '-':>8}" for key in ("median_canary_calls", "p90_canary_calls", "median_calls"))
    return f"{row['method']:28} {row['about'][6:]:11} {found:26} {calls}"
