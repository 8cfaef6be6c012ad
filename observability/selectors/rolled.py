"""Which hours of a range are read from roll-ups, and which are computed from the calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from observability.models import RollUpState, StaleHour
from observability.selectors.hours import HOUR, next_hour_with_calls


@dataclass(frozen=True, slots=True)
class Range:
    """The hours from `since` to before `until`, both whole hours. stored: of roll-ups; live: the other hours."""

    since: datetime
    until: datetime
    stored: Q
    live: tuple[datetime, ...]


def hours_between(since: datetime, until: datetime) -> Range:
    """Each hour in one of both. What has changed since its roll-up is computed, unless its calls may be gone."""
    state = RollUpState.objects.filter(pk=1).first() or RollUpState()
    rolled_until = min(max(state.rolled_until or since, since), until)
    stale = StaleHour.objects.filter(hour__gte=max(state.sealed_until or since, since), hour__lt=rolled_until)
    changed = list(stale.order_by("hour").values_list("hour", flat=True).distinct())
    stored = Q(hour__gte=since, hour__lt=rolled_until) & ~Q(hour__in=changed)
    return Range(since, until, stored, (*changed, *_with_calls(rolled_until, until)))


def _with_calls(since: datetime, until: datetime) -> Iterator[datetime]:
    while since < until and (hour := next_hour_with_calls(since)) and hour < until:
        yield hour
        since = hour + HOUR
