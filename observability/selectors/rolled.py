"""Which hours of a range are read from roll-ups, and which are computed from the calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q

from observability.core.times import midnight
from observability.models import RolledDay, RollUpState, StaleHour
from observability.models.rollups import QUARTER, WHOLE_DAY
from observability.selectors.hours import HOUR, next_hour_with_calls

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Range:
    """The hours from `since` to before `until`, both whole hours. stored: of roll-ups; live: the other hours, those
    before rolled_until because they have changed."""

    since: datetime
    until: datetime
    rolled_until: datetime
    stored: Q
    live: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class SpanRange:
    """The same with the hours of whole days together. spans: of their roll-ups; stored, live: all other hours."""

    spans: Q
    stored: Q
    live: tuple[datetime, ...]


def hours_between(since: datetime, until: datetime) -> Range:
    """Each hour in one of both. What has changed since its roll-up is computed, unless its calls may be gone."""
    state = RollUpState.objects.filter(pk=1).first() or RollUpState()
    rolled_until = min(max(state.rolled_until or since, since), until)
    stale = StaleHour.objects.filter(hour__gte=max(state.sealed_until or since, since), hour__lt=rolled_until)
    changed = list(stale.order_by("hour").values_list("hour", flat=True).distinct())
    stored = Q(hour__gte=since, hour__lt=rolled_until) & ~Q(hour__in=changed)
    return Range(since, until, rolled_until, stored, (*changed, *_with_calls(rolled_until, until)))


def spans_between(since: datetime, until: datetime, longest: int) -> SpanRange:
    """Each hour in one of the three. since: the beginning of a day, UTC. longest: hours of the spans, where these are
    over; quarters of a day where they are not.

    A day of which an hour has changed since its roll-up is read by the hour. Only spans that are over are read: what is
    rolled up between two statements is in none of them twice.
    """
    between = hours_between(since, until)
    changed = {hour.date() for hour in between.live if hour < between.rolled_until}
    marked = RolledDay.objects.filter(day__gte=since.date(), day__lte=until.date())
    ends = {day: end for day, end in marked.values_list("day", "until") if day not in changed and end <= until}
    starts: dict[int, list[datetime]] = {QUARTER: [], WHOLE_DAY: []}
    for day, end in ends.items():
        span = longest if end == midnight(day + DAY) else QUARTER
        spans = (end - midnight(day)) // timedelta(hours=span)
        starts[span] += [midnight(day) + number * timedelta(hours=span) for number in range(spans)]
    of_spans = Q(hours=QUARTER, starts_at__in=starts[QUARTER]) | Q(hours=WHOLE_DAY, starts_at__in=starts[WHOLE_DAY])
    apart = Q()
    for begins, gap_ends in _gaps(ends, since, until):
        apart |= Q(hour__gte=begins, hour__lt=gap_ends)
    return SpanRange(of_spans, between.stored & apart, between.live)


def _gaps(days: Mapping[date, datetime], since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The ranges of time that are in none of these days up to their ends."""
    begins = since
    for day in sorted(days):
        if begins < midnight(day):
            yield begins, midnight(day)
        begins = days[day]
    if begins < until:
        yield begins, until


def _with_calls(since: datetime, until: datetime) -> Iterator[datetime]:
    while since < until and (hour := next_hour_with_calls(since)) and hour < until:
        yield hour
        since = hour + HOUR
