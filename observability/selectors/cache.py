"""How much of a rollout's input its provider had in its cache, by arm and hour."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Sum

from observability.core.times import EPOCH
from observability.models import ExposureHour
from observability.models.calls import PLACES_PER_HOUR
from observability.selectors.hours import HOUR, TOLD, TOLD_CACHED, Stretch, llm_calls
from observability.selectors.rolled import hours_between


@dataclass(slots=True)
class Cached:
    """told_tokens: input tokens of calls whose provider tells how many came from its cache; cached_tokens: these."""

    told_tokens: int = 0
    cached_tokens: int = 0

    @property
    def hit_rate(self) -> float | None:
        return min(self.cached_tokens / self.told_tokens, 1.0) if self.told_tokens else None


def cached_by_hour(rollout: str, since: datetime, until: datetime) -> dict[tuple[datetime, str], Cached]:
    """By hour and arm of the rollout, of the calls that started in these hours; both whole."""
    between = hours_between(since, until)
    stored = ExposureHour.objects.filter(between.stored, rollout=rollout).order_by()
    rows = [*stored.values_list("hour", "arm").annotate(told=Sum("told_tokens"), cached=Sum("told_cached_tokens"))]
    found: dict[tuple[datetime, str], Cached] = defaultdict(Cached)
    for hour, arm, told, cached in [*rows, *(row for stretch in between.live for row in _live(rollout, stretch))]:
        found[hour, arm].told_tokens += int(told)
        found[hour, arm].cached_tokens += int(cached)
    return dict(found)


def _live(rollout: str, stretch: Stretch) -> Iterator[tuple[datetime, str, int, int]]:
    calls = llm_calls(stretch).filter(rollout=rollout)
    rows = calls.values_list(F("place") / PLACES_PER_HOUR, "arm").annotate(told=TOLD, cached=TOLD_CACHED)
    return ((EPOCH + number * HOUR, arm or "", told, cached) for number, arm, told, cached in rows)
