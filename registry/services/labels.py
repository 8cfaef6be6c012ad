"""Moving labels: by hand, with every publication (`latest`), and for the rollout that holds one."""

import logging
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid
from registry import audit, events
from registry.models import LABEL_NAME, Label, LabelMove, Prompt, PromptVersion
from registry.selectors import find_prompt, find_version, label_revision
from registry.sequences import touch
from registry.services.refusals import required_text

LATEST = "latest"

logger = logging.getLogger(__name__)


@transaction.atomic
def move_label(
    *, prompt_name: str, label: str, version: str, reason: str, expected_revision: int | None = None, actor: Actor
) -> Label:
    """Point the label at the version, by hand; a new label is made. Nothing happens when it points there already.

    expected_revision: how often the label had been moved when it was read, None to move it all the same.
    Raises NotFound, Gone, Invalid (also for `latest`), or Conflict: rollout_active while a rollout holds the label,
    stale_label with its present version and revision.
    """
    _check_name(label)
    reason = required_text("reason", reason, "say why the label is moved")
    prompt = find_prompt(prompt_name)
    target = find_version(prompt, version)
    pointer, before = _lock(prompt, label, target)
    refuse_if_held(pointer)
    _refuse_if_moved(pointer, before, expected_revision)
    if before == target:
        return pointer
    _point(pointer, before, target, reason=reason, actor=actor)
    touch(prompt)
    moved = {
        "label": label,
        "from": before and before.number,
        "to": target.number,
        "reason": reason,
        "actor": str(actor),
    }
    event = events.record(type="label.moved", prompt=prompt.name, data=moved)
    fields = {"prompt": prompt.name, "label": label, "to": target.number, "event_id": event.id}
    transaction.on_commit(partial(logger.info, event.type, extra=fields))
    return pointer


def move_latest(*, version: PromptVersion, actor: Actor) -> None:
    """Point `latest` at the version just published, inside the transaction that publishes it."""
    pointer, before = _lock(version.prompt, LATEST, version)
    _point(pointer, before, version, reason=f"{version.number} was published", actor=actor)


@transaction.atomic
def hold_label(*, label_id: int, rollout_id: str) -> None:
    """From now on only this rollout may move the label. Raises Conflict rollout_active when another holds it."""
    label = _lock_existing(label_id)
    if label.name == LATEST:
        raise Invalid.field("label", f"{LATEST} moves by itself with every publication and cannot be rolled out")
    if label.held_by != rollout_id:
        refuse_if_held(label)
        _set(label, held_by=rollout_id)


@transaction.atomic
def release_label(*, label_id: int) -> None:
    """The label may be moved by hand again."""
    _set(_lock_existing(label_id), held_by="")


@transaction.atomic
def promote_label(*, label_id: int, version: PromptVersion, reason: str, actor: Actor) -> None:
    """Move the label for the rollout that holds it; touching the prompt and telling of it is the rollout's affair."""
    label = _lock_existing(label_id)
    if label.version != version:
        _point(label, label.version, version, reason=reason, actor=actor)


def refuse_if_held(label: Label) -> None:
    if label.held_by:
        raise Conflict(
            "rollout_active",
            f"{label} is held by the active rollout {label.held_by}: end it first",
            extra={"rollout": label.held_by},
        )


def _refuse_if_moved(label: Label, before: PromptVersion | None, expected_revision: int | None) -> None:
    revision = label_revision(label)
    if expected_revision is not None and revision != expected_revision:
        points_at = before.number if before else None
        raise Conflict(
            "stale_label",
            f"{label} is not as it was read: it points at {points_at or 'nothing'} now and is at revision {revision}",
            extra={"revision": revision, "version": points_at},
        )


def _check_name(label: str) -> None:
    try:
        LABEL_NAME(label)
    except ValidationError as error:
        raise Invalid.field("label", error.messages[0]) from error
    if label == LATEST:
        raise Invalid.field("label", f"{LATEST} moves by itself with every publication")


def _lock(prompt: Prompt, name: str, target: PromptVersion) -> tuple[Label, PromptVersion | None]:
    """The label, its row locked, and the version it points at; a new label points at the target, and before nowhere.

    Two who make the same label at once: the second waits for the first, then finds its label.
    """
    label, created = _locking().get_or_create(
        prompt=prompt, name=name, defaults={"version": target, "updated_at": now()}
    )
    return label, None if created else label.version


def _lock_existing(label_id: int) -> Label:
    return _locking().get(pk=label_id)


def _locking() -> QuerySet[Label]:
    """Without joins: having waited for a row that changed, PostgreSQL would not find its old version in it any more."""
    return Label.objects.select_for_update(no_key=True)


def _point(label: Label, before: PromptVersion | None, target: PromptVersion, *, reason: str, actor: Actor) -> None:
    """Write the pointer and the record of its move."""
    moved_at = now()
    _set(label, version=target, updated_at=moved_at)
    LabelMove.objects.create(
        label=label, from_version=before, to_version=target, moved_at=moved_at, actor=str(actor), reason=reason
    )
    audit.record(
        action="label.moved",
        target=f"prompts/{label.prompt.name}/labels/{label.name}",
        before={"version": before.number} if before else None,
        after={"version": target.number},
        actor=actor,
        reason=reason,
    )


def _set(label: Label, **fields: object) -> None:
    for name, value in fields.items():
        setattr(label, name, value)
    label.save(update_fields=list(fields))
