"""Events become deliveries: one for each enabled endpoint that wants the type.

What rollout records gets its deliveries in the same transaction (`create_deliveries`). What registry records, which
knows no webhooks, gets them soon after (`deliver_new_events`), in the order of the events' numbers: these have no gaps
and follow the commits, so one remembered number tells what is done. A new endpoint is told of what happens from its
making on and of nothing older, because its making catches up first.
"""

import json
from typing import Any

from django.db import transaction

from common.clock import now
from common.ids import new_id
from registry.models import Event
from rollout.models import Delivery, FanOut, WebhookEndpoint, WebhookFormat
from rollout.webhooks.slack import slack_text


def create_deliveries(event: Event) -> None:
    """Give the event its deliveries. Must run inside a transaction; does nothing twice."""
    endpoints = WebhookEndpoint.objects.filter(disabled_at=None).exclude(deliveries__event=event)
    wanting = [endpoint for endpoint in endpoints if not endpoint.events or event.type in endpoint.events]
    created_at = now()
    payloads = {wanted: payload_of(event, wanted) for wanted in {endpoint.format for endpoint in wanting}}
    deliveries = [
        Delivery(
            id=new_id("dlv"),
            event=event,
            endpoint=endpoint,
            payload=payloads[endpoint.format],
            next_attempt_at=created_at,
            created_at=created_at,
        )
        for endpoint in wanting
    ]
    Delivery.objects.bulk_create(deliveries)


def deliver_new_events() -> None:
    """Give their deliveries to the events recorded since the last call. Cheap when there are none: call it often."""
    done = FanOut.objects.values_list("sequence", flat=True).first() or 0
    if Event.objects.filter(sequence__gt=done).exists():
        with transaction.atomic():
            catch_up()


def catch_up() -> None:
    """`deliver_new_events` inside the caller's transaction, which then holds back all others that catch up."""
    fan_out, _ = FanOut.objects.select_for_update().get_or_create(pk=1)
    for event in Event.objects.filter(sequence__gt=fan_out.sequence).order_by("sequence"):
        create_deliveries(event)
        fan_out.sequence = event.sequence
    fan_out.save(update_fields=["sequence"])


def payload_of(event: Event, format: str = WebhookFormat.STANDARD) -> bytes:  # noqa: A002 (the field's name)
    """The body of the event's webhooks: canonical JSON in UTF-8, the same bytes for the same event and format."""
    body = {"text": slack_text(event)} if format == WebhookFormat.SLACK else _standard(event)
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # Half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes `\ud83d`: an escape of JSON again. No
    # text that a template may contain must keep a rollback from happening.
    return text.encode(errors="backslashreplace")


def _standard(event: Event) -> dict[str, Any]:
    return {
        "type": event.type,
        "timestamp": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "sequence": event.sequence,
        "prompt": event.prompt,
        "data": event.data,
    }
