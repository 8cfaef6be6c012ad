"""Starting a rollout: of which versions, whether it may, what it replaces, and what its metrics are compared by."""

import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, NotFound
from common.ids import new_id
from registry import audit
from registry import selectors as registry_selectors
from registry import services as registry_services
from registry.models import Label, Prompt
from rollout.admission import check_canary
from rollout.core.plan import Plan
from rollout.error_budgets import check_budget
from rollout.judging import pinned, store_shares
from rollout.models import HoldReason, Metric, Rollout, Status
from rollout.past import baseline_of, seen_lately
from rollout.plans import read_plan, resolve_margin
from rollout.selectors import find_rollout, refuse_latest
from rollout.services.changing import audited, change, end, lock, step_fields, target_of

SUPERSEDED = "superseded"


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
    Raises NotFound, Invalid, or Conflict: rollout_active, harm_found, budget_spent, or as admission.check_canary.
    """
    prompt = registry_selectors.find_prompt(prompt_name)
    version = registry_selectors.find_version(prompt, canary)
    whole = read_plan({} if plan is None else plan, seen=seen_lately(prompt, version))
    if start:
        check_budget(whole, prompt_name=prompt_name, label=label, force_reason=force_reason)
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
    after = {**audited(rollout), "canary": version.number, "plan": rollout.plan}
    audit.record(
        action="rollout.created", target=target_of(rollout), before=None, after=after, actor=actor, reason=force_reason
    )
    return _start(rollout, target, older, actor=actor, reason=force_reason) if start else rollout


@transaction.atomic
def start(*, rollout_id: str, actor: Actor, reason: str = "", expected_revision: int | None = None) -> Rollout:
    """Start a draft rollout. The control is what the label points at now. Raises Conflict as create_rollout."""
    rollout = lock(rollout_id, "start", expected_revision)
    prompt_name, label_name, plan = rollout.prompt.name, rollout.label.name, Plan.from_json(rollout.plan)
    check_budget(plan, prompt_name=prompt_name, label=label_name, force_reason=rollout.force_reason)
    older = _lock_superseded(rollout.prompt, label_name, plan)
    label = _lock_label(rollout.prompt, rollout.label.name, older)
    rollout.control = label.version
    check_canary(rollout)
    return _start(rollout, label, older, actor=actor, reason=reason)


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
    plan = pinned(Plan.from_json(rollout.plan), rollout.prompt)
    rollout.plan = plan.to_json()
    _freeze_metrics(rollout)
    store_shares(rollout.id, plan)
    registry_services.hold_label(label_id=label.pk, rollout_id=rollout.id)
    started_at = now()
    return change(
        rollout,
        "started",
        actor=actor,
        reason=reason,
        control=rollout.control,
        plan=rollout.plan,
        status=Status.RUNNING,
        started_at=started_at,
        deadline_at=started_at + timedelta(seconds=plan.max_duration_s),
        next_look_at=started_at + timedelta(seconds=plan.look_every_s),
        **step_fields(rollout, 0),
    )


def _supersede(older: Rollout, *, by: Rollout, actor: Actor) -> None:
    """End the older rollout for the new one. Raises Conflict for one that was found to do harm: it must be judged."""
    if HoldReason.HARM_FOUND in (older.hold_reason, older.hold_before_failure):
        raise Conflict(
            "harm_found",
            f"{older.id}, which rolls this label out, was found to do harm: roll it back before another is started",
            extra={"rollout": older.id},
        )
    end(
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
