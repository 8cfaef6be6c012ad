"""Is the background work done, by whichever host? The figures by which an operator sees that it is not."""

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Q
from django_q.brokers import get_broker

from common.clock import now
from rollout.models import ACTIVE, Delivery, DeliveryStatus, Heartbeat, Rollout

FORGOTTEN_AFTER = timedelta(days=1)  # a container that is replaced leaves its host's name behind


@dataclass(frozen=True, slots=True)
class Work:
    """evaluator_age_s: since an evaluator was last seen, None when none ever was. look_late_s, delivery_late_s: for how
    long the one that waits longest has been due, 0 when none is. tasks: that no process has taken yet.
    """

    evaluator_age_s: float | None
    look_late_s: float
    tasks: int
    deliveries_due: int
    delivery_late_s: float


def beat() -> None:
    """Say that an evaluator runs here."""
    Heartbeat.objects.update_or_create(host=socket.gethostname(), defaults={"at": now()})


def forget_hosts() -> None:
    """Delete the heartbeats of hosts that have not been seen for long."""
    Heartbeat.objects.filter(at__lt=now() - FORGOTTEN_AFTER).delete()


def measure() -> Work:
    moment = now()
    seen = Heartbeat.objects.order_by("-at").first()
    looks = Rollout.objects.filter(status__in=ACTIVE, next_look_at__lte=moment)
    free = Q(lease_until=None) | Q(lease_until__lte=moment)
    due = Delivery.objects.filter(free, status=DeliveryStatus.PENDING, next_attempt_at__lte=moment)
    return Work(
        evaluator_age_s=_since(seen.at, moment) if seen else None,
        look_late_s=_since(looks.aggregate(first=Min("next_look_at"))["first"], moment),
        tasks=get_broker().queue_size(),
        deliveries_due=due.count(),
        delivery_late_s=_since(due.aggregate(first=Min("next_attempt_at"))["first"], moment),
    )


def _since(at: datetime | None, moment: datetime) -> float:
    return max(0.0, (moment - at).total_seconds()) if at else 0.0
