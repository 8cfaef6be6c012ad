"""What a call tells a rollout: its exposure, and observations in integer bins that add up in any order.

One shape serves every metric: how many observations fell into a bin. A rate or score v in [0, 1] falls into bin
round(1000 v); a call falls into bin 1000 of `error_rate` when it failed and into bin 0 when not.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ARMS = ("control", "canary")
ERROR_RATE = "error_rate"
BUILT_IN_METRICS = frozenset({ERROR_RATE, "latency", "ttft", "cost_per_call"})
BY_EXPOSURE_ALONE = 0  # stands for the version of an observation that names no call

TOP_BIN = 1000
TOP_LOG_BIN = 4000
LOG_STEP = 1.01
SMALLEST = {"latency": 1e-3, "ttft": 1e-3, "inter_token_latency": 1e-3, "cost_per_call": 1e-9, "tokens": 1.0}
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
    """`count` values of a metric in one bin, seen under an exposure and a version (BY_EXPOSURE_ALONE: not known)."""

    exposure: Exposure
    version_id: int
    metric: str
    bin: int
    count: int = 1


def bin_of(value: float) -> int:
    """The bin of a rate or score between 0 and 1."""
    return round(TOP_BIN * value)


def error_observation(exposure: Exposure, version_id: int, *, error: bool) -> Observation:
    return Observation(exposure, version_id, ERROR_RATE, TOP_BIN if error else 0)


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


def sum_units(observations: Iterable[Observation]) -> dict[UnitKey, tuple[int, int]]:
    """(n, sum of bins) for each unit bucket: what the design effect of correlated requests is computed from."""
    sums: dict[UnitKey, tuple[int, int]] = {}
    for o in observations:
        e = o.exposure
        key = UnitKey(e.rollout, e.step, o.metric, e.arm, o.version_id, e.unit_bucket)
        n, total = sums.get(key, (0, 0))
        sums[key] = n + o.count, total + o.count * o.bin
    return sums


def log_bin(value: float, smallest: float) -> int:
    return 0 if value < smallest else min(1 + int(math.log(value / smallest) / math.log(LOG_STEP)), TOP_LOG_BIN)
