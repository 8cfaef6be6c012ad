"""Roll-ups: hours that are over, computed once from their calls, so that reading them does not depend on the calls.

Nothing is written when calls come in. A worker computes each hour whole when it has been over for SETTLED_AFTER, and
again when something of it has changed; an hour's rows are replaced in one transaction. Reads take the rolled hours and
compute the others from the calls, with the same statements (selectors.hours), so what was measured and what was stored
agree, whatever arrived late, was merged, scored or priced again.

Who changes calls of an hour that may have been rolled up marks it in the same transaction. A mark is a row of its own,
so nobody waits for anybody. A roll-up reads the marks, then the calls, then deletes exactly the marks it read: what it
could not see has a mark that it did not see either, and the hour is computed again. Two workers may compute the same
hour; the first to finish is believed, since the other finds the state or its marks gone.

Hours are added up to quarters of a day and to days once these are over, so that a month is read in few rows.
Replacing an hour unmarks its day in the same transaction; a day without a mark is read by the hour. A worker of the
release before replaces hours and knows no days: so the days that are read are compared with their hours too.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from common.clock import now
from observability import bulk
from observability.core.figures import Figures
from observability.core.times import EPOCH, bucket_of, midnight
from observability.models import (
    Dimension,
    ExposureHour,
    RolledDay,
    RollUpState,
    SpendDay,
    SpendHour,
    StaleBucket,
    StaleHour,
    VersionHour,
    VersionSpan,
)
from observability.models.rollups import QUARTER, SPANS, WHOLE_DAY, columns_of
from observability.selectors import hours
from observability.selectors.hours import HOUR, VersionKey, hour_of

# Transactions are shorter and clocks nearer to each other than the difference, so that what is written without a mark
# is committed before its hour is rolled up.
MARKED_AFTER = timedelta(minutes=5)
SETTLED_AFTER = timedelta(minutes=10)
# Of the series (watching.series), which computes the buckets of its last half hour again every minute anyway.
SERIES_MARKED_AFTER = timedelta(minutes=20)
SERIES_KEPT_FOR = timedelta(days=8)
MOST_SECONDS = 20.0  # of one task: the cluster ends it after 60
MOST_MARKS = 10_000  # of one hour at once
COMPARED_FOR = timedelta(days=31)  # as far back as days are read
NEVER = EPOCH
NO_HOURS = (0, 0)
DAY = timedelta(days=1)

SPEND_COLUMNS = (
    *("hour", "dimension", "value", "calls", "input_tokens", "output_tokens"),
    *("cost_usd", "unpriced", "unpriced_tokens"),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """An hour's rows. spending: in the order of SPEND_COLUMNS, since there is one for every user."""

    versions: list[VersionHour]
    spending: list[tuple[Any, ...]]
    exposed: list[ExposureHour]


def mark_stale(started_at: Iterable[datetime]) -> None:
    """Say that the calls which started then are new or have changed, in the caller's transaction.

    started_at: to five minutes at least. Calls of hours that cannot have been rolled up yet, and of five minutes that
    are computed again anyway, cost a comparison and nothing else.
    """
    at, moments = now(), set(started_at)
    before, oldest = _settled(at, MARKED_AFTER), at - SERIES_KEPT_FOR
    _mark(StaleHour, "hour", {hour_of(moment) for moment in moments if moment < before})
    of_series = {bucket_of(moment) for moment in moments if oldest < moment < at - SERIES_MARKED_AFTER}
    _mark(StaleBucket, "starts_at", of_series)


def roll_up() -> int:
    """Roll up the hours that are due, the changed ones first, for MOST_SECONDS at most; answers how many."""
    until, stop_at = _settled(now(), SETTLED_AFTER), time.monotonic() + MOST_SECONDS
    RollUpState.objects.get_or_create(pk=1)
    rolled = 0
    changed = StaleHour.objects.filter(hour__lt=until).order_by("hour").values_list("hour", flat=True).distinct()
    for hour in list(changed):
        rolled += _roll_again(hour)
        if time.monotonic() > stop_at:
            return rolled
    while time.monotonic() <= stop_at and _roll_next(until):
        rolled += 1
    for day in _days_to_roll():
        if time.monotonic() > stop_at:
            break
        _roll_day(day)
    return rolled


def seal(before: datetime) -> datetime:
    """Keep the roll-ups of the hours before a moment for good; answers until when that holds, often less far.

    To be called, and committed, before calls are deleted, and only calls that started before the answer may be: the
    hours from the first one that is not rolled up, or waits to be rolled up again, still need theirs. A call that comes
    for a sealed hour changes its roll-up no more.
    """
    RollUpState.objects.get_or_create(pk=1)
    with transaction.atomic():
        state = RollUpState.objects.select_for_update().get(pk=1)
        sealed = state.sealed_until or NEVER
        until = min(hour_of(before), state.rolled_until or NEVER)
        waiting = StaleHour.objects.filter(hour__gte=sealed, hour__lt=until).order_by("hour")
        until = waiting.values_list("hour", flat=True).first() or until
        if until > sealed:
            state.sealed_until = sealed = until
            state.save(update_fields=["sealed_until"])
    return sealed


def _mark(model: type[StaleHour | StaleBucket], column: str, times: Iterable[datetime]) -> None:
    rows = [(connection.ops.adapt_datetimefield_value(at),) for at in sorted(times)]
    if rows:
        bulk.insert(model, [column], rows)


def _settled(moment: datetime, after: timedelta) -> datetime:
    """The end of the newest hour that has been over for so long."""
    return hour_of(moment - after)


def _state() -> RollUpState:
    return RollUpState.objects.filter(pk=1).first() or RollUpState()


def _roll_next(until: datetime) -> bool:
    """Roll up the first hour with calls that is not rolled up; False where there is none before `until`."""
    known = _state().rolled_until
    hour = hours.next_hour_with_calls(known or NEVER)
    if hour is None or hour >= until:
        if known is None or known < until:
            _advance(known, until)
        return False
    marks = _marks(hour)
    rows = _compute(hour)
    with transaction.atomic():
        if not _advance(known, hour + HOUR):
            return True  # another worker has rolled it up; there may be more to do
        _replace(hour, rows)
        StaleHour.objects.filter(id__in=marks).delete()
    return True


def _advance(known: datetime | None, until: datetime) -> bool:
    """Move on from where the state is known to be, unless it has moved."""
    at = {"rolled_until__isnull": True} if known is None else {"rolled_until": known}
    return bool(RollUpState.objects.filter(pk=1, **at).update(rolled_until=until))


def _roll_again(hour: datetime) -> bool:
    """Roll up an hour that was marked, unless it is sealed, not rolled up at all, or another worker was faster."""
    marks = _marks(hour)
    state = _state()
    if state.rolled_until is None or hour >= state.rolled_until:
        return False
    if state.sealed_until and hour < state.sealed_until:
        StaleHour.objects.filter(id__in=marks).delete()
        return False
    rows = _compute(hour)
    with transaction.atomic():
        state = RollUpState.objects.select_for_update().get(pk=1)
        deleted, _ = StaleHour.objects.filter(id__in=marks).delete()
        if deleted < len(marks) or (state.sealed_until and hour < state.sealed_until):
            return False
        _replace(hour, rows)
    return True


def _days_to_roll() -> Iterator[date]:
    """The days of which hours are rolled up that are not in their spans, the newest first: these are read most."""
    first = VersionHour.objects.order_by("hour").values_list("hour", flat=True).first()
    rolled_until = _state().rolled_until
    if first is None or rolled_until is None:
        return
    marks = RolledDay.objects.values_list("day", "until", "spending", "summed", "ids")
    done = {day: (until, spending, hours) for day, until, spending, *hours in marks}
    day = (rolled_until - HOUR).date()
    compared = day - COMPARED_FOR
    there = _hours_of(midnight(compared), _end_of(day, rolled_until))
    while day >= first.date():
        end = _end_of(day, rolled_until)
        until, spending, hours = done.get(day, (None, False, []))
        is_read = day >= compared
        of_these = spending and tuple(hours) == there.get(day, NO_HOURS)
        if end > midnight(day) and (until != end or (is_read and not of_these)):
            yield day
        day -= DAY


def _roll_day(day: date) -> None:
    """Add a day's hours up, unless one of them is replaced meanwhile; then it is for the next time."""
    until = _end_of(day, _state().rolled_until or NEVER)
    known = _hours_of(midnight(day), until).get(day, NO_HOURS)
    spans = [span for span in SPANS if midnight(day) + timedelta(hours=span) <= until]
    sums: dict[tuple[datetime, int, VersionKey], Figures] = {}
    for row in VersionHour.objects.filter(hour__gte=midnight(day), hour__lt=until).iterator(chunk_size=500):
        key = VersionKey(row.prompt_name, row.version_id, row.version_text, row.label, row.environment, None)
        figures = row.figures
        for span in spans:
            starts_at = row.hour.replace(hour=row.hour.hour // span * span)
            sums.setdefault((starts_at, span, key), Figures()).add(figures)
    rows = [
        VersionSpan(starts_at=starts_at, hours=span, **_named(key), **columns_of(figures))
        for (starts_at, span, key), figures in sums.items()
    ]
    with transaction.atomic():
        RollUpState.objects.select_for_update().get(pk=1)  # as whoever replaces an hour does
        if _hours_of(midnight(day), until).get(day, NO_HOURS) != known:
            return
        VersionSpan.objects.filter(starts_at__gte=midnight(day), starts_at__lt=midnight(day) + DAY).delete()
        VersionSpan.objects.bulk_create(rows, batch_size=500)
        _sum_spending(day, is_whole=until == midnight(day) + DAY)
        summed, ids = known
        mark = RolledDay(day=day, until=until, spending=True, summed=summed, ids=ids)
        told = ["until", "spending", "summed", "ids"]
        RolledDay.objects.bulk_create([mark], update_conflicts=True, unique_fields=["day"], update_fields=told)


def _sum_spending(day: date, *, is_whole: bool) -> None:
    """In SQL, since there is a row for every user. Only of whole days: who reads the others reads their hours."""
    SpendDay.objects.filter(dimension__in=Dimension.values, day=day).delete()
    if not is_whole:
        return
    hours_of_day = SpendHour.objects.of_all_dimensions().filter(hour__gte=midnight(day), hour__lt=midnight(day) + DAY)
    sums = hours_of_day.order_by().values_list("dimension", "value").annotate(Sum("cost_usd"))
    select, parameters = sums.query.get_compiler(connection=connection).as_sql()
    at = connection.ops.adapt_datefield_value(day)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {SpendDay._meta.db_table} (day, dimension, value, cost_usd)"  # noqa: S608 (Django's own SQL)
            f" SELECT %s, sums.* FROM ({select}) AS sums",
            [at, *parameters],
        )


def _end_of(day: date, rolled_until: datetime) -> datetime:
    """The end of the last span of a day that is over and rolled up."""
    spans_over = (rolled_until - midnight(day)) // timedelta(hours=QUARTER)
    return midnight(day) + timedelta(hours=QUARTER) * min(spans_over, WHOLE_DAY // QUARTER)


def _hours_of(since: datetime, until: datetime) -> dict[date, tuple[int, int]]:
    """What tells of each day whether any of its hours was replaced: new rows have higher ids than any before them."""
    rows = VersionHour.objects.filter(hour__gte=since, hour__lt=until).order_by()
    by_day = rows.values_list(TruncDate("hour", tzinfo=UTC)).annotate(n=Count("pk"), ids=Sum("pk"))
    return {day: (n, int(ids)) for day, n, ids in by_day}


def _named(key: VersionKey) -> dict[str, Any]:
    return {name: value for name, value in key._asdict().items() if name != "feature"}


def _marks(hour: datetime) -> list[int]:
    return list(StaleHour.objects.filter(hour=hour).order_by("id").values_list("id", flat=True)[:MOST_MARKS])


def _compute(hour: datetime) -> Rows:
    """The rows of an hour. Outside any transaction: on SQLite, nobody could write meanwhile."""
    at, calls = connection.ops.adapt_datetimefield_value(hour), hours.the_hour(hour)
    return Rows(
        versions=[
            VersionHour(hour=hour, **key._asdict(), **columns_of(figures))
            for (_, key), figures in hours.version_figures(calls).items()
        ],
        spending=[
            (at, dimension.value, value, *astuple(sums))
            for dimension in Dimension
            for value, sums in hours.spending(calls, dimension).items()
        ],
        exposed=[
            ExposureHour(
                hour=hour,
                **key._asdict(),
                calls=found.calls,
                scored=found.scored,
                told_tokens=found.told_tokens,
                told_cached_tokens=found.told_cached_tokens,
            )
            for key, found in hours.exposed(calls).items()
        ],
    )


def _replace(hour: datetime, rows: Rows) -> None:
    RolledDay.objects.filter(day=hour.date()).delete()
    for stored in (VersionHour.objects, SpendHour.objects.of_all_dimensions(), ExposureHour.objects):
        stored.filter(hour=hour).delete()
    VersionHour.objects.bulk_create(rows.versions, batch_size=500)
    bulk.insert(SpendHour, SPEND_COLUMNS, rows.spending)
    ExposureHour.objects.bulk_create(rows.exposed, batch_size=500)
