"""How cold the provider's cache is when a canary begins: of both arms, in the rollout's first hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from observability.core.evidence import ARMS
from observability.selectors.cache import Cached, cached_by_hour
from observability.selectors.hours import HOUR, hour_of
from rollout.formats import estimate
from rollout.models import Rollout

SPANS = (1, 3, 6)  # hours since the start that are told, each from the start on
COLD = (
    "A provider's cache knows nothing of a new text: until it is warm, the canary's first calls are dearer and slower."
)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The first hours of both arms. first: how many hours."""

    first: int
    control: str
    canary: str


def cold_start(rollout: Rollout, at: datetime) -> list[ColdStart]:
    """By hours since the start; empty where no provider tells of a cache. Hours begin with those of the clock."""
    if rollout.started_at is None:
        return []
    since = hour_of(rollout.started_at)
    by_hour = cached_by_hour(rollout.pk, since, min(since + SPANS[-1] * HOUR, hour_of(at) + HOUR))
    if not any(cached.told_tokens for cached in by_hour.values()):
        return []
    begun = [first for first in SPANS if first == SPANS[0] or since + (first - 1) * HOUR <= at]
    return [ColdStart(first, *(_rate(by_hour, arm, since + first * HOUR) for arm in ARMS)) for first in begun]


def _rate(by_hour: Mapping[tuple[datetime, str], Cached], arm: str, until: datetime) -> str:
    of_arm = [cached for (hour, of), cached in by_hour.items() if of == arm and hour < until]
    told = Cached(sum(cached.told_tokens for cached in of_arm), sum(cached.cached_tokens for cached in of_arm))
    return estimate(told.hit_rate, "share")
