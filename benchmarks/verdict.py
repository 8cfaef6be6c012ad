"""What one look at a rollout of six metrics costs in CPU time, after a thousand calls and after ten million.

    python -m benchmarks.verdict

The whole look as the evaluator takes it, on SQLite in a temporary folder: units, batches, six metrics of every kind,
verdict, all in one transaction. Each look finds the same thousand new calls; what differs is how many were counted
before. Beside it what folding one batch costs, without a database. The unit is one nchypergeom_fisher.logpmf of scipy,
of a batch of 100 calls, measured in the same run, so that figures of different machines can be compared. Nothing is
asserted: a busy machine is not a fault.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import nchypergeom_fisher

METRICS: list[dict[str, Any]] = [
    {"name": "error_rate"},
    {"name": "hallucination", "kind": "rate"},
    {"name": "thumbs_down"},
    {"name": "faithfulness", "kind": "score"},
    {"name": "cost_per_call"},
    {"name": "ttft"},
]
CALLS = 1000  # that each look finds
LOOKS = 15
SHARE = 0.05


def main() -> None:
    unit = median(cpu(lambda: nchypergeom_fisher(100, 3, 5, 2.0).logpmf(1)) for _ in range(200))
    print(
        f"Python {sys.version.split()[0]}; unit: one nchypergeom_fisher.logpmf of 100 calls, {unit * 1e6:.0f} µs of CPU"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SERINUS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        measure(unit)


def measure(unit: float) -> None:
    few, many = (look_after(calls) for calls in (10**3, 10**7))
    show("a look at 6 metrics, 1000 calls before it", few, unit)
    show("a look at 6 metrics, 10 000 000 calls before it", many, unit)
    print(f"  {'ratio of the two':50} {many / few:8.2f}")
    for metric in METRICS:
        show(f"fold 1000 calls into {metric['name']}", fold_of(metric), unit)


def look_after(calls: int) -> float:
    """CPU seconds of one look, the median of LOOKS, at a rollout that has counted this many calls."""
    from tests import rollouts as given

    rollout = given.rollout(f"after-{calls}", metrics=METRICS, alpha=0.0001, steps=[{"weight": "5%", "hold": "7d"}])
    learn(rollout)
    rng = np.random.default_rng(1)
    observe(rollout, rng, times=calls // CALLS)
    given.look_now(rollout)
    seconds = []
    for _ in range(LOOKS):
        observe(rollout, rng)
        seconds.append(cpu(lambda: given.look_now(rollout)))
    rollout.refresh_from_db()
    assert rollout.status == "running", "a rollout that has ended is not looked at"
    return median(seconds)


def learn(rollout: Any) -> None:
    """A baseline, as a control version with a past has it."""
    for metric in rollout.metrics.filter(measure__in=("cost_per_call", "ttft")):
        metric.baseline = values(np.random.default_rng(2), metric.measure, 2000)
        metric.save(update_fields=["baseline"])


def observe(rollout: Any, rng: np.random.Generator, *, times: int = 1) -> None:
    """The evidence of CALLS calls, each of them `times` times, spread over all units."""
    from observability import evidence
    from observability.core.evidence import Exposure, Observation

    for arm, n in (("canary", int(CALLS * SHARE)), ("control", CALLS - int(CALLS * SHARE))):
        version_id = rollout.versions[arm]
        for metric in METRICS:
            bins = [bin_ for bin_, count in values(rng, metric["name"], n).items() for _ in range(count)]
            evidence.add(
                Observation(Exposure(rollout.id, 0, arm, int(bucket)), version_id, metric["name"], bin_, times)
                for bin_, bucket in zip(bins, rng.permutation(len(bins)) % 256, strict=True)
            )


def values(rng: np.random.Generator, measure: str, n: int) -> dict[int, int]:
    """n observations of a healthy version, by bin."""
    from observability.core.evidence import SMALLEST, log_bin

    match measure:
        case "error_rate" | "hallucination":
            bins = 1000 * (rng.random(n) < 0.02)
        case "thumbs_down":
            bins = np.full(max(n // 100, 1), 1000)
        case "faithfulness":
            bins = np.round(1000 * rng.beta(1.6, 0.1, n)).astype(int)
        case _:
            scale = 0.002 if measure == "cost_per_call" else 400
            bins = np.array([log_bin(value, SMALLEST[measure]) for value in scale * rng.lognormal(0, 0.6, n)])
    found, counts = np.unique(bins, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def fold_of(metric: Mapping[str, Any]) -> float:
    """CPU seconds of one fold, the median of many."""
    from rollout.core.stats import metric as statistics
    from rollout.plans import Seen, read_plan

    planned = read_plan({"metrics": [metric]}, seen=Seen()).metrics[0]
    rng = np.random.default_rng(3)
    frozen = statistics.freeze(planned, baseline=values(rng, planned.measure, 2000), shares=[SHARE])
    canary = int(CALLS * SHARE)
    fold = partial(
        statistics.fold,
        frozen,
        statistics.start(frozen),
        step=0,
        control=values(rng, planned.measure, CALLS - canary),
        canary=values(rng, planned.measure, canary),
    )
    return median(cpu(fold) for _ in range(100))


def show(what: str, seconds: float, unit: float) -> None:
    print(f"  {what:50} {seconds / unit:8.2f} units {seconds * 1e3:10.2f} ms")


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one run of the work."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
