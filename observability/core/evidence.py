"""What a call tells a rollout: its exposure, and observations in integer bins that add up in any order.

One shape serves every measure: how many observations fell into a bin. A share v in [0, 1], which rates and scores
are, falls into bin round(1000 v). What has no upper end (LOG_BINNED: times, tokens, cost) falls into bins of 1 %: bin
0 is below the smallest value that is told apart, bin k >= 1 holds [smallest * 1.01^(k-1), smallest * 1.01^k).
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

ARMS = ("control", "canary")
ERROR_RATE = "error_rate"
LATENCY, TTFT, INTER_TOKEN_LATENCY = "latency", "ttft", "inter_token_latency"
TOKENS, COST_PER_CALL, OUTPUT_VALID = "tokens", "cost_per_call", "output_valid"
BY_EXPOSURE_ALONE = 0  # stands for the version of an observation that names no call

TOP_BIN = 1000
SMALLEST = {LATENCY: 1e-3, TTFT: 1e-3, INTER_TOKEN_LATENCY: 1e-3, COST_PER_CALL: 1e-9, TOKENS: 1.0}  # ms, USD, tokens
LOG_BINNED = frozenset(SMALLEST)
BUILT_IN_METRICS = LOG_BINNED | {ERROR_RATE, OUTPUT_VALID}  # measured from the calls: no score may bear such a name
LOG_STEP = 1.01
TOP_LOG_BIN = 4000
LOWER_EDGES = [LOG_STEP**exponent for exponent in range(TOP_LOG_BIN)]  # of bins 1, 2, …, in units of the smallest
WRITTEN = re.compile(r"([A-Za-z0-9_]{1,30}):(\d{1,3}):(control|canary):(\d{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Which rollout, step and arm a call was served by, and the bucket 0..255 of its unit."""

    rollout: str
    step: int
    arm: str
    unit_bucket: int

    def __str__(self) -> str:
        return f"{self.rollout}:{self.step}:{self.arm}:{self.unit_bucket}"


def parse_exposure(text: str) -> Exposure:
    """An exposure as it travels in `serinus.exposure`. Raises ValueError on anything else."""
    found = WRITTEN.fullmatch(text)
    if found is None or int(found[4]) > 255:
        raise ValueError(f"expected <rollout id>:<step>:<control or canary>:<unit bucket 0-255>, got {text[:60]!r}")
    return Exposure(found[1], int(found[2]), found[3], int(found[4]))


@dataclass(frozen=True, slots=True)
class Observation:
    """`count` values of a metric in one bin, seen under an exposure and a version (BY_EXPOSURE_ALONE: not known).

    usd: of a cost, exactly what the bin tells within one percent.
    """

    exposure: Exposure
    version_id: int
    metric: str
    bin: int
    count: int = 1
    usd: Decimal | None = None


def bin_of(value: float) -> int:
    """The bin of a rate or score between 0 and 1."""
    return round(TOP_BIN * value)


def log_bin(value: float, smallest: float) -> int:
    """The bin of 1 % that a value of 0 or more falls into; TOP_LOG_BIN also holds all that is larger."""
    return bisect_right(LOWER_EDGES, value / smallest)


def value_of_log_bin(bin_: int, smallest: float) -> float:
    """The value that stands for a bin: its geometric middle, within half a percent of all that is in it.

    Of bin 0 just under the smallest, so that every bin has a logarithm.
    """
    return float(smallest * LOG_STEP ** (bin_ - 0.5))


class BinKey(NamedTuple):
    """Which counter an observation adds to. Writers and the evaluator lock counters in the order of these fields."""

    rollout: str
    step: int
    metric: str
    arm: str
    version_id: int
    bin: int


class UnitKey(NamedTuple):
    """Which unit bucket's sums an observation adds to."""

    rollout: str
    step: int
    metric: str
    arm: str
    version_id: int
    bucket: int


def count_bins(observations: Iterable[Observation]) -> Counter[BinKey]:
    """How many observations each counter gets."""
    counts: Counter[BinKey] = Counter()
    for o in observations:
        e = o.exposure
        counts[BinKey(e.rollout, e.step, o.metric, e.arm, o.version_id, o.bin)] += o.count
    return counts


class UnitSums(NamedTuple):
    """Sums over the observations of one bucket of units: how many, their bins, the squares of their bins."""

    n: int
    total: int
    squares: int


NO_SUMS = UnitSums(0, 0, 0)


def sum_units(observations: Iterable[Observation]) -> dict[UnitKey, UnitSums]:
    """The sums of each unit bucket: what the design effect of correlated requests is computed from."""
    sums: dict[UnitKey, UnitSums] = {}
    for o in observations:
        e = o.exposure
        key = UnitKey(e.rollout, e.step, o.metric, e.arm, o.version_id, e.unit_bucket)
        n, total, squares = sums.get(key, NO_SUMS)
        sums[key] = UnitSums(n + o.count, total + o.count * o.bin, squares + o.count * o.bin * o.bin)
    return sums


class CostKey(NamedTuple):
    """Which arm's cost an observation adds to."""

    rollout: str
    arm: str
    version_id: int


class CostSums(NamedTuple):
    """Sums over the calls of an arm: how many, of how many the cost is known, and what these cost.

    picodollars: 1e-12 USD, the last digit that a call's cost has, so that sums are exact on every database.
    """

    calls: int
    priced: int
    picodollars: int


NO_COSTS = CostSums(0, 0, 0)
PICODOLLARS = 10**12  # of a dollar
MOST_PICODOLLARS = 4 * 10**18  # what one counter tells at most, 4 million USD: two of them fit into 64 bits


def sum_costs(observations: Iterable[Observation]) -> dict[CostKey, CostSums]:
    """What each arm's calls cost: every call is observed for its error, and for its cost if that is known."""
    sums: dict[CostKey, CostSums] = {}
    for o in observations:
        if o.metric not in (ERROR_RATE, COST_PER_CALL):
            continue
        key = CostKey(o.exposure.rollout, o.exposure.arm, o.version_id)
        calls, priced, picodollars = sums.get(key, NO_COSTS)
        if o.metric == ERROR_RATE:
            sums[key] = CostSums(calls + o.count, priced, picodollars)
        else:
            added = picodollars + int((o.usd or 0) * PICODOLLARS)
            sums[key] = CostSums(calls, priced + o.count, min(added, MOST_PICODOLLARS))
    return sums
