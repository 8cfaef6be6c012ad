"""Counts of what was refused on its way in, which no other table can tell."""

from collections.abc import Mapping

from django.db import connection, transaction

from common.clock import now
from observability import bulk
from observability.models import Refused, RefusedHour
from observability.selectors.hours import hour_of

COLUMNS = ("hour", "kind", "reason", "n")
ADD = "(hour, kind, reason) DO UPDATE SET n = observability_refusedhour.n + excluded.n"


def count_refused(kind: Refused, by_reason: Mapping[str, int]) -> None:
    """Add to this hour's counts. The reasons must be of a small, fixed set: each has a row an hour.

    In a transaction of its own and in order, so that writers of the same counts neither wait long nor deadlock.
    """
    if not by_reason:
        return
    hour = connection.ops.adapt_datetimefield_value(hour_of(now()))
    rows = [(hour, kind, reason, n) for reason, n in sorted(by_reason.items()) if n]
    with transaction.atomic():
        bulk.upsert(RefusedHour, COLUMNS, rows, on_conflict=ADD)
