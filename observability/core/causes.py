"""When did a share change? One change point per value, by the largest deviation of its cumulative count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

LEAST_SHIFT = 0.2
LEAST_CALLS = 10  # on either side


@dataclass(frozen=True, slots=True)
class Shift:
    """at: the first step with the share `after`. before, after: shares of the calls until then and since then."""

    at: datetime
    before: float
    after: float


def shift(counts: Mapping[datetime, Mapping[str, int]]) -> dict[str, Shift]:
    """Value → how its share changed, of the values whose share did by LEAST_SHIFT or more.

    counts: per step, value → calls. The change is where |S_t - n_t S / n| is largest, S_t and n_t being the value's and
    all calls up to a step, as in the CUSUM test for a change in mean.
    """
    times = sorted(counts)
    n_all = sum(sum(by_value.values()) for by_value in counts.values())
    found = {}
    for value in {value for by_value in counts.values() for value in by_value}:
        total = sum(by_value.get(value, 0) for by_value in counts.values())
        if (one := _shift_of(value, total, n_all, times, counts)) is not None:
            found[value] = one
    return found


def _shift_of(
    value: str, total: int, n_all: int, times: list[datetime], counts: Mapping[datetime, Mapping[str, int]]
) -> Shift | None:
    best, best_deviation = None, 0.0
    n = s = 0
    for before, at in pairwise(times):
        n += sum(counts[before].values())
        s += counts[before].get(value, 0)
        if min(n, n_all - n) < LEAST_CALLS:
            continue
        deviation = abs(s - n * total / n_all)
        if deviation > best_deviation:
            best, best_deviation = Shift(at, s / n, (total - s) / (n_all - n)), deviation
    if best is None or abs(best.after - best.before) < LEAST_SHIFT:
        return None
    return best
