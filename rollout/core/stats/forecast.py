"""Foresight: how many calls does a metric take to be decided, if the canary is worse by its margin, or just as good?

No formula of the evidence is repeated here. What one more call of an arm adds to the logs of the e-values is read off
the process itself, which weighs a large batch, such as is to be expected, with a few of those calls more and less: but
for a part in n, the logs are linear in what a batch holds. Then calls arrive at random on many paths side by side until
each path's e-value has reached its threshold, which takes fluctuation, overshoot and the ramp into account.

Calls are taken to be independent, the arms to stay as they are, and each step to be left when its hold is served.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rollout.core.plan import Plan
from rollout.core.stats.evidence import BINS, Counts, Process
from rollout.core.stats.grid import Array, log_sum_exp
from rollout.core.stats.rates import FIRST_ONE, GUESS, Rate
from rollout.core.stats.scores import VALUES, Score

Question = Literal["harm", "safe"]

PATHS = 400  # their median has a standard error of some 5 %
MOST_CALLS = 1e8  # what takes longer never comes
BETWEEN_LOOKS = 0.02  # of the calls so far, if the plan looks more often: nothing then comes later by more than this
SAMPLE = 100_000  # observations that stand for what the smaller arm does, or so many that
RAREST = 200  # of them are of the rarest kind
BATCH = 8  # times as many are in the batch that is weighed with and without some of them
GROUPS = 16  # of neighbouring bins, each taken to move the logs by its mean


@dataclass(frozen=True, slots=True)
class Leg:
    """A step in calls of both arms. share: the canary's; calls: how many it lasts; look: how many between two looks."""

    step: int
    share: float
    calls: float
    look: float


@dataclass(frozen=True, slots=True)
class Arm:
    """What an arm does. values: how often each bin is seen, of any sum; observed: the share of calls seen at all."""

    values: Array
    observed: float = 1.0


class Moves(NamedTuple):
    """By group of like observations: how many come with a call (C,), and what one adds to each log (C, K)."""

    per_call: Array
    logs: Array


def legs_of(plan: Plan, *, calls_per_s: float) -> list[Leg]:
    """The plan's steps: each lasts for its hold, and until min_units canary calls have come, one unit each."""
    legs: list[Leg] = []
    for number, step in enumerate(plan.steps):
        share = step.weight_bp / 10_000
        missing = plan.min_units - sum(leg.share * leg.calls for leg in legs)
        calls = max(step.hold_s * calls_per_s, missing / share)
        legs.append(Leg(number, share, calls, look=plan.look_every_s * calls_per_s))
    return legs


def canary_calls(calls: float, legs: Sequence[Leg]) -> float:
    """How many of the first `calls` calls are the canary's. The last leg goes on without end."""
    of_canary = 0.0
    for leg in legs[:-1]:
        in_leg = min(calls, leg.calls)
        of_canary, calls = of_canary + leg.share * in_leg, calls - in_leg
    return of_canary + legs[-1].share * calls


def expected(process: Process, baseline: Counts) -> Array:
    """What the control is expected to do, by bin: its baseline, or a guess where there is none.

    Half an observation more is the best there is, and half the worst: what was not seen yet may come all the same.
    """
    best, worst = (0, BINS - 1) if _bad(process)[-1] == 1 else (BINS - 1, 0)
    values = baseline.astype(np.float64)
    values[[best, worst]] += (0.5, 0.5) if baseline.any() else (1 - GUESS, GUESS)
    return values


def worse(process: Process, values: Array) -> Array:
    """The same arm, worse by exactly the margin: each value is seen e^(tilt x how bad it is) times as often.

    Of the pictures with a mean so much worse it is the one nearest to the control's: the hardest to tell from it.
    """
    bad = _bad(process)
    mean = float(values @ bad / values.sum())
    match process:
        case Rate():
            odds = mean / (1 - mean) * math.exp(process.log_margin)
            wanted = max(odds / (1 + odds), process.floor)  # nothing under the floor counts as worse
        case Score():
            wanted = mean + min(process.margin["absolute"], (1 - mean) / 2)
    return _tilted(values, bad, mean=wanted)


def calls_until(
    asked: Question,
    process: Process,
    *,
    control: Arm,
    canary: Arm,
    legs: Sequence[Leg],
    log_threshold: float,
    least_batch: int,
    seed: int,
) -> tuple[float, ...]:
    """Calls of both arms until ln of the e-value reaches the threshold, on each of PATHS; infinity for never.

    The last leg goes on without end. least_batch: observations before a batch is closed.
    """
    rng = np.random.default_rng(seed)
    log_weights = np.log((process.harm if asked == "harm" else process.safe).weights)
    reached, waiting = np.full(PATHS, math.inf), np.arange(PATHS)
    logs, at = np.zeros((PATHS, len(log_weights))), 0.0
    for leg in legs:
        end = MOST_CALLS if leg is legs[-1] else min(at + leg.calls, MOST_CALLS)
        if not waiting.size or at == end:
            continue
        moves = _moves(asked, process, leg, control=control, canary=canary)
        look = max(leg.look, least_batch / moves.per_call.sum(), 1 / min(_per_call(leg, control, canary)))
        while at < end and waiting.size:
            calls = min(max(look, BETWEEN_LOOKS * at), end - at)
            at += calls
            logs += rng.poisson(moves.per_call * calls, (len(logs), len(moves.per_call))) @ moves.logs
            over = log_sum_exp(logs + log_weights) >= log_threshold
            reached[waiting[over]] = at
            waiting, logs = waiting[~over], logs[~over]
    return tuple(reached.tolist())


def _per_call(leg: Leg, control: Arm, canary: Arm) -> tuple[float, float]:
    """How many observations of each arm come with a call."""
    return (1 - leg.share) * control.observed, leg.share * canary.observed


def _moves(asked: Question, process: Process, leg: Leg, *, control: Arm, canary: Arm) -> Moves:
    per_call = _per_call(leg, control, canary)
    rarest = min((arm.values[arm.values > 0] / arm.values.sum()).min() for arm in (control, canary))
    scale = min(SAMPLE, RAREST / rarest) / min(per_call)
    samples = [_counts(arm.values, scale * often) for arm, often in zip((control, canary), per_call, strict=True)]
    memory = process.weigh(control=samples[0], canary=samples[1], memory=process.memory).memory

    def weigh(control: Counts, canary: Counts) -> Array:
        increments = process.weigh(control=control, canary=canary, memory=memory)
        return increments.harm if asked == "harm" else increments.safe

    batch = [BATCH * sample for sample in samples]
    rates, logs = [], []
    for arm, sample in enumerate(samples):
        for group in _groups(sample):
            more, less = list(batch), list(batch)
            more[arm], less[arm] = batch[arm] + group, batch[arm] - group
            rates.append(per_call[arm] * group.sum() / sample.sum())
            logs.append((weigh(*more) - weigh(*less)) / (2 * group.sum()))
    return Moves(np.array(rates), np.array(logs))


def _counts(values: Array, n: float) -> Counts:
    counts: Counts = np.rint(values * (n / values.sum())).astype(np.int64)
    return counts


def _groups(sample: Counts) -> list[Counts]:
    """The sample parted into at most GROUPS ranges of bins that hold about as many different bins."""
    seen = np.flatnonzero(sample)
    parts = np.array_split(seen, min(GROUPS, len(seen)))
    return [np.where(np.isin(np.arange(len(sample)), part), sample, 0) for part in parts]


def _bad(process: Process) -> Array:
    """How bad the values of each bin are, from 0 to 1."""
    match process:
        case Rate(failure=failure):
            return np.where((np.arange(BINS) >= FIRST_ONE) == bool(failure), 1.0, 0.0)
        case Score(worse=worse):
            return VALUES if worse > 0 else 1 - VALUES
    raise TypeError(f"expected a rate or a score, got {type(process).__name__}")


def _tilted(values: Array, bad: Array, *, mean: float) -> Array:
    """The values, each taken e^(tilt x bad) times as often, with the tilt of at least 0 that gives them the mean."""
    short = bad - bad[values > 0].max()  # so that nothing overflows
    low, high = 0.0, 700.0
    while high - low > 1e-9:
        tilt = (low + high) / 2
        tilted: Array = values * np.exp(tilt * short)
        low, high = (tilt, high) if tilted @ bad < mean * tilted.sum() else (low, tilt)
    return tilted
