"""What the arms of a rollout are expected to do: the control goes on as before, a canary is worse by the margin.

Both are pictures of how often each bin is seen. Where nothing is known, a guess stands in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from observability.core.evidence import LOG_STEP, SMALLEST, TOP_BIN, TOP_LOG_BIN, log_bin
from rollout.core.plan import Kind, PlanMetric
from rollout.core.stats import margins
from rollout.core.stats.bets import Contrast
from rollout.core.stats.complaints import Complaint
from rollout.core.stats.costs import Cost
from rollout.core.stats.evidence import Bins, Process, top_bin
from rollout.core.stats.grid import Array
from rollout.core.stats.latencies import TAIL, Latency
from rollout.core.stats.limits import MeanLimit, RateLimit
from rollout.core.stats.margins import FIRST_ONE
from rollout.core.stats.rates import GUESS, Rate
from rollout.core.stats.scores import Score
from rollout.core.stats.values import Capped, Shares

GUESSED_WIDTHS: dict[Kind, float] = {"cost": 0.9, "latency": 0.6}  # standard deviations of ln
GUESSED_USE = 0.5  # of what a limit allows


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What an arm does. values: how often each bin is seen (top bin + 1,), of any sum; observed: the share of calls
    seen at all."""

    values: Array
    observed: float = 1.0


def expected(metric: PlanMetric, baseline: Bins) -> Array:
    """What the control is expected to do, by bin (top bin + 1,), of any sum: its baseline, or a guess where there is
    none.

    Half an observation more is the best there is, and half the worst: what was not seen yet may come all the same. Not
    so of costs and times, which have no worst.
    """
    values = np.zeros(top_bin(metric.measure) + 1)
    for place, n in baseline.items():
        values[place] = n
    known = values.any()
    if metric.kind == "cost" or (metric.kind == "latency" and metric.limit is None):
        return values if known else _guessed_amounts(metric)
    worst = _guessed_share(metric)
    values[list(_ends(metric))] += (0.5, 0.5) if known else (1 - worst, worst)
    return values


def worse(process: Process, values: Array) -> Array:
    """The same arm, worse by exactly the margin; under a limit, beyond it by the usual margin of its kind.

    Of rates and scores each value is seen e^(tilt x how bad it is) times as often: of the pictures with a mean so much
    worse it is the one nearest to the control's, the hardest to tell from it. Of costs and times every value is larger
    by the same factor.
    """
    match process:
        case Cost() | Latency():
            return _scaled(values, math.log(process.margin["ratio"]))
        case MeanLimit(capped=Capped()):
            wanted = process.limit * margins.RELATIVE["ratio"]
            return _scaled(values, _solve(lambda log: _mean(process, _scaled(values, log)), wanted, reach=30.0))
    wanted = _worse_mean(process, _mean(process, values))
    return _tilted(values, _badness(process, len(values)), mean=wanted)


def breaks_limit(process: Process, values: Array) -> bool:
    """Whether an arm that does this breaks the metric's limit, if it has one."""
    match process:
        case RateLimit():
            return _mean(process, values) >= process.limit
        case MeanLimit():
            return _mean(process, values) >= _worst_allowed(process)
    return False


def _ends(metric: PlanMetric) -> tuple[int, int]:
    """The bins of the best and the worst that an observation can be; of a time under a limit, of keeping it or not."""
    if metric.kind == "latency":
        first = log_bin(metric.limit or 0.0, SMALLEST[metric.measure])
        return max(first - 1, 0), first
    return (0, TOP_BIN) if metric.direction == "lower" else (TOP_BIN, 0)


def _guessed_share(metric: PlanMetric) -> float:
    """How much of the worst there is."""
    if metric.limit is None:
        return GUESS
    if metric.kind == "latency":
        return GUESSED_USE * TAIL
    return GUESSED_USE * (metric.limit if metric.direction == "lower" else 1 - metric.limit)


def _guessed_amounts(metric: PlanMetric) -> Array:
    """Log-normal ones; where there is a limit, on average within it."""
    smallest, width = SMALLEST[metric.measure], GUESSED_WIDTHS[metric.kind]
    mean = GUESSED_USE * metric.limit if metric.limit else smallest * LOG_STEP ** (TOP_LOG_BIN / 2)
    middle = log_bin(mean * math.exp(-(width**2) / 2), smallest)
    distance = (np.arange(TOP_LOG_BIN + 1) - middle) * math.log(LOG_STEP) / width
    amounts: Array = np.where(abs(distance) < 4, np.exp(-(distance**2) / 2), 0.0)
    return amounts


def _badness(process: Process, bins: int) -> Array:
    """How bad the values of each bin are, from 0 to 1; of a mean's limit, in limits."""
    places = np.arange(bins)
    match process:
        case Rate(first=first, failure=failure) | RateLimit(first=first, failure=failure):
            return np.where((places >= first) == bool(failure), 1.0, 0.0)
        case Complaint():
            return np.where(places >= FIRST_ONE, 1.0, 0.0)
        case MeanLimit(capped=Capped() as capped):
            in_limits: Array = capped.of(places)
            return in_limits
        case Score(contrast=Contrast(worse=direction)) | MeanLimit(worse=direction):
            return Shares().of(places) if direction > 0 else 1 - Shares().of(places)
    raise TypeError(f"expected a metric of shares, or a limit, got {type(process).__name__}")


def _mean(process: Process, values: Array) -> float:
    """How bad the arm is on average."""
    return float(values @ _badness(process, len(values)) / values.sum())


def _worse_mean(process: Process, mean: float) -> float:
    """How bad an arm is on average that is worse than this by the margin, or than its limit by the usual one."""
    match process:
        case Rate():  # nothing under the floor counts as worse
            return max(_times(mean, math.exp(process.log_margin)), process.floor)
        case Complaint():
            return min(mean * math.exp(process.log_margin), _half_way(mean))
        case Score():
            return min(mean + process.margin["absolute"], _half_way(mean))
        case RateLimit(limit=limit):
            return _times(limit, margins.usual_ratio(limit))
        case MeanLimit():
            limit = _worst_allowed(process)
            return min(limit + margins.SCORE["absolute"], _half_way(limit))
    raise TypeError(f"expected a metric of shares, got {type(process).__name__}")


def _worst_allowed(process: MeanLimit) -> float:
    """The limit as a badness."""
    return process.limit if process.worse > 0 else 1 - process.limit


def _times(share: float, ratio: float) -> float:
    """The share whose odds are the ratio times as large."""
    return share * ratio / (1 + share * (ratio - 1))


def _half_way(badness: float) -> float:
    """To the worst there is: where there is no room for the margin."""
    return (1 + badness) / 2


def _tilted(values: Array, bad: Array, *, mean: float) -> Array:
    """The values, each taken e^(tilt x bad) times as often, with the tilt that gives them the mean."""
    short = bad - bad[values > 0].max()  # so that nothing overflows

    def tilted(tilt: float) -> Array:
        often = values * np.exp(tilt * short)
        shares: Array = often / often.sum()
        return shares

    return tilted(_solve(lambda tilt: float(tilted(tilt) @ bad), mean, reach=600.0))


def _scaled(values: Array, log_factor: float) -> Array:
    """All values larger by the factor: moved by as many bins, those between two bins shared by both. 0 stays 0."""
    shift = log_factor / math.log(LOG_STEP)
    whole, part = math.floor(shift), shift - math.floor(shift)
    scaled = np.zeros_like(values)
    scaled[0] = values[0]
    for moved, share in ((whole, 1 - part), (whole + 1, part)):
        places = np.clip(np.arange(1, len(values)) + moved, 0, len(values) - 1)
        scaled += np.bincount(places, weights=share * values[1:], minlength=len(values))
    return scaled


def _solve(rising: Callable[[float], float], wanted: float, *, reach: float) -> float:
    """Where the function takes the wanted value, between -reach and reach; the nearer end where it never does."""
    low, high = -reach, reach
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return high
