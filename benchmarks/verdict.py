"""What a closed batch and a verdict cost in CPU time, as ratios to one evaluation of scipy's own distribution.

    python -m benchmarks.verdict

The unit is one scipy.stats.nchypergeom_fisher.logpmf of a batch of 100 calls, measured in the same run, so that figures
of different machines can be compared. Nothing is asserted: a busy machine is not a fault.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from scipy.stats import nchypergeom_fisher

from rollout.core.stats import metric
from rollout.core.stats.margins import Kind
from rollout.core.stats.sample_ratio import StepUnits, effective_units, log_bayes_factor

SECONDS = 0.3
KINDS: tuple[Kind, ...] = ("rate", "score")


def main() -> None:
    unit = cpu(lambda: nchypergeom_fisher(100, 3, 5, 2.0).logpmf(1))
    print(
        f"Python {sys.version.split()[0]}; unit: one nchypergeom_fisher.logpmf of 100 calls, {unit * 1e6:.0f} µs of CPU"
    )
    for kind in KINDS:
        frozen = of_kind(kind)
        for calls in (100, 10_000, 1_000_000):
            control, canary = batch(kind, calls)
            state = metric.fold(frozen, metric.start(frozen), step=0, control=control, canary=canary)
            fold = partial(metric.fold, frozen, state, step=0, control=control, canary=canary)
            show(f"fold a batch of {calls} calls into a {kind}", fold, unit)
    for calls in (10**3, 10**7):
        show(f"verdict of 2 metrics at {calls} calls", verdict_at(calls), unit)


def verdict_at(calls: int) -> Callable[[], object]:
    """One look as the evaluator takes it: stored state in, both metrics and the sample ratio out."""
    stored = []
    for kind in KINDS:
        frozen, state = of_kind(kind), metric.start(of_kind(kind))
        for _ in range(10):
            control, canary = batch(kind, calls // 10)
            state = metric.fold(frozen, state, step=0, control=control, canary=canary)
        stored.append((frozen.to_json(), state.to_json()))
    units = StepUnits(0.05, dict.fromkeys(range(256), calls * 19 // 5120), dict.fromkeys(range(256), calls // 5120))

    def look() -> object:
        reports = [
            metric.report(metric.Frozen.from_json(frozen), metric.State.from_json(state)) for frozen, state in stored
        ]
        return (
            metric.overall_log_e(reports),
            log_bayes_factor([units]),
            effective_units(units.control, units.canary),
        )

    return look


def of_kind(kind: Kind) -> metric.Frozen:
    return metric.freeze(
        name=kind,
        kind=kind,
        direction="lower",
        role="guardrail",
        weight=1,
        margin=None,
        baseline_n=1000,
        baseline_total=20,
    )


def batch(kind: Kind, calls: int) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """5 % canary. A rate fails at 2 %; scores spread over up to 700 bins."""
    canary = calls // 20
    if kind == "rate":
        failures = round(canary * 0.02)
        control_failures = round((calls - canary) * 0.02)
        return {0: calls - canary - control_failures, 1000: control_failures}, {0: canary - failures, 1000: failures}
    control_bins, canary_bins = min(700, calls - canary), min(700, canary)
    return (
        dict.fromkeys(range(control_bins), (calls - canary) // control_bins),
        dict.fromkeys(range(canary_bins), canary // canary_bins),
    )


def show(what: str, work: Callable[[], object], unit: float) -> None:
    seconds = cpu(work)
    print(f"  {what:45} {seconds / unit:8.2f} units {seconds * 1e6:10.0f} µs")


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one run of the work, the mean over SECONDS of them."""
    work()
    runs, start = 0, time.process_time()
    while time.process_time() - start < SECONDS:
        work()
        runs += 1
    return (time.process_time() - start) / runs


if __name__ == "__main__":
    main()
