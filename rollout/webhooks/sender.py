"""Delivery of events to webhook endpoints: at least once, never before the change, never instead of it.

A delivery's row is written with the change itself or after it, so no receiver hears of what did not happen, and nothing
that happens waits for a receiver. A worker claims the row for LEASE, sends outside any transaction, and settles what
came of it in one. When it dies in between, the lease runs out and the delivery is sent again with the same
`webhook-id`, by which the receiver knows it. Order is not promised: `sequence` in the payload tells it.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from django.db import transaction
from django.db.models import Q

from common.actors import SENDER
from common.clock import now
from rollout.models import DeadReason, Delivery, DeliveryAttempt, DeliveryStatus
from rollout.webhooks import retries
from rollout.webhooks.fan_out import deliver_new_events
from rollout.webhooks.post import Answer, post
from rollout.webhooks.services import disable, end
from rollout.webhooks.signing import signed_headers
from rollout.webhooks.wake_up import wake_ups_wait, wake_worker

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
WOKEN_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt that was made, and what came back."""

    at: datetime
    duration_ms: int
    answer: Answer


def attempt(delivery_id: str) -> None:
    """The workers' task: try the delivery once, if it is due and nobody else does. May run twice or late."""
    delivery = claim(delivery_id)
    if delivery is None:
        return
    if delivery.endpoint.disabled_at:  # while the event was being recorded
        end(Delivery.objects.filter(pk=delivery.pk), DeadReason.ENDPOINT_DISABLED)
        return
    settle(delivery, send(delivery))


def claim(delivery_id: str) -> Delivery | None:
    """The delivery, leased to the caller alone, or None when it is not due, not pending or leased already."""
    moment = now()
    claimed = Delivery.objects.filter(_due(moment), pk=delivery_id).update(lease_until=moment + LEASE)
    return Delivery.objects.select_related("endpoint", "event").get(pk=delivery_id) if claimed else None


def send(delivery: Delivery) -> Sent:
    """Sign and post the payload. Runs outside any transaction."""
    at, start = now(), time.monotonic()
    body = bytes(delivery.payload)
    signature = signed_headers(
        secret=delivery.endpoint.secret, message_id=delivery.event.id, timestamp=int(at.timestamp()), body=body
    )
    headers = {"Content-Type": "application/json", "User-Agent": "Serinus-Webhooks/1", **signature}
    answer = post(delivery.endpoint.url, body=body, headers=headers)
    return Sent(at, round((time.monotonic() - start) * 1000), answer)


@transaction.atomic
def settle(delivery: Delivery, sent: Sent) -> None:
    """Log the attempt and decide what becomes of the delivery, unless its lease has gone to another meanwhile."""
    if sent.answer.status == HTTPStatus.GONE:
        disable(delivery.endpoint_id, why="answered 410 Gone", reason=DeadReason.ENDPOINT_GONE, actor=SENDER)
    current = Delivery.objects.select_for_update().get(pk=delivery.pk)
    _log(current, sent)
    if sent.answer.success:
        _deliver(current)
    elif current.lease_until == delivery.lease_until:
        _fail(current, sent)


def wake_due_deliveries() -> None:
    """Wake workers for retries that are due and for what a lost wake-up left behind. Sends nothing: call it often.

    Only a few at once, and none while earlier wake-ups wait: a queue that is slow must not grow by being asked again.
    """
    if not wake_ups_wait():
        due = Delivery.objects.filter(_due(now())).order_by("next_attempt_at")
        for delivery_id in due.values_list("pk", flat=True)[:WOKEN_AT_ONCE]:
            wake_worker(delivery_id)


def sweep() -> None:
    """The schedule's task of every minute: what the evaluator's loop does every few seconds, should that not run."""
    deliver_new_events()
    wake_due_deliveries()


def _due(moment: datetime) -> Q:
    free = Q(lease_until=None) | Q(lease_until__lte=moment)
    return Q(status=DeliveryStatus.PENDING, next_attempt_at__lte=moment) & free


def _log(delivery: Delivery, sent: Sent) -> None:
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=delivery.log.count() + 1,
        attempted_at=sent.at,
        duration_ms=sent.duration_ms,
        http_status=sent.answer.status,
        error=sent.answer.error,
    )


def _deliver(delivery: Delivery) -> None:
    """Acknowledged is acknowledged, whatever the lease: an attempt given up for lost may still arrive."""
    Delivery.objects.filter(pk=delivery.pk).exclude(status=DeliveryStatus.DELIVERED).update(
        status=DeliveryStatus.DELIVERED,
        dead_reason="",
        attempts=delivery.attempts + 1,
        next_attempt_at=None,
        lease_until=None,
        delivered_at=now(),
    )
    logger.info("webhook.delivered", extra={"delivery": delivery.pk, "sequence": delivery.event_id})


def _fail(delivery: Delivery, sent: Sent) -> None:
    failures = delivery.attempts + 1
    asked_s = retries.retry_after_s(sent.answer.retry_after, at=now())
    wait = retries.wait_after(failures, retry_after_s=asked_s)
    row = Delivery.objects.filter(pk=delivery.pk)
    row.update(attempts=failures, lease_until=None)
    if wait is None:
        end(row, DeadReason.RETRIES_USED_UP)
    else:
        row.update(next_attempt_at=now() + wait)
    known = {"status": sent.answer.status, "error": sent.answer.error, "failures": failures, "dead": wait is None}
    logger.warning("webhook.attempt_failed", extra={"delivery": delivery.pk, "sequence": delivery.event_id, **known})
