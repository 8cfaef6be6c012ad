"""What people do with webhooks: make an endpoint, disable it, replay a delivery."""

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import QuerySet

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from registry import audit
from registry import events as event_log
from registry.events import EVENT_TYPES
from rollout.models import DeadReason, Delivery, DeliveryStatus, WebhookEndpoint
from rollout.webhooks.fan_out import catch_up
from rollout.webhooks.signing import new_secret
from rollout.webhooks.wake_up import wake_worker

logger = logging.getLogger(__name__)

MAX_URL_LENGTH = 2000


@transaction.atomic
def create_endpoint(
    *, url: str, events: Sequence[str] | None = None, description: str = "", actor: Actor
) -> WebhookEndpoint:
    """An endpoint that is told of every event of these types (None: of all) from now on. Raises Invalid."""
    _check_url(url)
    _check_events(events or ())
    catch_up()  # or it would be told of what happened before it
    endpoint = WebhookEndpoint.objects.create(
        id=new_id("whk"),
        url=url,
        events=list(events or ()),
        description=description,
        secret=new_secret(),
        created_at=now(),
        created_by=str(actor),
    )
    audit.record(
        action="webhook.created", target=f"webhooks/{endpoint.pk}", before=None, after=_audited(endpoint), actor=actor
    )
    return endpoint


@transaction.atomic
def disable_endpoint(*, endpoint_id: str, actor: Actor) -> None:
    """Send it nothing any more; what was pending is dead, the history stays. Raises NotFound."""
    if not WebhookEndpoint.objects.filter(pk=endpoint_id).exists():
        raise NotFound("unknown_webhook", f"There is no webhook {endpoint_id}")
    disable(endpoint_id, why=f"by {actor}", reason=DeadReason.ENDPOINT_DISABLED, actor=actor)


@transaction.atomic
def replay(*, endpoint_id: str, delivery_id: str, actor: Actor) -> Delivery:
    """Send a delivered or dead delivery once more, now, with the same id and payload and all retries.

    Raises NotFound, or Conflict (webhook_disabled, delivery_pending).
    """
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint_id).first()
    delivery = Delivery.objects.select_for_update().filter(pk=delivery_id, endpoint=endpoint_id).first()
    if endpoint is None or delivery is None:
        raise NotFound("unknown_delivery", f"The webhook {endpoint_id} has no delivery {delivery_id}")
    if endpoint.disabled_at:
        raise Conflict("webhook_disabled", f"The webhook {endpoint_id} is disabled: {endpoint.disabled_reason}")
    if delivery.status == DeliveryStatus.PENDING:
        raise Conflict("delivery_pending", f"The delivery {delivery_id} is still being tried")
    before = {"status": delivery.status, "dead_reason": delivery.dead_reason or None}
    delivery.status = DeliveryStatus.PENDING
    delivery.dead_reason = ""
    delivery.attempts = 0
    delivery.next_attempt_at = now()
    delivery.delivered_at = None
    delivery.save(update_fields=["status", "dead_reason", "attempts", "next_attempt_at", "delivered_at"])
    audit.record(
        action="delivery.replayed",
        target=f"webhooks/{endpoint_id}/deliveries/{delivery_id}",
        before=before,
        after={"status": delivery.status, "dead_reason": None},
        actor=actor,
    )
    wake_worker(delivery.pk)
    logger.info("webhook.replayed", extra={"delivery": delivery.pk, "sequence": delivery.event_id})
    return delivery


def disable(endpoint_id: str, *, why: str, reason: DeadReason, actor: Actor) -> None:
    """End the endpoint and what is pending for it. Must run inside a transaction, before any delivery is locked.

    Others are told, since from now on somebody hears nothing.
    """
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint_id)
    if not endpoint.disabled_at:
        endpoint.disabled_at = now()
        endpoint.disabled_reason = why
        endpoint.save(update_fields=["disabled_at", "disabled_reason"])
        audit.record(
            action="webhook.disabled",
            target=f"webhooks/{endpoint.pk}",
            before={"disabled": False},
            after={"disabled": True},
            actor=actor,
            reason=why,
        )
        told = {"webhook": endpoint.pk, "description": endpoint.description, "reason": reason, "actor": str(actor)}
        event_log.record(type="webhook.disabled", prompt="", data=told)
        logger.warning("webhook.endpoint_disabled", extra={"endpoint": endpoint.pk, "reason": reason})
    end(endpoint.deliveries.all(), reason)


def end(deliveries: QuerySet[Delivery], reason: DeadReason) -> None:
    """Let those that are pending be dead."""
    deliveries.filter(status=DeliveryStatus.PENDING).update(
        status=DeliveryStatus.DEAD, dead_reason=reason, next_attempt_at=None, lease_until=None
    )


def _audited(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {"url": endpoint.url, "events": endpoint.events or None, "description": endpoint.description}


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable or len(url) > MAX_URL_LENGTH or not all("!" <= character <= "~" for character in url):
        raise Invalid.field("url", f"expected an http or https address of at most {MAX_URL_LENGTH} ASCII characters")
    if "@" in parts.netloc:
        raise Invalid.field("url", "expected an address without a user name or password: it is shown to others")


def _check_events(events: Sequence[str]) -> None:
    if unknown := sorted(set(events) - set(EVENT_TYPES)):
        raise Invalid.field("events", f"expected some of {', '.join(EVENT_TYPES)}; got {', '.join(unknown)}")
