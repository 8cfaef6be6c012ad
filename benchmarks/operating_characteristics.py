"""How often the verdict is wrong and how soon it is right: simulated rollouts through the project's own statistics.

    python -m benchmarks.operating_characteristics [--rollouts 400]      40 take two minutes, 400 twenty

Fixed seeds. docs/explanation/statistics.md shows what it printed with 400, and says which figures are not from it.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.stats import binomtest

from rollout.core.stats import metric
from rollout.core.stats.sample_ratio import LOG_THRESHOLD, StepUnits, log_bayes_factor

Draw = Callable[[np.random.Generator, int], Mapping[int, int]]

BATCH = 100
THRESHOLD = math.log(20)


@dataclass(frozen=True, slots=True)
class Truth:
    """A metric with what each arm really does."""

    frozen: metric.Frozen
    control: Draw
    canary: Draw


@dataclass(frozen=True, slots=True)
class Look:
    canary: int
    reports: Sequence[metric.Report]


def rate(control: float, canary: float, *, baseline_n: int = 10_000, margin: float | None = None) -> Truth:
    frozen = metric.freeze(
        name="rate",
        kind="rate",
        direction="lower",
        role="guardrail",
        weight=1,
        margin={"ratio": margin} if margin else None,
        baseline_n=baseline_n,
        baseline_total=baseline_n * control,
    )
    return Truth(frozen, ones(control), ones(canary))


def score(control: float, canary: float, draw: Callable[[float], Draw], *, baseline_n: int = 1000) -> Truth:
    frozen = metric.freeze(
        name="score",
        kind="score",
        direction="higher",
        role="guardrail",
        weight=1,
        margin=None,
        baseline_n=baseline_n,
        baseline_total=baseline_n * control,
    )
    return Truth(frozen, draw(control), draw(canary))


def ones(share: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> Mapping[int, int]:
        failures = int(rng.binomial(n, share))
        return {0: n - failures, 1000: failures}

    return draw


def beta(mean: float, *, size: float = 1.75) -> Draw:
    """Scores spread like a judge's: most near 1, some anywhere. size 1.75 is a standard deviation of .14 at .94."""

    def draw(rng: np.random.Generator, n: int) -> Mapping[int, int]:
        bins, counts = np.unique(np.round(1000 * rng.beta(mean * size, (1 - mean) * size, n)), return_counts=True)
        return dict(zip(bins.astype(int).tolist(), counts.tolist(), strict=True))

    return draw


def looks(rng: np.random.Generator, truths: Sequence[Truth], *, weights: Sequence[float], calls: int) -> Iterator[Look]:
    """A rollout of `calls` calls, its steps equally long, with a look after every BATCH of them."""
    states = [metric.start(truth.frozen) for truth in truths]
    seen = 0
    for number in range(calls // BATCH):
        step = number * len(weights) * BATCH // calls
        canary = int(rng.binomial(BATCH, weights[step]))
        seen += canary
        states = [
            metric.fold(
                truth.frozen,
                state,
                step=step,
                control=truth.control(rng, BATCH - canary),
                canary=truth.canary(rng, canary),
            )
            for truth, state in zip(truths, states, strict=True)
        ]
        reports = [metric.report(truth.frozen, state) for truth, state in zip(truths, states, strict=True)]
        yield Look(seen, reports)


def canary_calls_until(
    reached: Callable[[Look], bool],
    truths: Sequence[Truth],
    *,
    rollouts: int,
    calls: int,
    weights: Sequence[float] = (0.05,),
    seed: int = 1,
) -> list[float]:
    """Canary calls until a look reached it, for each of the rollouts; infinity where none did."""
    rngs = np.random.default_rng(seed).spawn(rollouts)
    return [
        next(
            (float(look.canary) for look in looks(rng, truths, weights=weights, calls=calls) if reached(look)), math.inf
        )
        for rng in rngs
    ]


def harmful(look: Look) -> bool:
    return metric.overall_log_e(look.reports) >= THRESHOLD


def safe(look: Look) -> bool:
    return all(report.max_log_e_safe >= THRESHOLD for report in look.reports)


def interval_misses(difference: float) -> Callable[[Look], bool]:
    def misses(look: Look) -> bool:
        shown = [report.interval for report in look.reports if report.interval]
        return any(not low <= difference <= high for low, high in shown)

    return misses


def calls_until_ratio_is_broken(
    rng: np.random.Generator, units: Sequence[int], *, planned: float, real: float
) -> float:
    """Calls until the sample ratio test fires, with a look every 100 calls; units: whose call each one is."""
    names, whose = np.unique(units, return_inverse=True)
    in_canary, bucket = rng.random(len(names)) < real, rng.integers(0, 256, len(names))
    control, canary = np.zeros(256, dtype=int), np.zeros(256, dtype=int)
    for first in range(0, len(whose), 100):
        call = whose[first : first + 100]
        np.add.at(canary, bucket[call[in_canary[call]]], 1)
        np.add.at(control, bucket[call[~in_canary[call]]], 1)
        arms = (dict(enumerate(arm.tolist())) for arm in (control, canary))
        if log_bayes_factor([StepUnits(planned, *arms)]) >= LOG_THRESHOLD:
            return first + 100
    return math.inf


CROWDS: Mapping[str, Callable[[np.random.Generator, int], Sequence[int]]] = {
    "1 call a unit": lambda rng, n: np.arange(n).tolist(),
    "20 calls a unit": lambda rng, n: (np.arange(n) // 20).tolist(),
    "sessions of 20 on average": lambda rng, n: np.repeat(np.arange(n), rng.geometric(0.05, n))[:n].tolist(),
    "1 000 users come again": lambda rng, n: rng.integers(0, 1000, n).tolist(),
    "3 units": lambda rng, n: rng.integers(0, 3, n).tolist(),
    "30 units": lambda rng, n: rng.integers(0, 30, n).tolist(),
    "one unit makes half of all calls": lambda rng, n: np.where(rng.random(n) < 0.5, 0, np.arange(1, n + 1)).tolist(),
    "one unit makes 1 % of all calls": lambda rng, n: np.where(rng.random(n) < 0.01, 0, np.arange(1, n + 1)).tolist(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rollouts", type=int, default=40)
    rollouts = parser.parse_args().rollouts
    print(f"Median canary calls to a rollback, 5 % canary, batches of {BATCH}, {rollouts} rollouts")
    for name, truth, calls in (
        ("rate 1.8 -> 4.1 %", rate(0.018, 0.041), 60_000),
        ("rate 1 -> 2 %", rate(0.01, 0.02), 100_000),
        ("rate 10 -> 12 %", rate(0.1, 0.12), 100_000),
        ("rate 30 -> 36 %", rate(0.3, 0.36), 60_000),
        ("rate 1.8 -> 4.1 %, no baseline", rate(0.018, 0.041, baseline_n=0), 60_000),
        ("score .94 -> .87", score(0.94, 0.87, beta), 20_000),
        ("score .94 -> .87, no baseline", score(0.94, 0.87, beta, baseline_n=0), 20_000),
        ("score .94 -> .92", score(0.94, 0.92, beta), 60_000),
    ):
        _print_delay(name, canary_calls_until(harmful, [truth], rollouts=rollouts, calls=calls))
    print("Median canary calls to a proof of safety, truly equal arms")
    for name, truth, calls in (
        ("rate 1.8 %, margin x1.5", rate(0.018, 0.018), 80_000),
        ("rate 1 %, margin x2", rate(0.01, 0.01, margin=2), 80_000),
        ("score .94, margin .03", score(0.94, 0.94, beta), 20_000),
    ):
        _print_delay(name, canary_calls_until(safe, [truth], rollouts=rollouts // 2, calls=calls, seed=2))
    print("Share of wrong decisions")
    flat, ramp = (0.05,), (0.05, 0.25, 0.5)
    for name, reached, truths, calls, weights in (
        ("rolled back: rates 1 % and 1.8 %, 50 000 calls at 5 %", harmful, _two_rates(), 50_000, flat),
        ("rolled back: the same, ramp 5-25-50 %", harmful, _two_rates(), 50_000, ramp),
        ("rolled back: score .94, 10 000 judged at 5 %", harmful, [score(0.94, 0.94, beta)], 10_000, flat),
        (
            "rolled back: score .94, 10 000 judged, half of them canary",
            harmful,
            [score(0.94, 0.94, beta)],
            10_000,
            (0.5,),
        ),
        ("found safe: rate 1.8 % exactly at the margin x1.5", safe, [_at_margin(0.018, 1.5)], 50_000, ramp),
        ("found safe: score .94 exactly at the margin .03", safe, [score(0.94, 0.91, beta)], 20_000, ramp),
        ("interval ever wrong: rate 1.8 %", interval_misses(0), [rate(0.018, 0.018)], 30_000, flat),
        ("interval ever wrong: rate 1.8 -> 4.1 %", interval_misses(0.023), [rate(0.018, 0.041)], 30_000, flat),
        ("interval ever wrong: rate 30 -> 36 %, ramp", interval_misses(0.06), [rate(0.3, 0.36)], 30_000, ramp),
        ("interval ever wrong: score .94 -> .87", interval_misses(-0.07), [score(0.94, 0.87, beta)], 20_000, flat),
    ):
        _print_share(name, canary_calls_until(reached, truths, rollouts=rollouts, calls=calls, weights=weights, seed=3))
    print("Sample ratio at alpha .001, a look every 100 calls")
    for real in (0.06, 0.04):
        delays = [
            calls_until_ratio_is_broken(rng, range(40_000), planned=0.05, real=real)
            for rng in np.random.default_rng(4).spawn(rollouts // 4)
        ]
        _print_delay(f"{real:.0%} instead of 5 %, 1 call a unit (calls)", delays)
    for name, crowd in CROWDS.items():
        for planned in (0.01, 0.05, 0.25):
            delays = [
                calls_until_ratio_is_broken(rng, crowd(rng, 30_000), planned=planned, real=planned)
                for rng in np.random.default_rng(5).spawn(rollouts // 2)
            ]
            _print_share(f"fired falsely at {planned:.0%}: {name}, 30 000 calls", delays)


def _two_rates() -> list[Truth]:
    return [rate(0.01, 0.01), rate(0.018, 0.018)]


def _at_margin(control: float, ratio: float) -> Truth:
    odds = control / (1 - control) * ratio
    return rate(control, odds / (1 + odds), margin=ratio)


def _print_delay(name: str, delays: Sequence[float]) -> None:
    found = sum(map(math.isfinite, delays)) / len(delays)
    print(f"  {name:58} {median(delays):8.0f}  ({found:.1%} of {len(delays)})", flush=True)


def _print_share(name: str, delays: Sequence[float]) -> None:
    wrong = sum(map(math.isfinite, delays))
    low, high = binomtest(wrong, len(delays)).proportion_ci()
    print(f"  {name:58} {wrong / len(delays):8.2%}  [{low:.2%}, {high:.2%}] of {len(delays)}", flush=True)


if __name__ == "__main__":
    main()
