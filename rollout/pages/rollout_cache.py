"""How cold the provider's cache is when a canary begins: of both arms, in the rollout's first hours."""

from dataclasses import dataclass
from datetime import datetime

from observability.selectors.cache import Cached, cached_by_arm
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
    rows = []
    for first in SPANS:
        until = since + first * HOUR
        found = cached_by_arm(rollout.pk, since, until)
        if any(arm.told_tokens for arm in found.values()):
            rows.append(ColdStart(first, _rate(found.get("control")), _rate(found.get("canary"))))
        if until >= at:
            break
    return rows


def _rate(cached: Cached | None) -> str:
    return estimate(cached.hit_rate if cached else None, "share")
