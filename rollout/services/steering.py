"""Every change of a rollout after its start, up to its end."""

from datetime import datetime

from django.db import transaction

from common.actors import Actor
from common.clock import now
from registry import services as registry_services
from rollout.models import HoldReason, Rollout, Status, Verdict
from rollout.services.changing import BY_HAND, change, end, lock, step_fields

EVENT_OF_HOLD = {
    HoldReason.SAMPLE_RATIO: "rollout.invalid",
    HoldReason.INCONCLUSIVE: "rollout.inconclusive",
    HoldReason.HARM_FOUND: "rollout.harm_found",
    HoldReason.PROVEN_SAFE: "rollout.proven_safe",
    HoldReason.EVALUATION_FAILED: "rollout.evaluation_failed",
    HoldReason.SPEND_CAP: "rollout.spend_cap_reached",
}


@transaction.atomic
def pause(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """Stop the ramp where it is. The canary keeps its weight, and harm still rolls back."""
    rollout = lock(rollout_id, "pause", expected_revision)
    return change(rollout, "paused", actor=actor, reason=reason, status=Status.PAUSED, paused_at=now())


@transaction.atomic
def resume(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """Go on with what was left of the step's hold and of max_duration when it was paused."""
    rollout = lock(rollout_id, "resume", expected_revision)
    resumed_at = now()
    paused_for = resumed_at - (rollout.paused_at or resumed_at)
    return change(
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
    rollout = lock(rollout_id, "advance_step", expected_revision)
    step = rollout.step + 1
    return change(rollout, "step_advanced", actor=actor, cause=cause, verdict=verdict, **step_fields(rollout, step))


@transaction.atomic
def hold(
    *, rollout_id: str, actor: Actor, hold_reason: str, cause: str, verdict: Verdict, expected_revision: int
) -> Rollout:
    """Keep the rollout where it is until a person acts."""
    rollout = lock(rollout_id, "hold", expected_revision)
    return change(
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
    rollout = lock(rollout_id, "hold", None)
    if rollout.hold_reason == HoldReason.EVALUATION_FAILED:
        rollout.next_look_at = next_look_at
        rollout.save(update_fields=["next_look_at"])
        return rollout
    return change(
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
    rollout = lock(rollout_id, "recover", expected_revision)
    return change(
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
    rollout = lock(rollout_id, "promote", expected_revision)
    registry_services.promote_label(
        label_id=rollout.label_id,
        version=rollout.canary,
        reason=f"rollout {rollout.id}: {reason or cause}",
        actor=actor,
    )
    return end(rollout, "promoted", Status.PROMOTED, actor=actor, reason=reason, cause=cause, verdict=verdict)


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
    rollout = lock(rollout_id, "rollback", expected_revision)
    return end(rollout, "rolled_back", Status.ROLLED_BACK, actor=actor, reason=reason, cause=cause, verdict=verdict)


@transaction.atomic
def cancel(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """End the rollout without judging its version: the label stays on the control version."""
    rollout = lock(rollout_id, "cancel", expected_revision)
    return end(rollout, "cancelled", Status.CANCELLED, actor=actor, reason=reason, cause=BY_HAND)
