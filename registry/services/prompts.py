"""Making prompts, and taking them out of service."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid
from registry import audit, events
from registry.models import PROMPT_NAME, Prompt
from registry.selectors import find_prompt
from registry.sequences import touch
from registry.services.labels import LATEST, refuse_if_held

logger = logging.getLogger(__name__)


@transaction.atomic
def create_prompt(*, name: str, description: str = "", tags: Sequence[str] = (), actor: Actor) -> Prompt:
    """A new prompt without versions. Raises Invalid, or Conflict prompt_exists."""
    try:
        PROMPT_NAME(name)
    except ValidationError as error:
        raise Invalid.field("name", error.messages[0]) from error
    prompt, created = Prompt.objects.get_or_create(
        name=name,
        defaults={
            "description": description,
            "tags": list(tags),
            "created_at": now(),
            "created_by": str(actor),
        },
    )
    if not created:
        raise Conflict("prompt_exists", f"There is already a prompt {name}")
    audit.record(action="prompt.created", target=f"prompts/{name}", before=None, after=_described(prompt), actor=actor)
    return prompt


@transaction.atomic
def change_prompt(
    *, prompt_name: str, description: str | None = None, tags: Sequence[str] | None = None, actor: Actor
) -> Prompt:
    """Describe the prompt otherwise, or tag it otherwise; None leaves it as it is. Raises NotFound or Gone.

    Nothing happens where it is so already.
    """
    prompt = lock_prompt(prompt_name)
    before = _described(prompt)
    if description is not None:
        prompt.description = description
    if tags is not None:
        prompt.tags = list(tags)
    if _described(prompt) == before:
        return prompt
    prompt.save(update_fields=["description", "tags"])
    audit.record(
        action="prompt.changed",
        target=f"prompts/{prompt.name}",
        before=before,
        after=_described(prompt),
        actor=actor,
    )
    transaction.on_commit(partial(logger.info, "prompt.changed", extra={"prompt": prompt.name, "actor": str(actor)}))
    return prompt


@transaction.atomic
def archive_prompt(*, prompt: Prompt, reason: str = "", actor: Actor) -> None:
    """Take the prompt out of service: it answers 410 from now on. Raises Conflict while a rollout of it is active."""
    labels = prompt.labels.select_for_update(no_key=True).exclude(name=LATEST).order_by("pk")
    for label in labels:
        refuse_if_held(label)
    _set_archived(lock_prompt(prompt.name), archived=True, reason=reason, actor=actor)


@transaction.atomic
def unarchive_prompt(*, prompt: Prompt, reason: str = "", actor: Actor) -> None:
    """Serve the prompt again as it was. Nothing happens when it is served."""
    _set_archived(prompt, archived=False, reason=reason, actor=actor)


def lock_prompt(name: str) -> Prompt:
    """The prompt, its row locked until the transaction ends, so that whoever publishes or edits takes turns.

    The lock leaves alone those who only refer to the prompt, such as a new rollout.
    """
    return find_prompt(name, among=Prompt.objects.select_for_update(no_key=True))


def _described(prompt: Prompt) -> dict[str, Any]:
    return {"description": prompt.description, "tags": prompt.tags}


def _set_archived(prompt: Prompt, *, archived: bool, reason: str, actor: Actor) -> None:
    rows = Prompt.objects.filter(pk=prompt.pk, archived_at__isnull=archived)
    if not rows.update(archived_at=now() if archived else None):
        return
    touch(prompt)
    type_ = "prompt.archived" if archived else "prompt.unarchived"
    event = events.record(type=type_, prompt=prompt.name, data={"actor": str(actor)})
    audit.record(
        action=type_,
        target=f"prompts/{prompt.name}",
        before={"archived": not archived},
        after={"archived": archived},
        actor=actor,
        reason=reason,
    )
    fields = {"prompt": prompt.name, "actor": str(actor), "event_id": event.id}
    transaction.on_commit(partial(logger.info, type_, extra=fields))
