"""Every change of a rollout. One function a change, whoever asks for it: a verdict, the API, the admin, a page.

Each runs in one transaction: lock, check the revision and the state, write, record the transition, tell the label, the
serving processes (generation) and the outside (event and deliveries). Either all of it is true afterwards or nothing.
"""

import logging
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, NotFound
from common.ids import new_id
from registry import audit, events
from registry import selectors as registry_selectors
from registry import services as registry_services
from registry.models import Label, Prompt
from registry.sequences import touch
from rollout.admission import check_canary
from rollout.core.lifecycle import is_allowed
from rollout.core.plan import Plan
from rollout.models import HoldReason, Metric, Rollout, Status, Transition, Verdict
from rollout.past import baseline_of, seen_lately
from rollout.plans import read_plan, resolve_margin
from rollout.representation import evidence_json, rollout_json
from rollout.selectors import find_rollout, refuse_latest
from rollout.webhooks.fan_out import create_deliveries

logger = logging.getLogger(__name__)

BY_HAND = "by_hand"
SUPERSEDED = "superseded"
NOTHING_MORE: Mapping[str, Any] = {}
EVENT_OF_HOLD = {
    HoldReason.SAMPLE_RATIO: "rollout.invalid",
    HoldReason.INCONCLUSIVE: "rollout.inconclusive",
    HoldReason.HARM_FOUND: "rollout.harm_found",
    HoldReason.PROVEN_SAFE: "rollout.proven_safe",
    HoldReason.EVALUATION_FAILED: "rollout.evaluation_failed",
}


@transaction.atomic
def create_rollout(
    *,
    prompt_name: str,
    canary: str,
    label: str = "production",
    plan: Any = None,
    start: bool = True,
    force_reason: str = "",
    actor: Actor,
) -> Rollout:
    """A new rollout of the label from its version to the canary version, started at once unless `start` is False.

    plan: as people write it (rollout.plans); None for the default plan. force_reason: why a major change, or a text
    that was rolled back before, is to be rolled out all the same.
    Raises NotFound, Invalid, or Conflict: rollout_active, harm_found, or as admission.check_canary.
    """
    prompt = registry_selectors.find_prompt(prompt_name)
    version = registry_selectors.find_version(prompt, canary)
    whole = read_plan({} if plan is None else plan, seen=seen_lately(prompt, version))
    older = _lock_superseded(prompt, label, whole)
    target = _lock_label(prompt, label, older)
    rollout = Rollout(
        id=new_id("rol"),
        prompt=prompt,
        label=target,
        control=target.version,
        canary=version,
        plan=whole.to_json(),
        salt=secrets.token_hex(16),
        status=Status.DRAFT,
        force_reason=force_reason,
        created_at=now(),
        created_by=str(actor),
    )
    check_canary(rollout)
    rollout.save(force_insert=True)
    after = {**_audited(rollout), "canary": version.number, "plan": rollout.plan}
    audit.record(
        action="rollout.created", target=_target(rollout), before=None, after=after, actor=actor, reason=force_reason
    )
    return _start(rollout, target, older, actor=actor, reason=force_reason) if start else rollout


@transaction.atomic
def start(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """Start a draft rollout. The control is what the label points at now. Raises Conflict as create_rollout."""
    rollout = _lock(rollout_id, "start", expected_revision)
    older = _lock_superseded(rollout.prompt, rollout.label.name, Plan.from_json(rollout.plan))
    label = _lock_label(rollout.prompt, rollout.label.name, older)
    rollout.control = label.version
    check_canary(rollout)
    return _start(rollout, label, older, actor=actor, reason=reason)


@transaction.atomic
def pause(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """Stop the ramp where it is. The canary keeps its weight, and harm still rolls back."""
    rollout = _lock(rollout_id, "pause", expected_revision)
    return _change(rollout, "paused", actor=actor, reason=reason, status=Status.PAUSED, paused_at=now())


@transaction.atomic
def resume(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """Go on with what was left of the step's hold and of max_duration when it was paused."""
    rollout = _lock(rollout_id, "resume", expected_revision)
    resumed_at = now()
    paused_for = resumed_at - (rollout.paused_at or resumed_at)
    return _change(
        rollout,
        "resumed",
        actor=actor,
        reason=reason,
        status=Status.RUNNING,
        paused_at=None,
        hold_until=rollout.hold_until and rollout.hold_until + paused_for,
        deadline_at=rollout.deadline_at and rollout.deadline_at + paused_for,
    )


@transaction.atomic
def advance_step(*, rollout_id: str, actor: Actor, cause: str, verdict: Verdict, expected_revision: int) -> Rollout:
    """Go to the plan's next step."""
    rollout = _lock(rollout_id, "advance_step", expected_revision)
    step = rollout.step + 1
    return _change(rollout, "step_advanced", actor=actor, cause=cause, verdict=verdict, **_step_fields(rollout, step))


@transaction.atomic
def hold(
    *, rollout_id: str, actor: Actor, hold_reason: str, cause: str, verdict: Verdict, expected_revision: int
) -> Rollout:
    """Keep the rollout where it is until a person acts."""
    rollout = _lock(rollout_id, "hold", expected_revision)
    return _change(
        rollout,
        EVENT_OF_HOLD[HoldReason(hold_reason)].removeprefix("rollout."),
        actor=actor,
        cause=cause,
        verdict=verdict,
        hold_reason=hold_reason,
    )


@transaction.atomic
def fail_evaluation(*, rollout_id: str, actor: Actor, reason: str, next_look_at: datetime) -> Rollout:
    """Keep the rollout where it is, because a look at it failed. Said once, however often it fails again."""
    rollout = _lock(rollout_id, "hold", None)
    if rollout.hold_reason == HoldReason.EVALUATION_FAILED:
        rollout.next_look_at = next_look_at
        rollout.save(update_fields=["next_look_at"])
        return rollout
    return _change(
        rollout,
        "evaluation_failed",
        actor=actor,
        cause="evaluation_failed",
        reason=reason,
        hold_reason=HoldReason.EVALUATION_FAILED,
        hold_before_failure=rollout.hold_reason,
        next_look_at=next_look_at,
    )


@transaction.atomic
def recover(*, rollout_id: str, actor: Actor, expected_revision: int) -> Rollout:
    """A look succeeds again: the rollout waits for what it waited for before one failed, or for nothing.

    Part of the look that succeeds, before anything is decided: a sample ratio that was broken then still is.
    """
    rollout = _lock(rollout_id, "recover", expected_revision)
    return _change(
        rollout,
        "recovered",
        actor=actor,
        cause="evaluation_succeeded",
        hold_reason=rollout.hold_before_failure,
        hold_before_failure="",
    )


@transaction.atomic
def promote(
    *,
    rollout_id: str,
    actor: Actor,
    reason: str = "",
    cause: str = BY_HAND,
    verdict: Verdict | None = None,
    expected_revision: int | None = None,
) -> Rollout:
    """Move the label to the canary version: everyone gets it."""
    rollout = _lock(rollout_id, "promote", expected_revision)
    registry_services.promote_label(
        label_id=rollout.label_id,
        version=rollout.canary,
        reason=f"rollout {rollout.id}: {reason or cause}",
        actor=actor,
    )
    return _end(rollout, "promoted", Status.PROMOTED, actor=actor, reason=reason, cause=cause, verdict=verdict)


@transaction.atomic
def rollback(
    *,
    rollout_id: str,
    actor: Actor,
    reason: str = "",
    cause: str = BY_HAND,
    verdict: Verdict | None = None,
    expected_revision: int | None = None,
) -> Rollout:
    """Take the canary away at once: its weight is 0, the label stays on the control version."""
    rollout = _lock(rollout_id, "rollback", expected_revision)
    return _end(rollout, "rolled_back", Status.ROLLED_BACK, actor=actor, reason=reason, cause=cause, verdict=verdict)


@transaction.atomic
def cancel(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """End the rollout without judging its version: the label stays on the control version."""
    rollout = _lock(rollout_id, "cancel", expected_revision)
    return _end(rollout, "cancelled", Status.CANCELLED, actor=actor, reason=reason, cause=BY_HAND)


ACTIONS = {
    "start": start,
    "pause": pause,
    "resume": resume,
    "promote": promote,
    "rollback": rollback,
    "cancel": cancel,
}
"""What people may ask for, by its name in addresses."""


def _lock(rollout_id: str, action: str, expected_revision: int | None) -> Rollout:
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


def _lock_superseded(prompt: Prompt, label: str, plan: Plan) -> Rollout | None:
    """The rollout that holds the label now, locked, if the plan asks to replace it.

    Before the label is, as by every change of a rollout. By then it may have ended, or another may hold the label.
    """
    if plan.when_superseded != "replace":
        return None
    holder = Label.objects.filter(prompt=prompt, name=label).values_list("held_by", flat=True).first()
    if not holder:
        return None
    Rollout.objects.select_for_update(no_key=True).filter(pk=holder).first()
    return find_rollout(holder)


def _lock_label(prompt: Prompt, name: str, older: Rollout | None) -> Label:
    """The label, locked, if a rollout may take hold of it: nobody does, or the older one that is to be replaced."""
    refuse_latest(name)
    label = Label.objects.select_for_update(no_key=True).filter(prompt=prompt, name=name).first()
    if label is None:
        raise NotFound("unknown_label", f"{prompt.name} has no label {name}: point it at the control version first")
    if label.held_by and (older is None or label.held_by != older.id):
        raise Conflict(
            "rollout_active",
            f"{prompt.name}:{name} is already being rolled out by {label.held_by}",
            extra={"rollout": label.held_by},
        )
    return label


def _start(rollout: Rollout, label: Label, older: Rollout | None, *, actor: Actor, reason: str) -> Rollout:
    if older and older.active:
        _supersede(older, by=rollout, actor=actor)
    _freeze_metrics(rollout)
    registry_services.hold_label(label_id=label.pk, rollout_id=rollout.id)
    plan = Plan.from_json(rollout.plan)
    started_at = now()
    return _change(
        rollout,
        "started",
        actor=actor,
        reason=reason,
        control=rollout.control,
        status=Status.RUNNING,
        started_at=started_at,
        deadline_at=started_at + timedelta(seconds=plan.max_duration_s),
        next_look_at=started_at + timedelta(seconds=plan.look_every_s),
        **_step_fields(rollout, 0),
    )


def _supersede(older: Rollout, *, by: Rollout, actor: Actor) -> None:
    """End the older rollout for the new one. Raises Conflict for one that was found to do harm: it must be judged."""
    if HoldReason.HARM_FOUND in (older.hold_reason, older.hold_before_failure):
        raise Conflict(
            "harm_found",
            f"{older.id}, which rolls this label out, was found to do harm: roll it back before another is started",
            extra={"rollout": older.id},
        )
    _end(
        older,
        "cancelled",
        Status.CANCELLED,
        actor=actor,
        cause=SUPERSEDED,
        reason=f"replaced by {by.id}",
        told={"superseded_by": by.id},
    )


def _freeze_metrics(rollout: Rollout) -> None:
    """Store what each metric is compared by, with the control version's last days, before anything is observed."""
    for index, metric in enumerate(Plan.from_json(rollout.plan).metrics):
        baseline = baseline_of(metric, control_id=rollout.control_id)
        margin = resolve_margin(index, metric, baseline)
        Metric.objects.create(
            rollout=rollout,
            name=metric.name,
            measure=metric.measure,
            declared={**rollout.plan["metrics"][index], "margin": margin},
            baseline=baseline,
        )


def _step_fields(rollout: Rollout, step: int) -> dict[str, Any]:
    planned = Plan.from_json(rollout.plan).steps[step]
    entered_at = now()
    return {
        "step": step,
        "weight_bp": planned.weight_bp,
        "step_entered_at": entered_at,
        "hold_until": entered_at + timedelta(seconds=planned.hold_s),
    }


def _end(rollout: Rollout, action: str, status: Status, **how: Any) -> Rollout:
    registry_services.release_label(label_id=rollout.label_id)
    return _change(
        rollout, action, status=status, weight_bp=0, hold_reason="", next_look_at=None, ended_at=now(), **how
    )


def _change(
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
    from_status, from_weight_bp, before = rollout.status, rollout.weight_bp, _audited(rollout)
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
        target=_target(rollout),
        before=before,
        after=_audited(rollout),
        actor=actor,
        reason=reason or cause,
    )
    touch(rollout.prompt)
    _tell(rollout, transition, told)
    return rollout


def _target(rollout: Rollout) -> str:
    return f"prompts/{rollout.prompt.name}/rollouts/{rollout.id}"


def _audited(rollout: Rollout) -> dict[str, Any]:
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
