"""Which hours of a range are read from roll-ups, and which are computed from the calls."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.db.models import Q

from observability.core.times import midnight
from observability.models import RolledDay, RollUpState, StaleHour
from observability.models.rollups import QUARTER, WHOLE_DAY
from observability.selectors.hours import Stretch, the_hour

DAY = timedelta(days=1)
A_QUARTER = timedelta(hours=QUARTER)
MOST_STRETCHES = 4
"""To compute from the calls: each takes its statements, so that a page takes a bounded number of them."""


@dataclass(frozen=True, slots=True)
class Range:
    """The hours from `since` to before `until`, both whole hours. stored: of roll-ups; live: the other hours, in
    order, at most MOST_STRETCHES; those before rolled_until because some of them have changed."""

    since: datetime
    until: datetime
    rolled_until: datetime
    stored: Q
    live: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class SpanRange:
    """The same with the hours of whole days together. spans: of their roll-ups; stored, live: all other hours."""

    spans: Q
    stored: Q
    live: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class DayRange:
    """The same for spending. days: whole ones, of which the sums are read; stored: roll-ups of other hours; live: the
    rest, to be computed from the calls."""

    days: tuple[date, ...]
    stored: Q
    live: tuple[Stretch, ...]


def hours_between(since: datetime, until: datetime) -> Range:
    """Each hour in one of both. What has changed since its roll-up is computed, unless its calls may be gone."""
    state = RollUpState.objects.filter(pk=1).first() or RollUpState()
    rolled_until = min(max(state.rolled_until or since, since), until)
    stale = StaleHour.objects.filter(hour__gte=max(state.sealed_until or since, since), hour__lt=rolled_until)
    changed = stale.order_by("hour").values_list("hour", flat=True).distinct()
    not_rolled = [Stretch(rolled_until, until)] if rolled_until < until else []
    live = _few([*map(the_hour, changed), *not_rolled])
    stored = Q(hour__gte=since, hour__lt=rolled_until)
    for stretch in live:
        stored &= ~Q(hour__gte=stretch.since, hour__lt=stretch.until)
    return Range(since, until, rolled_until, stored, live)


def spans_between(since: datetime, until: datetime, longest: int) -> SpanRange:
    """Each hour in one of the three. since: the beginning of a day, UTC. longest: hours of the spans, where these are
    over; quarters of a day where they are not.

    A day of which an hour has changed since its roll-up is read by the hour. Only spans that ended before what is
    computed from the calls are read: what is rolled up between two statements is in none of them twice.
    """
    between = hours_between(since, until)
    changed = set(_days_of(stretch for stretch in between.live if stretch.since < between.rolled_until))
    marked = RolledDay.objects.filter(day__gte=since.date(), day__lte=until.date())
    ends = {
        day: end
        for day, end in marked.values_list("day", "until")
        if day not in changed and end <= between.rolled_until
    }
    starts: dict[int, list[datetime]] = {QUARTER: [], WHOLE_DAY: []}
    for day, end in ends.items():
        span = longest if end == midnight(day + DAY) else QUARTER
        spans = (end - midnight(day)) // timedelta(hours=span)
        starts[span] += [midnight(day) + number * timedelta(hours=span) for number in range(spans)]
    of_spans = Q(hours=QUARTER, starts_at__in=starts[QUARTER]) | Q(hours=WHOLE_DAY, starts_at__in=starts[WHOLE_DAY])
    apart = Q()
    for begins, gap_ends in _gaps([(midnight(day), end) for day, end in ends.items()], since, until):
        apart |= Q(hour__gte=begins, hour__lt=gap_ends)
    return SpanRange(of_spans, between.stored & apart, between.live)


def quarters_between(since: datetime, until: datetime, apart: Collection[datetime]) -> SpanRange:
    """The same of any whole hours. apart: moments; the quarters of days in which one is are read by the hour."""
    between = hours_between(since, until)
    changed = set(_days_of(stretch for stretch in between.live if stretch.since < between.rolled_until))
    marked = RolledDay.objects.filter(day__gte=since.date(), day__lte=until.date())
    quarters = [
        (start, start + A_QUARTER)
        for day, end in marked.values_list("day", "until")
        if day not in changed
        for start in (midnight(day) + number * A_QUARTER for number in range(WHOLE_DAY // QUARTER))
        if since <= start and start + A_QUARTER <= min(end, between.rolled_until)
        if not any(start <= moment < start + A_QUARTER for moment in apart)
    ]
    by_hour = Q(pk__in=[])
    for begins, ends in _gaps(quarters, since, until):
        by_hour |= Q(hour__gte=begins, hour__lt=ends)
    spans = Q(hours=QUARTER, starts_at__in=[start for start, _ in quarters])
    return SpanRange(spans, between.stored & by_hour, between.live)


def days_between(since: datetime, until: datetime) -> DayRange:
    """Each hour in one of the three. since: the beginning of a day, UTC. As of spans_between, of whole days alone."""
    between = hours_between(since, until)
    changed = set(_days_of(stretch for stretch in between.live if stretch.since < between.rolled_until))
    marked = RolledDay.objects.filter(day__gte=since.date(), day__lt=until.date(), spending=True)
    whole = {
        day: end
        for day, end in marked.values_list("day", "until")
        if day not in changed and end == midnight(day + DAY) and end <= between.rolled_until
    }
    apart = Q(pk__in=[])
    for begins, gap_ends in _gaps([(midnight(day), end) for day, end in whole.items()], since, until):
        apart |= Q(hour__gte=begins, hour__lt=gap_ends)
    return DayRange(tuple(sorted(whole)), between.stored & apart, between.live)


def _gaps(
    parts: Iterable[tuple[datetime, datetime]], since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The ranges of time that are in none of these parts, which do not overlap."""
    begins = since
    for start, end in sorted(parts):
        if begins < start:
            yield begins, start
        begins = end
    if begins < until:
        yield begins, until


def _few(stretches: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Stretches, which are in order, as at most MOST_STRETCHES: over the shortest gaps they are one, since the hours in
    between can be computed as well, and come to the same."""
    gaps = sorted(after.since - before.until for before, after in pairwise(stretches))
    bridged = gaps[-MOST_STRETCHES] if len(gaps) >= MOST_STRETCHES else timedelta(0)
    few: list[Stretch] = []
    for stretch in stretches:
        if few and stretch.since - few[-1].until <= bridged:
            few[-1] = Stretch(few[-1].since, stretch.until)
        else:
            few.append(stretch)
    return tuple(few)


def _days_of(stretches: Iterable[Stretch]) -> Iterator[date]:
    for since, until in stretches:
        day = since.date()
        while midnight(day) < until:
            yield day
            day += DAY
