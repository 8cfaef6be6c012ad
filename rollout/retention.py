"""How long are events kept? As long as their setting says, with all that was delivered of them; the oldest go first.

None goes while it is, or is to be, delivered, and neither does any after it, so that what is kept has no gaps.
"""

from datetime import datetime

from django.conf import settings
from django.db.models import Q, QuerySet

from observability import retention
from observability.retention import Kind
from registry.models import Event
from rollout.models import Delivery, DeliveryStatus, FanOut


def kinds() -> list[Kind]:
    """Deliveries first: they refer to their events. Their attempts go with them."""
    return [
        Kind(
            *("deliveries", Delivery, settings.KEEP_EVENTS, _oldest_deliveries, _expired_deliveries),
            still=~Q(status=DeliveryStatus.PENDING),  # or one that is replayed meanwhile would be gone
        ),
        Kind("events", Event, settings.KEEP_EVENTS, _oldest_events, _expired_events),
    ]


def _expired_events(before: datetime) -> QuerySet[Event]:
    """Read by their numbers, up to the first that stays."""
    fanned_out = FanOut.objects.values_list("sequence", flat=True).first() or 0
    awaited = Q(pk__in=Delivery.objects.filter(status=DeliveryStatus.PENDING).values("event"))
    kept = Event.objects.filter(Q(occurred_at__gte=before) | Q(sequence__gt=fanned_out) | awaited)
    first_kept = kept.order_by("sequence").values_list("sequence", flat=True).first()
    expired = Event.objects.filter(occurred_at__lt=before)  # not one that is recorded at this very moment
    return expired if first_kept is None else expired.filter(sequence__lt=first_kept)


def _expired_deliveries(before: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(event__in=_expired_events(before))


def _oldest_events(before: datetime) -> list[int]:
    return list(_expired_events(before).order_by("sequence").values_list("pk", flat=True)[: retention.BATCH])


def _oldest_deliveries(before: datetime) -> list[str]:
    return list(_expired_deliveries(before).order_by("event").values_list("pk", flat=True)[: retention.BATCH])
