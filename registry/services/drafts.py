"""The one editable text of a prompt. Whoever saves says which revision they began with, so that nothing is lost."""

from dataclasses import asdict
from typing import Any

from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict
from registry import audit
from registry.core.content import Content
from registry.core.validation import storable
from registry.models import Draft, Prompt
from registry.selectors import content_of, find_draft
from registry.services.prompts import lock_prompt
from registry.services.publishing import Published, publish
from registry.services.refusals import problems_refused


@transaction.atomic
def save_draft(*, prompt: Prompt, content: Content, notes: str, expected_revision: int | None, actor: Actor) -> Draft:
    """Save the draft, finished or not. expected_revision: the one that was edited, None where there was no draft.

    Raises Invalid for what JSON cannot hold, or Conflict stale_draft with `yours` and `stored`, both whole.
    """
    with problems_refused():
        content = storable(content)
    prompt = lock_prompt(prompt.name)
    draft = Draft.objects.filter(prompt=prompt).first()
    if (draft and draft.revision) != expected_revision:
        raise _stale(draft, yours=asdict(content) | {"notes": notes})
    return _write(draft or Draft(prompt=prompt, revision=0), actor=actor, **asdict(content), notes=notes)


@transaction.atomic
def publish_draft(
    *, prompt: Prompt, expected_revision: int, bump: str | None = None, version: str | None = None, actor: Actor
) -> Published:
    """Publish what the draft holds at this revision, with its notes. The text stays, for the next edit to begin with.

    Raises what publish_version raises, NotFound no_draft, or Conflict stale_draft.
    """
    prompt = lock_prompt(prompt.name)
    draft = find_draft(prompt)
    if draft.revision != expected_revision:
        raise _stale(draft)
    published = publish(prompt, content_of(draft), notes=draft.notes, bump=bump, version=version, actor=actor)
    _write(draft, actor=actor, notes="")
    return published


def draft_json(draft: Draft) -> dict[str, Any]:
    """The draft as the API shows it, and who was overtaken sees it."""
    return asdict(content_of(draft)) | {
        "notes": draft.notes,
        "revision": draft.revision,
        "updated_at": draft.updated_at,
        "updated_by": draft.updated_by,
    }


def _write(draft: Draft, *, actor: Actor, **fields: Any) -> Draft:
    before = _audited(draft) if draft.revision else None
    for name, value in fields.items():
        setattr(draft, name, value)
    draft.revision += 1
    draft.updated_at = now()
    draft.updated_by = str(actor)
    draft.save()
    target = f"prompts/{draft.prompt.name}/draft"
    audit.record(action="draft.saved", target=target, before=before, after=_audited(draft), actor=actor)
    return draft


def _audited(draft: Draft) -> dict[str, Any]:
    return {"revision": draft.revision, "sha256": content_of(draft).sha256}


def _stale(draft: Draft | None, **texts: Any) -> Conflict:
    if draft is None:
        return Conflict("stale_draft", "The draft that you edited is no longer there", extra={**texts, "stored": None})
    return Conflict(
        "stale_draft",
        f"The draft was changed by {draft.updated_by} in the meantime; it is now at revision {draft.revision}",
        extra={**texts, "stored": draft_json(draft)},
    )
