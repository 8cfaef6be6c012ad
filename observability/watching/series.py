"""The series' writer: every minute the buckets of the last half hour, and those of which something has changed.

Computing reads calls outside any transaction, replacing takes one. Of two workers who compute at once the later one
finds the state's revision moved and drops its answer. Who changes calls of a bucket that is final marks it in the same
transaction (rollups.mark_stale), as for hours: what a computation could not see has a mark that it did not see either.

After a long stop the newest half hour comes first, since that is watched, and what lies between follows hour by hour.
"""

import time
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from common.clock import now
from observability.core.times import BUCKET, EPOCH, bucket_of
from observability.models import FiguresBucket, JudgedBucket, MetricBucket, RollUpState, SeriesState, StaleBucket
from observability.rollups import SERIES_KEPT_FOR
from observability.selectors.hours import HOUR, hour_of, next_hour_with_calls
from observability.selectors.series import Computed, computed

# Longer than rollups.SERIES_MARKED_AFTER by more than a transaction takes, so that what is written without a mark is
# committed before its bucket is computed for the last time.
COMPUTED_FOR = timedelta(minutes=30)
MOST_SECONDS = 20.0  # of one task: the cluster ends it after 60
MOST_MARKS = 10_000  # at once
AT_ONCE = HOUR  # of calls, in the statements of one computation


def write() -> int:
    """Compute what is due, the newest first, for MOST_SECONDS at most; answers how many buckets were replaced."""
    state, _ = SeriesState.objects.get_or_create(pk=1)
    stop_at = time.monotonic() + MOST_SECONDS
    at = now()
    until, fresh = bucket_of(at) + BUCKET, bucket_of(at - COMPUTED_FOR)
    oldest = max(bucket_of(at - SERIES_KEPT_FOR), _sealed_until())
    settled = max(state.settled_until or oldest, oldest)
    if fresh - settled <= AT_ONCE:
        return _replace(settled, until, settles=fresh) + _write_again(settled, stop_at)
    written = _replace(fresh, until)
    while settled < fresh and time.monotonic() < stop_at:
        begins = max(settled, next_hour_with_calls(settled) or fresh)  # hours without calls have no buckets
        if begins >= fresh:
            return written + _replace(fresh, until, settles=fresh) + _write_again(fresh, stop_at)
        ends = min(hour_of(begins) + AT_ONCE, fresh)
        replaced = _replace(begins, ends, settles=ends)
        if not replaced:  # another worker is at it
            return written
        written, settled = written + replaced, ends
    return written + _write_again(settled, stop_at)


def _sealed_until() -> datetime:
    """Calls from before then may be gone, and their buckets stay as they are."""
    return RollUpState.objects.filter(pk=1).values_list("sealed_until", flat=True).first() or EPOCH


def _write_again(before: datetime, stop_at: float) -> int:
    """Compute the final buckets that were marked, those of an hour together."""
    sealed = _sealed_until()
    StaleBucket.objects.filter(starts_at__lt=sealed).delete()
    marked = StaleBucket.objects.filter(starts_at__gte=sealed, starts_at__lt=before).order_by("-starts_at")
    written = 0
    hours = dict.fromkeys(hour_of(starts_at) for starts_at in marked.values_list("starts_at", flat=True).distinct())
    for hour in hours:
        if time.monotonic() > stop_at:
            break
        of_hour = StaleBucket.objects.filter(starts_at__gte=max(hour, sealed), starts_at__lt=min(hour + HOUR, before))
        rows = list(of_hour.order_by("starts_at").values_list("id", "starts_at")[:MOST_MARKS])
        if rows:
            marks, starts = zip(*rows, strict=True)
            written += _replace(min(starts), max(starts) + BUCKET, marks=marks)
    return written


def _replace(since: datetime, until: datetime, *, settles: datetime | None = None, marks: Collection[int] = ()) -> int:
    """Compute the buckets of a range and put them in the place of what there was, unless another worker was faster;
    answers how many. settles: up to when all are final then."""
    revision = SeriesState.objects.values_list("revision", flat=True).get(pk=1)
    rows = computed(since, until)
    with transaction.atomic():
        state = SeriesState.objects.select_for_update().get(pk=1)
        if state.revision != revision:
            return 0
        _put(rows, since, until)
        StaleBucket.objects.filter(id__in=marks).delete()
        state.revision += 1
        state.settled_until = max(filter(None, (state.settled_until, settles)), default=None)
        state.save(update_fields=["revision", "settled_until"])
    return (until - since) // BUCKET


def _put(rows: Computed, since: datetime, until: datetime) -> None:
    for model in (FiguresBucket, JudgedBucket, MetricBucket):
        model.objects.filter(starts_at__gte=since, starts_at__lt=until).delete()
    FiguresBucket.objects.bulk_create(rows.figures, batch_size=500)
    JudgedBucket.objects.bulk_create(rows.judged, batch_size=500)
    MetricBucket.objects.bulk_create(rows.metrics, batch_size=500)
