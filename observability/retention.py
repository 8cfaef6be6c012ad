"""How long is what happened kept? Each kind as long as its setting says; what is older is deleted, the oldest first.

In small batches, each a transaction of its own, with as long a pause after each as it took: on SQLite, where one writer
keeps all others waiting, taking in goes on meanwhile. What was not reached is deleted next time. Calls go only after
their hours are rolled up. Evidence and verdicts are of no call any more and stay.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django_q.tasks import async_task

from common.clock import now
from observability.core.times import EPOCH, nanoseconds
from observability.models import (
    Alert,
    Call,
    CallText,
    Dimension,
    EvaluationText,
    ExposureHour,
    FiguresBucket,
    JudgedBucket,
    MetricBucket,
    RefusedHour,
    RetrievedText,
    Score,
    Silence,
    Span,
    SpendDay,
    SpendHour,
    VersionHour,
    VersionSpan,
)
from observability.rollups import SERIES_KEPT_FOR, seal
from registry.models import IdempotentAnswer

BATCH = 200  # of calls, with all that goes with them: some 10 ms, under 80 ms with 200 000 stored (2 cores, SQLite)
HOURS: Mapping[str, Callable[[], QuerySet[Any]]] = {
    "hours of versions": VersionHour.objects.all,
    "hours of spending": SpendHour.objects.of_all_dimensions,
    "hours of exposures": ExposureHour.objects.all,
    "hours of refusals": RefusedHour.objects.all,
}
KEEP_FOR_JUDGES = timedelta(hours=23)  # a day at the latest, since this is done every hour
DAYS_OF_SPENDING_KEPT = timedelta(days=62)  # budgets and typical days look back a month; hours of spending stay longer
METRICS_KEPT_FOR = timedelta(days=10)  # a baseline is of seven days that ended a day before
LONGEST_SWEEP_S = 20.0  # of the 60 that a task may take


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of data.

    oldest: keys of what is older than a time, at most BATCH, without reading the whole table. until: up to when it may
    be deleted, of the time up to which it is kept no longer. still: what must be true of a row when it is deleted, if
    others may have changed that since its key was looked up.
    """

    name: str
    model: type[models.Model]
    keep: timedelta
    oldest: Callable[[datetime], Sequence[int | str]]
    expired: Callable[[datetime], QuerySet[Any]]
    until: Callable[[datetime], datetime] = lambda at: at
    still: Q | None = None


_of_others: list[Callable[[], list[Kind]]] = []


def also(kinds_of_another: Callable[[], list[Kind]]) -> None:
    """For packages above this one, as they start: delete what is theirs too, after what is of this one."""
    _of_others.append(kinds_of_another)


def kinds() -> list[Kind]:
    """In the order in which they are deleted."""
    return [
        Kind(
            "texts", CallText, settings.KEEP_TEXTS, _oldest_texts, lambda at: CallText.objects.filter(stored_at__lt=at)
        ),
        *(
            _found_by_index(name, KEEP_FOR_JUDGES, _stored(model))
            for name, model in (("texts for judges", EvaluationText), ("documents for judges", RetrievedText))
        ),
        _found_by_index("calls", settings.KEEP_CALLS, lambda at: Call.objects.before(at), seal),
        Kind("spans", Span, settings.KEEP_SPANS, _oldest_spans, _expired_spans, seal),
        _found_by_index("scores without a call", settings.KEEP_CALLS, _scores_of_no_call),
        *(_found_by_index(name, settings.KEEP_ROLLUPS, _hours(rows)) for name, rows in HOURS.items()),
        _found_by_index(
            "spans of versions", settings.KEEP_ROLLUPS, lambda at: VersionSpan.objects.filter(starts_at__lt=at)
        ),
        _found_by_index("series", SERIES_KEPT_FOR, lambda at: FiguresBucket.objects.filter(starts_at__lt=at)),
        _found_by_index("series of judges", SERIES_KEPT_FOR, lambda at: JudgedBucket.objects.filter(starts_at__lt=at)),
        _found_by_index("alerts", settings.KEEP_EVENTS, lambda at: Alert.objects.filter(resolved_at__lt=at)),
        _found_by_index("silences", settings.KEEP_EVENTS, lambda at: Silence.objects.filter(until__lt=at)),
        _found_by_index("days of spending", DAYS_OF_SPENDING_KEPT, _days_of_spending),
        _found_by_index(
            "series of metrics", METRICS_KEPT_FOR, lambda at: MetricBucket.objects.filter(starts_at__lt=at)
        ),
        *(kind for kinds_of_another in _of_others for kind in kinds_of_another()),
        _found_by_index(
            "answers to repeat",
            IdempotentAnswer.KEPT_FOR,
            lambda at: IdempotentAnswer.objects.filter(stored_at__lt=at),
        ),
    ]


def count() -> Mapping[str, int]:
    """By kind, how much is older than it is kept. Reads whole tables."""
    at = now()
    return {kind.name: kind.expired(at - kind.keep).count() for kind in kinds()}


def prune(*, most_s: float | None = None) -> tuple[Mapping[str, int], bool]:
    """Delete what is older than it is kept, for at most that long: how much of each kind, and whether that is all."""
    at, ends_at = now(), None if most_s is None else time.monotonic() + most_s
    deleted: dict[str, int] = {}
    for kind in kinds():
        deleted[kind.name] = 0
        for rows in _delete(kind, kind.until(at - kind.keep)):
            deleted[kind.name] += rows
            if ends_at is not None and time.monotonic() >= ends_at:
                return deleted, False
    return deleted, True


def sweep() -> None:
    """For the worker: prune for a while, and come back at once when there is more."""
    _, is_all = prune(most_s=LONGEST_SWEEP_S)
    if not is_all:
        async_task("observability.retention.sweep")


def _delete(kind: Kind, before: datetime) -> Iterator[int]:
    """Rows deleted, batch by batch. Keys are looked up outside the transaction, which then holds no lock meanwhile."""
    while keys := kind.oldest(before):
        started = time.monotonic()
        with transaction.atomic():
            keys = _still(kind, keys)
            kind.model._default_manager.filter(pk__in=keys).delete()
        yield len(keys)
        time.sleep(time.monotonic() - started)


def _still(kind: Kind, keys: Sequence[int | str]) -> Sequence[int | str]:
    """Those of them that may be deleted now, their rows locked if they could change."""
    if kind.still is None:
        return keys
    rows = kind.model._default_manager.select_for_update().filter(kind.still, pk__in=keys)
    return list(rows.values_list("pk", flat=True))


def _oldest_texts(before: datetime) -> list[int]:
    first = CallText.objects.order_by("pk").values_list("pk", "stored_at")[:BATCH]
    return [key for key, stored_at in first if stored_at < before]


def _oldest_spans(before: datetime) -> list[int]:
    """Among those stored first. One that was started after others stored later delays these by an hour at most, since
    nothing from farther ahead is taken in."""
    first = Span.objects.order_by("pk").values_list("pk", "started_ns")[:BATCH]
    return [key for key, started_ns in first if started_ns < nanoseconds(before)]


def _expired_spans(before: datetime) -> QuerySet[Span]:
    return Span.objects.filter(started_ns__lt=nanoseconds(before))


def _found_by_index(
    name: str,
    keep: timedelta,
    expired: Callable[[datetime], QuerySet[Any]],
    until: Callable[[datetime], datetime] = lambda at: at,
) -> Kind:
    def oldest(before: datetime) -> list[int | str]:
        return list(expired(before).order_by().values_list("pk", flat=True)[:BATCH])

    return Kind(name, expired(EPOCH).model, keep, oldest, expired, until)


def _scores_of_no_call(before: datetime) -> QuerySet[Score]:
    """Of an exposure alone, or whose call never came: it would be gone by now."""
    return Score.objects.filter(call__isnull=True, received_at__lt=before)


def _stored(model: type[EvaluationText] | type[RetrievedText]) -> Callable[[datetime], QuerySet[Any]]:
    return lambda before: model._default_manager.filter(stored_at__lt=before)


def _days_of_spending(before: datetime) -> QuerySet[SpendDay]:
    return SpendDay.objects.filter(dimension__in=Dimension.values, day__lt=before.date())


def _hours(rows: Callable[[], QuerySet[Any]]) -> Callable[[datetime], QuerySet[Any]]:
    return lambda before: rows().filter(hour__lt=before)
