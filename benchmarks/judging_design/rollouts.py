"""Rollouts whose arms are judged in unequal shares: how often is harm found that is not there, and when if it is?

Scores come late, later when they are bad; the judge is down for a while now and then, and some of what waits for it
meanwhile never gets a score. All of that is the same for both arms. The shares are the plan's own (core.judged);
batches are folded, the ratio of judged calls is tested and decisions are made by the code that does so in production.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.operating_characteristics.driving import Judged as Metric
from benchmarks.operating_characteristics.measures import Array, Ints
from benchmarks.operating_characteristics.traffic import Bools, Observed
from observability.core.evidence import ARMS, TOP_BIN, UnitSums
from rollout.core.judged import split_by_step
from rollout.core.plan import Judged, Plan, PlanMetric, PlanStep
from rollout.core.stats import metric as statistics
from rollout.core.stats.design_effect import BUCKETS
from rollout.core.stats.sample_ratio import mean_log_bayes_factor
from rollout.core.verdict import Finding, Situation, decide
from rollout.units import Units

SEED = 8
LOOK = 500  # calls between two looks; a batch of 40 scores takes 2 000 at 2 %
DAY = 20_000  # calls
FAILED = 0.03  # of the calls of either arm
SCORE_SIZE = 1.75  # as in benchmarks.operating_characteristics.measures
OF_FAILED = 0.5  # mean score
BASELINE = 400  # scores of the control before the start
DELAY, DELAY_OF_BAD = 300.0, 900.0  # calls, on average
BETWEEN_OUTAGES, OUTAGE = 15_000.0, 3_000.0  # calls, on average
GIVEN_UP = 0.3  # of what is due in an outage
ROLLBACK, INVALID = ("rollback",), ("invalid",)
RAMP = ((0.05, DAY), (0.25, DAY), (0.5, DAY))


@dataclass(frozen=True, slots=True)
class World:
    """judged: the share of all calls that may be. even: both arms alike, instead of as the plan parts it. failed_count:
    failed calls are judged always, and their scores are evidence. ratio_tested: False leaves the ratio of judged calls
    out of the decision. about: the ends whose shares are told."""

    name: str
    about: tuple[str, ...]
    judged: float
    full: int
    quick: int
    steps: tuple[tuple[float, int], ...] = RAMP
    canary: float = 0.94
    even: bool = False
    failed_count: bool = False
    ratio_tested: bool = True


WORLDS = (
    World("equal arms, 2 % judged, 5-25-50 %", ROLLBACK + INVALID, 0.02, 3000, 40),
    World("equal arms, 5 % judged, 5-25-50 %", ROLLBACK, 0.05, 400, 40),
    World("equal arms, 2 % judged, 5-25-50-90 %", ROLLBACK, 0.02, 400, 40, steps=(*RAMP, (0.9, DAY))),
    World("failed calls counted: equal arms, 5 %", INVALID, 0.02, 200, 20, steps=((0.05, DAY),), failed_count=True),
    World(
        "failed calls counted, ratio not tested: equal arms, 90 %",
        ROLLBACK,
        0.02,
        200,
        20,
        steps=((0.9, DAY),),
        failed_count=True,
        ratio_tested=False,
    ),
    World("faithfulness .94 -> .87, 2 % judged, 5 %", ROLLBACK, 0.02, 200, 20, steps=((0.05, 5 * DAY),), canary=0.87),
    World("the same, both arms judged alike", ROLLBACK, 0.02, 200, 20, ((0.05, 5 * DAY),), canary=0.87, even=True),
    World(
        "the same, failed calls counted, ratio not tested",
        ROLLBACK,
        0.02,
        200,
        20,
        ((0.05, 5 * DAY),),
        canary=0.87,
        failed_count=True,
        ratio_tested=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """end: rollback, invalid or none; then all calls, and judged calls of the canary, until it."""

    end: str
    calls: int
    judged_of_canary: int


def run(*, quick: bool, processes: int) -> Iterator[Mapping[str, Any]]:
    with get_context("spawn").Pool(processes) as pool:
        for number, world in enumerate(WORLDS):
            n = world.quick if quick else world.full
            outcomes = pool.map(partial(rollout, number), range(n), chunksize=max(1, n // (8 * processes)))
            for about in world.about:
                yield _row(world, about, outcomes)


def rollout(world: int, number: int) -> Outcome:
    """One rollout of the world at this place, to its end or to the last call."""
    of = WORLDS[world]
    seed = np.random.SeedSequence(SEED, spawn_key=(zlib.crc32(of.name.encode()), number))
    rng = np.random.default_rng(seed)
    plan = _plan(of)
    calls = _calls(rng, of, plan)
    shares = [weight for weight, _ in of.steps]
    baseline = np.unique(_scores(rng, np.full(BASELINE, 0.94), rng.random(BASELINE) < FAILED), return_counts=True)
    counts = dict(zip(*(side.tolist() for side in baseline), strict=True))
    return _drive(of, plan, Metric(plan.metrics[0], counts, calls.observed, shares), calls)


@dataclass(frozen=True, slots=True)
class Calls:
    canary: Bools
    step: Ints
    bucket: Ints
    observed: Observed


def _plan(world: World) -> Plan:
    weights = [weight for weight, _ in world.steps]
    alike = (Judged(world.judged, world.judged),) * len(weights)
    shares = alike if world.even else split_by_step(world.judged, weights=weights)
    metric = PlanMetric("faithfulness", "score", "higher", evaluator="faithfulness@1", judged_by_step=shares)
    steps = tuple(PlanStep(round(weight * 10_000), calls) for weight, calls in world.steps)
    return Plan((metric,), steps)


def _calls(rng: np.random.Generator, world: World, plan: Plan) -> Calls:
    step = np.repeat(np.arange(len(world.steps)), [calls for _, calls in world.steps])
    n, by_step = len(step), plan.metrics[0].judged_by_step
    canary = rng.random(n) < np.array([weight for weight, _ in world.steps])[step]
    share = np.where(canary, np.array([s.canary for s in by_step])[step], np.array([s.control for s in by_step])[step])
    failed = rng.random(n) < FAILED
    judged = np.flatnonzero((rng.random(n) < share) | (failed & world.failed_count))
    drift = 1 + 0.3 * np.sin(2 * np.pi * (judged / DAY + rng.random()))
    mean = np.where(canary[judged], world.canary, 0.94)
    value = _scores(rng, 1 - (1 - mean) * drift, failed[judged])
    came = _arrivals(rng, judged, value, n)
    order = np.argsort(came, kind="stable")
    order = order[came[order] < n]
    arrived = np.searchsorted(came[order] // LOOK, np.arange(n // LOOK + 1))
    observed = Observed(judged[order], value[order], value[order], arrived)
    return Calls(canary, step, rng.integers(0, BUCKETS, n), observed)


def _scores(rng: np.random.Generator, mean: Array, failed: Bools) -> Ints:
    mean = np.where(failed, OF_FAILED, mean)
    return np.round(TOP_BIN * rng.beta(mean * SCORE_SIZE, (1 - mean) * SCORE_SIZE)).astype(np.int64)


def _arrivals(rng: np.random.Generator, judged: Ints, value: Ints, n: int) -> Array:
    """When each score comes, in calls since the start; infinity for never."""
    came: Array = judged + rng.exponential(np.where(value < TOP_BIN // 2, DELAY_OF_BAD, DELAY))
    down = rng.exponential(BETWEEN_OUTAGES)
    while down < n:
        up = down + rng.exponential(OUTAGE)
        due = (came >= down) & (came < up)
        again = up + rng.exponential(DELAY, len(came))
        came = np.where(due, np.where(rng.random(len(came)) < GIVEN_UP, np.inf, again), came)
        down = up + rng.exponential(BETWEEN_OUTAGES)
    return came


def _drive(world: World, plan: Plan, metric: Metric, calls: Calls) -> Outcome:
    looks = len(calls.canary) // LOOK
    for look in range(looks):
        if calls.observed.arrived[look] == calls.observed.arrived[look + 1]:
            continue
        if not metric.look(look, canary=calls.canary, step=calls.step, bucket=calls.bucket, design_effects=True):
            continue
        now = (look + 1) * LOOK
        finding = _decide(world, plan, metric, step=int(calls.step[now - 1]))
        if finding.kind in ("harmful", "invalid"):
            return _outcome("rollback" if finding.kind == "harmful" else "invalid", now, metric)
    return _outcome("none", looks * LOOK, metric)


def _decide(world: World, plan: Plan, metric: Metric, *, step: int) -> Finding:
    ratio = Units(_buckets(metric.counted), plan).judged_ratio
    situation = Situation(
        reports=(metric.report,),
        log_e_harm=statistics.overall_log_e([metric.report]),
        log_e_sample_ratio=0.0,
        log_e_judged_ratio=mean_log_bayes_factor(ratio.values()) if world.ratio_tested else 0.0,
        canary_units=0,
        fresh=True,
        step=step,
        hold_served=False,
        time_is_up=False,
        paused=False,
        hold_reason="",
    )
    return decide(situation, plan)


def _buckets(counted: Ints) -> dict[tuple[int, str], dict[str, dict[int, UnitSums]]]:
    """As observability.evidence.unit_buckets; only how many is asked here."""
    return {
        (step, "faithfulness"): {
            arm: {bucket: UnitSums(n, 0, 0) for bucket, n in enumerate(of_arm.tolist()) if n}
            for arm, of_arm in zip(ARMS, of_step, strict=True)
        }
        for step, of_step in enumerate(counted)
        if of_step.any()
    }


def _outcome(end: str, calls: int, metric: Metric) -> Outcome:
    return Outcome(end, calls, int(metric.counted[:, 1].sum()))


def _row(world: World, about: str, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    n = len(outcomes)
    ended = [outcome for outcome in outcomes if outcome.end == about]
    interval = binomtest(len(ended), n).proportion_ci()
    missing = [float("inf")] * (n - len(ended))
    middle = [median([*(getattr(o, of) for o in ended), *missing]) for of in ("judged_of_canary", "calls")]
    canary, calls = (None if np.isinf(value) else value for value in middle)
    return {
        "about": f"share_{about}",
        "name": world.name,
        "replications": n,
        "share": round(len(ended) / n, 5),
        "low": round(float(interval.low), 5),
        "high": round(float(interval.high), 5),
        "median_judged_of_canary": canary,
        "median_calls": calls,
    }
