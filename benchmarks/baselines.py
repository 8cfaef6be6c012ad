"""How often does a baseline alert say something of nothing, and how soon does it find what is there?

    python -m benchmarks.baselines [--days 20000] [--runs 200]

Metrics whose level differs from day to day (log-normal), watched every five minutes by observability.core.baselines;
seeds are fixed. Writes results/baselines.json and the table of docs/explanation/baselines.md.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from observability.core.baselines import Baseline, Detector, Step, Sums, baseline, has_recovered, loss, together

PER_DAY = 288  # steps of five minutes
PER_HOUR = 12
BEFORE = 9  # days of which seven are a day's baseline: those that ended a day before it
Draw = Callable[[np.random.Generator, float, int], np.ndarray]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Kind:
    """A metric as it is simulated. level: oriented or not, as people know it. a_day: observations."""

    metric: str
    level: float
    a_day: int
    draw: Draw


def rates(rng: np.random.Generator, level: float, n: int) -> np.ndarray:
    return (rng.random(n) < level).astype(float)


def graded(rng: np.random.Generator, level: float, n: int) -> np.ndarray:
    """Scores as in benchmarks/operating_characteristics: beta, with a standard deviation of 0.14 at 0.94."""
    return rng.beta(level * 1.75, (1 - level) * 1.75, n)


def long_tailed(rng: np.random.Generator, level: float, n: int) -> np.ndarray:
    """Log-normal with a log-sd of 0.8, as costs and latencies of prompts are."""
    return level * np.exp(0.8 * rng.standard_normal(n) - 0.32)


FAITHFULNESS = Kind("faithfulness", 0.94, 4800, graded)
CORRECT = Kind("correct", 0.94, 4800, rates)
ERRORS = Kind("error_rate", 0.01, 20_000, rates)
COST = Kind("cost_per_call", 0.004, 20_000, long_tailed)
LATENCY = Kind("latency", 1200.0, 20_000, long_tailed)
SELDOM = Kind("error_rate", 0.01, 500, rates)


def step_of(kind: Kind, rng: np.random.Generator, level: float, number: int, quarter: int) -> Step:
    n = int(rng.poisson(kind.a_day / PER_DAY))
    values = kind.draw(rng, min(level, 0.999) if kind.level < 1 and kind.draw is not long_tailed else level, n)
    return Step(quarter, loss(kind.metric, Sums(n, float(values.sum()), float((values**2).sum()))))


def level_of(kind: Kind, times: float) -> float:
    """The level of which what is bad is so many times as much."""
    if kind.metric in ("faithfulness", "correct"):
        return max(0.0, 1 - (1 - kind.level) * times)
    return kind.level * times


def day_of(kind: Kind, rng: np.random.Generator, times: Sequence[float]) -> list[Step]:
    """times: per step of the day."""
    return [step_of(kind, rng, level_of(kind, t), number, number // (PER_DAY // 4)) for number, t in enumerate(times)]


def quarters(day: Sequence[Step]) -> dict[int, Sums]:
    return {q: together(step.sums for step in day if step.quarter == q) for q in range(4)}


def diurnal(swing: float) -> np.ndarray:
    return 1 + swing * np.sin(2 * np.pi * np.arange(PER_DAY) / PER_DAY)


def openings(kind: Kind, sd: float, swing: float, days: int, seed: int) -> int:
    """On how many of so many days an alert opens though nothing has changed, each five minutes a look.

    The detector of a day begins with the day before, so that it looks back at least as far as in production.
    """
    rng = np.random.default_rng(seed)
    seen: list[dict[int, Sums]] = []
    last: list[Step] = []
    opened, firing_for = 0, None
    for day in range(days + BEFORE):
        steps = day_of(kind, rng, np.exp(sd * rng.standard_normal()) * diurnal(swing))
        base = baseline(kind.metric, seen[-8:-1]) if day >= BEFORE else None
        if base is not None:
            found, firing_for = _watch(kind, base, last, steps, firing_for)
            opened += found > 0
        seen.append(quarters(steps))
        last = steps
    return opened


def _watch(
    kind: Kind, base: Baseline, last: Sequence[Step], steps: Sequence[Step], firing: list[Step] | None
) -> tuple[int, list[Step] | None]:
    """(how many opened, the steps since the open one opened). A resolved one begins anew with what came after it."""
    detector, opened = Detector(kind.metric, base), 0
    if firing is None:
        for step in last:
            detector.add(step)
    for number, step in enumerate(steps):
        if firing is not None:
            firing.append(step)
            if len(firing) >= PER_HOUR and number % PER_HOUR == 0:
                recent = together(one.sums for one in firing[-PER_HOUR:])
                if has_recovered(kind.metric, base, step.quarter, recent):
                    firing, detector = None, Detector(kind.metric, base)
            continue
        detector.add(step)
        if detector.fires:
            opened, firing = opened + 1, []
    return opened, firing


def delays(kind: Kind, to: float, sd: float, runs: int, seed: int) -> list[float | None]:
    """Minutes from the change until it is found, of each run; None: not within a day. The change comes at a random time
    of a day like the others."""
    found: list[float | None] = []
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        seen = [quarters(day_of(kind, rng, np.full(PER_DAY, np.exp(sd * rng.standard_normal())))) for _ in range(7)]
        base = baseline(kind.metric, seen)
        detector, at = Detector(kind.metric, base), int(rng.integers(0, PER_DAY))
        for number in range(PER_DAY):  # the day before the change
            detector.add(step_of(kind, rng, kind.level, number, (at + number) % PER_DAY // 72))
        delay = None
        for number in range(PER_DAY):
            detector.add(step_of(kind, rng, to, number, (at + number) % PER_DAY // 72))
            if detector.fires:
                delay = 5.0 * (number + 1)
                break
        found.append(delay)
    return found


def interval(k: int, n: int) -> tuple[float, float]:
    """Clopper-Pearson, 95 %."""
    from scipy.stats import beta

    return (
        0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1)),
        1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k)),
    )


HEALTHY = (  # kind, log-sd from day to day, swing within the day
    ("faithfulness, 4 800 judged a day", FAITHFULNESS, 0.2, 0.0),
    ("error rate 1 %, 20 000 calls a day", ERRORS, 0.2, 0.0),
    ("error rate 1 %, 500 calls a day", SELDOM, 0.2, 0.0),
    ("cost per call, 20 000 calls a day", COST, 0.2, 0.0),
    ("latency with a swing of 30 % within the day", LATENCY, 0.1, 0.3),
)
CHANGES = (  # kind, to, log-sd from day to day
    ("faithfulness 0.94 to 0.87, 200 judged an hour", FAITHFULNESS, 0.87, 0.05),
    ("faithfulness 0.94 to 0.87, 200 judged an hour", FAITHFULNESS, 0.87, 0.1),
    ("faithfulness 0.94 to 0.87, 200 judged an hour", FAITHFULNESS, 0.87, 0.2),
    ("right or wrong, 0.94 to 0.87, 200 judged an hour", CORRECT, 0.87, 0.05),
    ("error rate 1 to 2 %, 20 000 calls a day", ERRORS, 0.02, 0.1),
    ("error rate 1 to 10 %, 20 000 calls a day", ERRORS, 0.1, 0.1),
    ("cost per call x 1.5, 20 000 calls a day", COST, 0.006, 0.05),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1500, help="metric-days of each healthy metric")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", choices=("healthy", "changes"))
    parser.add_argument("--into", type=Path, default=HERE / "results" / "baselines.json")
    asked = parser.parse_args()
    results: dict[str, Any] = json.loads(asked.into.read_text()) if asked.only and asked.into.exists() else {}
    if asked.only != "changes":
        results["healthy"] = [healthy(*one, days=asked.days, seed=7 + n) for n, one in enumerate(HEALTHY)]
        without_swing = [one for one in results["healthy"] if one["sd"] == 0.2]
        k, n = (sum(one[name] for one in without_swing) for name in ("alerts", "days"))
        results["all_at_0.2"] = {"days": n, "alerts": k, "share": k / n, "interval": interval(k, n)}
    if asked.only != "healthy":
        results["changes"] = [changed(*one, runs=asked.runs, seed=70 + n) for n, one in enumerate(CHANGES)]
    asked.into.write_text(json.dumps(results, indent=1) + "\n")


def healthy(name: str, kind: Kind, sd: float, swing: float, *, days: int, seed: int) -> dict[str, Any]:
    alerts = openings(kind, sd, swing, days, seed)
    print(name, sd, swing, alerts, days, flush=True)
    return {
        "name": name, "sd": sd, "swing": swing, "days": days, "alerts": alerts, "share": alerts / days,
        "interval": interval(alerts, days),
    }  # fmt: skip


def changed(name: str, kind: Kind, to: float, sd: float, *, runs: int, seed: int) -> dict[str, Any]:
    all_of_them = delays(kind, to, sd, runs, seed)
    found = sorted(delay for delay in all_of_them if delay is not None)
    quantiles = {f"p{q}": float(np.quantile(found, q / 100)) for q in (50, 90, 99, 100)}
    in_two_hours = sum(delay <= 120 for delay in found)
    print(name, sd, len(found), in_two_hours, quantiles, flush=True)
    return {
        "name": name, "sd": sd, "runs": runs, "found_in_a_day": len(found), "found_in_two_hours": in_two_hours,
        "delay_min": quantiles,
    }  # fmt: skip


if __name__ == "__main__":
    main()
