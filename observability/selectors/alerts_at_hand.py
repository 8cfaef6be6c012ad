"""Which alerts are open now, the worst first, and what is silenced of them?"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from observability.models import Alert, Severity
from observability.selectors.alerts import alerts
from registry import events
from registry.models import Event

NOTICES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class AtHand:
    """loud, quiet: the first of those that are told of and of the silenced ones; the numbers are of all of them."""

    loud: Sequence[Alert]
    quiet: Sequence[Alert]
    all_loud: int
    all_quiet: int


def worst_first(found: QuerySet[Alert]) -> QuerySet[Alert]:
    """Open ones of `selectors.alerts`, silenced ones at the end."""
    rank = Case(
        When(silenced_until__isnull=False, then=Value(2)),
        When(severity=Severity.CRITICAL, then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    )
    return found.order_by(rank, "-fired_at", "-id")


def at_hand(*, limit: int) -> AtHand:
    """One query where none is open, else three, however many there are."""
    found = worst_first(alerts())
    quiet = Q(silenced_until__isnull=False)
    numbers = found.order_by().aggregate(loud=Count("pk", filter=~quiet), quiet=Count("pk", filter=quiet))
    if not any(numbers.values()):
        return AtHand((), (), 0, 0)
    return AtHand(
        list(found.exclude(quiet)[:limit]), list(found.filter(quiet)[:limit]), numbers["loud"], numbers["quiet"]
    )


def notices_of(alert: Alert) -> Sequence[Event]:
    """The newest first, at most so many. By the prompt's index: events are not found by what is in their data."""
    types = [type_ for type_ in events.EVENT_TYPES if type_.startswith("alert.")]
    of_alert = {"prompt": alert.prompt, "occurred_at__gte": alert.fired_at, "data__alert__id": alert.pk}
    return list(Event.objects.filter(type__in=types, **of_alert).order_by("-occurred_at")[:NOTICES_SHOWN])
