"""What people do with webhooks: make, change, enable and disable an endpoint, rotate its secret, replay deliveries.

Every one of them locks the endpoint before its deliveries, as the sender does.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from registry import audit
from registry import events as event_log
from rollout.models import DISABLED_BY, DeadReason, Delivery, DeliveryStatus, WebhookEndpoint, WebhookFormat
from rollout.webhooks.fan_out import catch_up
from rollout.webhooks.signing import new_secret
from rollout.webhooks.wanted import check_events, check_format, check_url

logger = logging.getLogger(__name__)

KEEP_OLD_FOR = timedelta(hours=24)
LONGEST_KEPT = timedelta(days=30)
MOST_KEPT = 5
ENDED = (DeliveryStatus.DELIVERED, DeliveryStatus.DEAD)
HEALTHY: dict[str, Any] = {"failing_since": None, "consecutive_failures": 0}


@transaction.atomic
def create_endpoint(
    *,
    url: str,
    events: Sequence[str] | None = None,
    description: str = "",
    format: str = WebhookFormat.STANDARD,  # noqa: A002 (the field's name)
    actor: Actor,
) -> WebhookEndpoint:
    """An endpoint that is told of every event of these types (None: of all) from now on. Raises Invalid."""
    check_url(url)
    check_events(events or ())
    check_format(format)
    catch_up()  # or it would be told of what happened before it
    endpoint = WebhookEndpoint.objects.create(
        id=new_id("whk"),
        url=url,
        events=list(events or ()),
        description=description,
        format=format,
        secret=new_secret(),
        created_at=now(),
        created_by=str(actor),
    )
    return _record("created", endpoint, None, actor)


@transaction.atomic
def change_endpoint(
    *,
    endpoint_id: str,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    format: str | None = None,  # noqa: A002 (the field's name)
    actor: Actor,
) -> WebhookEndpoint:
    """Change what is given; no events at all means all types. What is pending goes to the new address as it is.
    Nothing happens where it is so already.

    Raises NotFound, Invalid.
    """
    if events is not None:
        catch_up()  # or what has already happened would be told by what is wanted from now on
    endpoint = _lock(endpoint_id)
    given = {"url": url, "events": events, "description": description, "format": format}
    before = _audited(endpoint)
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if events is not None:
        check_events(events)
        changes["events"] = list(events)
    if all(getattr(endpoint, name) == value for name, value in changes.items()):
        return endpoint
    if url is not None and url != endpoint.url:
        check_url(url)
        changes |= HEALTHY  # what the old address did says nothing of the new one
    if format is not None:
        check_format(format)
    return _record("changed", _write(endpoint, **changes), before, actor)


@transaction.atomic
def rotate_secret(*, endpoint_id: str, keep_old_for: timedelta = KEEP_OLD_FOR, actor: Actor) -> WebhookEndpoint:
    """A new secret. Until keep_old_for is over the present one signs too, and so do those that were kept before.

    Not only the last one: whoever asks again after an answer that was lost must not take from the receiver the one
    secret that it knows. At most MOST_KEPT; with a keep_old_for of 0 none. Raises NotFound, Invalid.
    """
    if not timedelta(0) <= keep_old_for <= LONGEST_KEPT:
        raise Invalid.field("keep_old_for", f"expected 0 to {LONGEST_KEPT.days}d")
    endpoint, moment = _lock(endpoint_id), now()
    kept = [(endpoint.secret, moment + keep_old_for), *endpoint.kept_at(moment)][:MOST_KEPT] if keep_old_for else []
    previous = [(secret, until.isoformat()) for secret, until in kept]
    before = _audited(endpoint)
    return _record("rotated", _write(endpoint, secret=new_secret(), previous_secrets=previous), before, actor)


@transaction.atomic
def enable_endpoint(*, endpoint_id: str, actor: Actor) -> WebhookEndpoint:
    """Tell it again of what happens from now on. What is dead stays so until it is replayed. Raises NotFound."""
    catch_up()  # or it would be told of what happened while it was disabled
    endpoint = _lock(endpoint_id)
    if endpoint.disabled_at is None:
        return endpoint
    before = _audited(endpoint)
    return _record("enabled", _write(endpoint, disabled_at=None, disabled_reason="", **HEALTHY), before, actor)


@transaction.atomic
def disable_endpoint(*, endpoint_id: str, actor: Actor) -> None:
    """Send it nothing any more; what was pending is dead, the history stays. Raises NotFound."""
    disable(_lock(endpoint_id), why=f"{DISABLED_BY}{actor}", reason=DeadReason.ENDPOINT_DISABLED, actor=actor)


@transaction.atomic
def replay(*, endpoint_id: str, delivery_id: str, actor: Actor) -> Delivery:
    """Send a delivered or dead delivery once more, now, with the same id and payload and all retries.

    Raises NotFound, or Conflict (webhook_disabled, delivery_pending).
    """
    endpoint = _lock_enabled(endpoint_id)
    row = endpoint.deliveries.filter(pk=delivery_id)
    if not row.exists():
        raise NotFound("unknown_delivery", f"The webhook {endpoint_id} has no delivery {delivery_id}")
    if not _start_again(row):
        raise Conflict("delivery_pending", f"The delivery {delivery_id} is still being tried")
    target = f"webhooks/{endpoint_id}/deliveries/{delivery_id}"
    audit.record(action="delivery.replayed", target=target, before=None, after={"deliveries": 1}, actor=actor)
    transaction.on_commit(partial(logger.info, "webhook.replayed", extra={"delivery": delivery_id}))
    return row.get()


@transaction.atomic
def replay_all(*, endpoint_id: str, status: str | None = None, since: datetime | None = None, actor: Actor) -> int:
    """Send once more what is delivered or dead (status: only that) and was made since then; how many these are.

    Raises NotFound, Conflict webhook_disabled, or Invalid when neither is given, which would be all there ever was.
    """
    if status is None and since is None:
        raise Invalid.field("status", "expected status=dead, or since= with a time")
    if status not in {None, *ENDED}:
        raise Invalid.field("status", f"expected {' or '.join(ENDED)}: what is pending is sent anyhow")
    chosen = Q(status=status) if status else Q()
    if since:
        chosen &= Q(created_at__gte=since)
    replayed = _start_again(_lock_enabled(endpoint_id).deliveries.filter(chosen))
    after = {"status": status, "since": since, "deliveries": replayed}
    audit.record(
        action="delivery.replayed", target=f"webhooks/{endpoint_id}/deliveries", before=None, after=after, actor=actor
    )
    fields = {"endpoint": endpoint_id, "deliveries": replayed}
    transaction.on_commit(partial(logger.info, "webhook.replayed", extra=fields))
    return replayed


def disable(endpoint: WebhookEndpoint, *, why: str, reason: DeadReason, actor: Actor) -> None:
    """End the endpoint, which is locked, and what is pending for it. Others are told: somebody hears nothing now."""
    if not endpoint.disabled_at:
        before = _audited(endpoint)
        _write(endpoint, disabled_at=now(), disabled_reason=why)
        _audit("disabled", endpoint, before, actor, reason=why)
        told = {"webhook": endpoint.pk, "description": endpoint.description, "reason": reason, "actor": str(actor)}
        event_log.record(type="webhook.disabled", prompt="", data=told)
        fields = {"endpoint": endpoint.pk, "reason": reason, "why": why}
        transaction.on_commit(partial(logger.warning, "webhook.disabled", extra=fields))
    end(endpoint.deliveries.all(), reason)


def end(deliveries: QuerySet[Delivery], reason: DeadReason) -> None:
    """Let those that are pending be dead."""
    deliveries.filter(status=DeliveryStatus.PENDING).update(
        status=DeliveryStatus.DEAD, dead_reason=reason, next_attempt_at=None, lease_until=None
    )


def _start_again(deliveries: QuerySet[Delivery]) -> int:
    return deliveries.exclude(status=DeliveryStatus.PENDING).update(
        status=DeliveryStatus.PENDING, dead_reason="", attempts=0, next_attempt_at=now(), delivered_at=None
    )


def _lock(endpoint_id: str) -> WebhookEndpoint:
    """Against other changes, not against events that are being recorded."""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint_id).first()
    if endpoint is None:
        raise NotFound("unknown_webhook", f"There is no webhook {endpoint_id}")
    return endpoint


def _lock_enabled(endpoint_id: str) -> WebhookEndpoint:
    endpoint = _lock(endpoint_id)
    if endpoint.disabled_at:
        raise Conflict("webhook_disabled", f"The webhook {endpoint_id} is disabled: {endpoint.disabled_reason}")
    return endpoint


def _write(endpoint: WebhookEndpoint, **fields: Any) -> WebhookEndpoint:
    for name, value in fields.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(fields))
    return endpoint


def _record(what: str, endpoint: WebhookEndpoint, before: dict[str, Any] | None, actor: Actor) -> WebhookEndpoint:
    _audit(what, endpoint, before, actor)
    fields = {"endpoint": endpoint.pk, "actor": str(actor)}
    transaction.on_commit(partial(logger.info, f"webhook.{what}", extra=fields))
    return endpoint


def _audit(
    what: str, endpoint: WebhookEndpoint, before: dict[str, Any] | None, actor: Actor, *, reason: str = ""
) -> None:
    audit.record(
        action=f"webhook.{what}",
        target=f"webhooks/{endpoint.pk}",
        before=before,
        after=_audited(endpoint),
        actor=actor,
        reason=reason,
    )


def _audited(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Without its secrets."""
    return {
        "url": endpoint.url,
        "events": endpoint.events or None,
        "description": endpoint.description,
        "format": endpoint.format,
        "disabled": endpoint.disabled_at is not None,
    }
