"""How much of a rollout's input its provider had in its cache, by arm and hour."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from observability.models import ExposureHour
from observability.selectors.hours import TOLD, TOLD_CACHED, Stretch, llm_calls
from observability.selectors.rolled import hours_between


@dataclass(slots=True)
class Cached:
    """told_tokens: input tokens of calls whose provider tells how many came from its cache; cached_tokens: these."""

    told_tokens: int = 0
    cached_tokens: int = 0

    @property
    def hit_rate(self) -> float | None:
        return min(self.cached_tokens / self.told_tokens, 1.0) if self.told_tokens else None


def cached_by_arm(rollout: str, since: datetime, until: datetime) -> dict[str, Cached]:
    """Of the calls that started in these hours, both whole, in an arm of the rollout."""
    between = hours_between(since, until)
    stored = ExposureHour.objects.filter(between.stored, rollout=rollout).order_by()
    rows = [*stored.values_list("arm").annotate(told=Sum("told_tokens"), cached=Sum("told_cached_tokens"))]
    found: dict[str, Cached] = defaultdict(Cached)
    for arm, told, cached in [*rows, *(row for stretch in between.live for row in _live(rollout, stretch))]:
        found[arm].told_tokens += int(told)
        found[arm].cached_tokens += int(cached)
    return dict(found)


def _live(rollout: str, stretch: Stretch) -> Iterator[tuple[str, int, int]]:
    calls = llm_calls(stretch).filter(rollout=rollout)
    yield from calls.values_list("arm").annotate(told=TOLD, cached=TOLD_CACHED)
