"""The log of facts told to the outside (product.md, section 6): written with the change itself, delivered later."""

from typing import Any

from common.clock import now
from common.ids import new_id
from registry.models import Event
from registry.sequences import next_value

EVENT_TYPES = (
    "version.published",
    "label.moved",
    "rollout.started",
    "rollout.step_advanced",
    "rollout.paused",
    "rollout.resumed",
    "rollout.promoted",
    "rollout.rolled_back",
    "rollout.cancelled",
    "rollout.invalid",
    "rollout.inconclusive",
    "rollout.harm_found",
    "rollout.proven_safe",
    "rollout.evaluation_failed",
    "rollout.recovered",
)


def record(*, type: str, prompt: str, data: dict[str, Any]) -> Event:  # noqa: A002 (the field's name on the wire)
    """Write one event. Must run inside the transaction that makes the fact true."""
    return Event.objects.create(
        sequence=next_value("event"), id=new_id("evt"), type=type, prompt=prompt, occurred_at=now(), data=data
    )
