"""Delivery of events to webhook endpoints: at least once, never before the change, never instead of it.

A delivery's row is written with the change itself or after it, so no receiver hears of what did not happen, and nothing
that happens waits for a receiver. A sender claims the row for LEASE, sends outside any transaction, and settles what
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

from common.clock import now
from rollout.models import DeadReason, Delivery, DeliveryAttempt, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import retries
from rollout.webhooks.post import Answer, post
from rollout.webhooks.services import HEALTHY, disable, end
from rollout.webhooks.signing import signed_headers

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt that was made, and what came back."""

    at: datetime
    duration_ms: int
    answer: Answer


def due(moment: datetime) -> Q:
    free = Q(lease_until=None) | Q(lease_until__lte=moment)
    return Q(status=DeliveryStatus.PENDING, next_attempt_at__lte=moment) & free


def claim(delivery_id: str) -> Delivery | None:
    """The delivery, leased to the caller alone, or None when it is not due, not pending or leased already.

    One whose endpoint was disabled while the event was being recorded is dead then.
    """
    moment = now()
    claimed = Delivery.objects.filter(due(moment), pk=delivery_id).update(lease_until=moment + LEASE)
    if not claimed:
        return None
    delivery = Delivery.objects.select_related("endpoint", "event").get(pk=delivery_id)
    if delivery.endpoint.disabled_at:
        end(Delivery.objects.filter(pk=delivery_id), DeadReason.ENDPOINT_DISABLED)
        return None
    return delivery


def send(delivery: Delivery) -> Sent:
    """Sign and post the payload. Touches no database, so that it may run in a thread without a connection."""
    at, start = now(), time.monotonic()
    body = bytes(delivery.payload)
    signature = signed_headers(
        keys=delivery.endpoint.secrets_at(at), message_id=delivery.event.id, timestamp=int(at.timestamp()), body=body
    )
    headers = {"Content-Type": "application/json", "User-Agent": "Serinus-Webhooks/1", **signature}
    answer = post(delivery.endpoint.url, body=body, headers=headers)
    return Sent(at, round((time.monotonic() - start) * 1000), answer)


@transaction.atomic
def settle(delivery: Delivery, sent: Sent) -> None:
    """Log the attempt and decide what becomes of the delivery, unless its lease has gone to another meanwhile."""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=delivery.endpoint_id)
    _note_health(endpoint, sent)
    if sent.answer.status == HTTPStatus.GONE:
        disable(endpoint, why="answered 410 Gone", reason=DeadReason.ENDPOINT_GONE)
    current = Delivery.objects.select_for_update().get(pk=delivery.pk)
    _log(current, sent)
    if sent.answer.success:
        _deliver(current)
    elif current.lease_until == delivery.lease_until:
        _fail(endpoint, current, sent)


def _note_health(endpoint: WebhookEndpoint, sent: Sent) -> None:
    if sent.answer.success:
        noted = {"last_success_at": sent.at, **HEALTHY}
    else:
        failures = endpoint.consecutive_failures + 1
        since = endpoint.failing_since or sent.at
        noted = {"last_failure_at": sent.at, "failing_since": since, "consecutive_failures": failures}
    for name, value in noted.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(noted))


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


def _fail(endpoint: WebhookEndpoint, delivery: Delivery, sent: Sent) -> None:
    failures = delivery.attempts + 1
    asked_s = retries.retry_after_s(sent.answer.retry_after, at=now())
    wait = retries.wait_after(failures, retry_after_s=asked_s)
    row = Delivery.objects.filter(pk=delivery.pk)
    row.update(attempts=failures, lease_until=None)
    known = {"status": sent.answer.status, "error": sent.answer.error, "failures": failures, "dead": wait is None}
    logger.warning("webhook.attempt_failed", extra={"delivery": delivery.pk, "sequence": delivery.event_id, **known})
    if wait is None:
        end(row, DeadReason.RETRIES_USED_UP)
        _give_up_on(endpoint, sent)
    else:
        row.update(next_attempt_at=now() + wait)


def _give_up_on(endpoint: WebhookEndpoint, sent: Sent) -> None:
    """Disable an endpoint that has taken nothing for as long as a delivery is tried."""
    if endpoint.failing_since and now() - endpoint.failing_since >= retries.SHORTEST_LIFE:
        last = f"HTTP {sent.answer.status}" if sent.answer.status else sent.answer.error[:100]
        why = f"took nothing since {endpoint.failing_since:%Y-%m-%d %H:%M} UTC, at last: {last}"
        disable(endpoint, why=why, reason=DeadReason.ENDPOINT_DISABLED)
