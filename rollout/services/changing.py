"""One change of a rollout: what every service of this package is made of, inside its transaction."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict
from registry import audit, events
from registry import services as registry_services
from registry.sequences import touch
from rollout.core.lifecycle import is_allowed
from rollout.core.plan import Plan
from rollout.models import Rollout, Status, Transition, Verdict
from rollout.representation import evidence_json, rollout_json
from rollout.selectors import find_rollout
from rollout.webhooks.fan_out import create_deliveries

logger = logging.getLogger(__package__)

BY_HAND = "by_hand"
NOTHING_MORE: Mapping[str, Any] = {}


def lock(rollout_id: str, action: str, expected_revision: int | None) -> Rollout:
    """The rollout, locked, if it still has the revision and a state that the action may leave."""
    # Locked alone and read afterwards: after waiting for a lock, PostgreSQL joins a row's new values with old rows.
    Rollout.objects.select_for_update(no_key=True).filter(pk=rollout_id).first()
    rollout = find_rollout(rollout_id)
    if expected_revision is not None and expected_revision != rollout.revision:
        raise Conflict(
            "stale_revision",
            f"The rollout has changed: it is at revision {rollout.revision}, not {expected_revision}",
            extra={
                "expected_revision": expected_revision,
                "revision": rollout.revision,
                "rollout_status": rollout.status,
            },
        )
    if not is_allowed(action, rollout.status):
        raise Conflict(
            "illegal_transition",
            f"A rollout that is {rollout.status} cannot be changed by {action}",
            extra={"rollout_status": rollout.status, "action": action, "revision": rollout.revision},
        )
    return rollout


def step_fields(rollout: Rollout, step: int) -> dict[str, Any]:
    planned = Plan.from_json(rollout.plan).steps[step]
    entered_at = now()
    return {
        "step": step,
        "weight_bp": planned.weight_bp,
        "step_entered_at": entered_at,
        "hold_until": entered_at + timedelta(seconds=planned.hold_s),
    }


def end(rollout: Rollout, action: str, status: Status, **how: Any) -> Rollout:
    registry_services.release_label(label_id=rollout.label_id)
    return change(rollout, action, status=status, weight_bp=0, hold_reason="", next_look_at=None, ended_at=now(), **how)


def change(
    rollout: Rollout,
    action: str,
    *,
    actor: Actor,
    cause: str = BY_HAND,
    reason: str = "",
    verdict: Verdict | None = None,
    told: Mapping[str, Any] = NOTHING_MORE,
    **fields: Any,
) -> Rollout:
    """Write the fields, the next revision and its transition; tell the serving processes and the outside.

    told: what the event says beside the rollout and its transition.
    """
    from_status, from_weight_bp, before = rollout.status, rollout.weight_bp, audited(rollout)
    for name, value in fields.items():
        setattr(rollout, name, value)
    rollout.revision += 1
    rollout.save(update_fields=[*fields, "revision"])
    transition = Transition.objects.create(
        rollout=rollout,
        revision=rollout.revision,
        action=action,
        from_status=from_status,
        to_status=rollout.status,
        step=rollout.step,
        from_weight_bp=from_weight_bp,
        to_weight_bp=rollout.weight_bp,
        cause=cause,
        reason=reason,
        actor=str(actor),
        happened_at=now(),
        verdict=verdict,
    )
    audit.record(
        action=f"rollout.{action}",
        target=target_of(rollout),
        before=before,
        after=audited(rollout),
        actor=actor,
        reason=reason or cause,
    )
    touch(rollout.prompt)
    _tell(rollout, transition, told)
    return rollout


def target_of(rollout: Rollout) -> str:
    return f"prompts/{rollout.prompt.name}/rollouts/{rollout.id}"


def audited(rollout: Rollout) -> dict[str, Any]:
    return {
        "label": rollout.label.name,
        "control": rollout.control.number,
        "status": rollout.status,
        "step": rollout.step,
        "weight_bp": rollout.weight_bp,
        "hold_reason": rollout.hold_reason or None,
    }


def _tell(rollout: Rollout, transition: Transition, more: Mapping[str, Any]) -> None:
    data = {"rollout": rollout_json(rollout), **evidence_json(rollout, transition), **more}
    event = events.record(type=f"rollout.{transition.action}", prompt=rollout.prompt.name, data=data)
    create_deliveries(event)
    fields = {"rollout": rollout.id, "cause": transition.cause, "event_id": event.id}
    transaction.on_commit(partial(logger.info, event.type, extra=fields))
