"""Foresight: how many calls does a metric take to be decided, if the canary is worse by its margin, or just as good?

No formula of the evidence is repeated here. What one more call of an arm adds to the logs of the e-values is read off
the process itself, which weighs a large batch, such as is to be expected, with a few of those calls more and less: but
for a part in n, the logs are linear in what a batch holds. Then calls arrive at random on many paths side by side until
each path's e-value has reached its threshold, which takes fluctuation, overshoot and the ramp into account.

Calls are taken to be independent, the arms to stay as they are, and each step to be left when it may be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from observability.core.evidence import TOP_BIN
from rollout.core.plan import Judged, Plan
from rollout.core.stats.behaviour import Behaviour
from rollout.core.stats.evidence import Arm, Batch, Counts, Process
from rollout.core.stats.grid import Array

Question = Literal["harm", "safe"]

PATHS = 400  # their median has a standard error of some 5 %
MOST_CALLS = 1e8  # what takes longer never comes
BETWEEN_LOOKS = 0.02  # of the calls so far, if the plan looks more often: nothing then comes later by more than this
SAMPLE = 100_000  # observations that stand for what the smaller arm does, or so many that
RAREST = 200  # of them are of the rarest kind
SAMPLE_OF_MANY = 1000  # are enough where there are many kinds, none of which matters by itself
BATCH = 8  # times as many are in the batch that is weighed with and without some of them
GROUPS = 8  # of neighbouring bins, each taken to move the logs by its mean


@dataclass(frozen=True, slots=True)
class Leg:
    """A step in calls of both arms. share: the canary's; calls: how many it lasts; look: how many between two looks."""

    step: int
    share: float
    calls: float
    look: float


class Moves(NamedTuple):
    """By group of like observations: how many come with a call (C,), and what one adds to each log (C, K)."""

    per_call: Array
    logs: Array


def legs_of(plan: Plan, *, calls_per_s: float, first_evidence: Sequence[float]) -> list[Leg]:
    """The plan's steps: each lasts for its hold, until min_units canary calls have come, one unit each, and until there
    is evidence from it in every guardrail. first_evidence: the calls that this takes on each step."""
    legs: list[Leg] = []
    for number, (step, least) in enumerate(zip(plan.steps, first_evidence, strict=True)):
        share = step.weight_bp / 10_000
        missing = plan.min_units - sum(leg.share * leg.calls for leg in legs)
        calls = max(step.hold_s * calls_per_s, missing / share, least)
        legs.append(Leg(number, share, calls, look=plan.look_every_s * calls_per_s))
    return legs


def calls_of_a_batch(share: float, *, control: float, canary: float, least: int) -> float:
    """Until there are as many observations and both arms are in them. share: the canary's; control, canary: the shares
    of their calls that are observed."""
    of_control, of_canary = _per_call(share, control, canary)
    return max(least / (of_control + of_canary), 1 / min(of_control, of_canary))


def canary_calls(calls: float, legs: Sequence[Leg]) -> float:
    """How many of the first `calls` calls are the canary's. The last leg goes on without end."""
    of_canary = 0.0
    for leg in legs[:-1]:
        in_leg = min(calls, leg.calls)
        of_canary, calls = of_canary + leg.share * in_leg, calls - in_leg
    return of_canary + legs[-1].share * calls


def calls_until(
    asked: Question,
    process: Process,
    *,
    control: Behaviour,
    canary: Behaviour,
    legs: Sequence[Leg],
    log_threshold: float,
    least_batch: int,
    uncounted: float = 0.0,
    start: Sequence[float] = (),
    judged: Sequence[Judged] = (),
    seed: int,
) -> tuple[float, ...]:
    """Calls of both arms until ln of the e-value reaches the threshold, on each of PATHS; infinity for never.

    The last leg goes on without end. least_batch: observations before a batch is closed. uncounted: calls at the start
    that are no evidence. start: the logs of the e-values that there are already, by alternative. judged: on each leg,
    the shares of the arms' calls that are observed, where these differ from leg to leg.
    """
    rng = np.random.default_rng(seed)
    size, log_e = process.sizes[asked == "safe"], process.log_e_harm if asked == "harm" else process.log_e_safe
    reached, waiting = np.full(PATHS, math.inf), np.arange(PATHS)
    logs, at, end = np.tile(start or (0.0,) * size, (PATHS, 1)), 0.0, 0.0
    for number, leg in enumerate(legs):
        if judged:
            control = replace(control, observed=judged[number].control)
            canary = replace(canary, observed=judged[number].canary)
        end = MOST_CALLS if leg is legs[-1] else min(end + leg.calls, MOST_CALLS)
        at = min(max(at, uncounted), end)
        if not waiting.size or at == end:
            continue
        moves = _moves(asked, process, leg, control=control, canary=canary)
        batch = calls_of_a_batch(leg.share, control=control.observed, canary=canary.observed, least=least_batch)
        while at < end and waiting.size:
            calls = min(max(leg.look, batch, BETWEEN_LOOKS * at), end - at)
            at += calls
            logs += rng.poisson(moves.per_call * calls, (len(logs), len(moves.per_call))) @ moves.logs
            over = log_e(logs) >= log_threshold
            reached[waiting[over]] = at
            waiting, logs = waiting[~over], logs[~over]
    return tuple(reached.tolist())


def _per_call(share: float, control: float, canary: float) -> tuple[float, float]:
    """How many observations of each arm come with a call."""
    return (1 - share) * control, share * canary


def _moves(asked: Question, process: Process, leg: Leg, *, control: Behaviour, canary: Behaviour) -> Moves:
    per_call = _per_call(leg.share, control.observed, canary.observed)
    scale = max(_enough(arm.values) for arm in (control, canary)) / min(per_call)
    samples = [_sample(arm.values, scale * often) for arm, often in zip((control, canary), per_call, strict=True)]
    memory = process.weigh(Batch(leg.step, *samples), process.memory).memory

    def weigh(arms: Sequence[Arm]) -> Array:
        increments = process.weigh(Batch(leg.step, *arms), memory)
        return increments.harm if asked == "harm" else increments.safe

    batch = [_plus(sample, sample.counts, times=BATCH - 1) for sample in samples]
    rates, logs = [], []
    for arm, sample in enumerate(samples):
        for group in _groups(sample):
            more, less = list(batch), list(batch)
            more[arm], less[arm] = _plus(batch[arm], group), _plus(batch[arm], group, times=-1)
            rates.append(per_call[arm] * group.sum() / sample.n)
            logs.append((weigh(more) - weigh(less)) / (2 * group.sum()))
    return Moves(np.array(rates), np.array(logs))


def _enough(values: Array) -> float:
    """Observations that stand for what an arm does."""
    if len(values) > TOP_BIN + 1:
        return SAMPLE_OF_MANY
    return min(SAMPLE, RAREST * float(values.sum() / values[values > 0].min()))


def _sample(values: Array, n: float) -> Arm:
    """So many observations, spread so that there are as many up to each bin as there should be."""
    counts = np.diff(np.rint(np.cumsum(values) * (n / values.sum())), prepend=0).astype(np.int64)
    seen = np.flatnonzero(counts)
    return Arm(seen, counts[seen], int(counts.sum()))


def _plus(arm: Arm, counts: Counts, *, times: int = 1) -> Arm:
    return Arm(arm.bins, arm.counts + times * counts, arm.n + times * int(counts.sum()))


def _groups(sample: Arm) -> list[Counts]:
    """The sample's counts parted into at most GROUPS ranges of bins that hold about as many different bins."""
    places = np.arange(len(sample.bins))
    parts = np.array_split(places, min(GROUPS, len(places)))
    return [np.where(np.isin(places, part), sample.counts, 0) for part in parts]
