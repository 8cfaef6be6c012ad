"""Publishing: a content becomes the prompt's next version, numbered by what it changes for callers."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, FieldError, Invalid
from registry import audit, events
from registry.core.content import Content
from registry.core.contract import Change
from registry.core.validation import publishable
from registry.core.versions import Bump, SemVer, parse_version
from registry.models import Prompt, PromptVersion
from registry.selectors import Proposal, propose
from registry.sequences import touch
from registry.services.labels import move_latest
from registry.services.prompts import lock_prompt
from registry.services.refusals import problems_refused, required_text

FIRST = SemVer(1, 0, 0)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """bump: the step from the base version, None without one. changes: everything that differs from the base."""

    version: PromptVersion
    bump: Bump | None
    changes: tuple[Change, ...]


@transaction.atomic
def publish_version(
    *,
    prompt_name: str,
    content: Content,
    notes: str,
    bump: str | None = None,
    version: str | None = None,
    actor: Actor,
) -> Published:
    """Publish the content as a new version, and point `latest` at it.

    bump: how far from the highest version, by default the smallest step that the contract allows. version: the exact
    number instead, checked against the highest version below it. A prompt's first version is 1.0 unless said otherwise.
    Raises NotFound, Gone, Invalid (bump_too_small with the reasons), or Conflict version_exists.
    """
    return publish(lock_prompt(prompt_name), content, notes=notes, bump=bump, version=version, actor=actor)


def publish(
    prompt: Prompt, content: Content, *, notes: str, bump: str | None, version: str | None, actor: Actor
) -> Published:
    """Publish for a prompt whose row the caller has locked."""
    published = store(prompt, content, notes=notes, bump=bump, version=version, actor=actor)
    announce([published], actor=actor)
    return published


def store(
    prompt: Prompt, content: Content, *, notes: str, bump: str | None, version: str | None, actor: Actor
) -> Published:
    """The first half of publishing: the version is checked and written, and nobody is told of it yet."""
    notes = required_text("notes", notes, "say what changed and why")
    with problems_refused():
        content = publishable(content)
    number, step, proposal = _number(prompt, content, _bump(bump), _exact(version))
    return Published(_store(prompt, content, number, notes, actor), step, proposal.changes)


def announce(stored: Sequence[Published], *, actor: Actor) -> None:
    """The second half, for one or several versions of a prompt: `latest` points at the last, and each is told of.

    It holds up everybody who changes anything until the transaction ends, and therefore comes after what takes long.
    """
    newest = stored[-1].version
    move_latest(version=newest, actor=actor)
    touch(newest.prompt)
    for published in stored:
        _tell(published, actor)


def changes_json(changes: tuple[Change, ...]) -> list[dict[str, str]]:
    """The changes as the API and events show them."""
    return [asdict(change) for change in changes]


def _bump(written: str | None) -> Bump | None:
    try:
        return Bump(written) if written else None
    except ValueError as error:
        raise Invalid.field("bump", f"expected one of {', '.join(Bump)}, got {written!r}") from error


def _exact(written: str | None) -> SemVer | None:
    if not written:
        return None
    try:
        number = parse_version(written)
    except ValueError as error:
        raise Invalid.field("version", str(error)) from error
    if isinstance(number, int):
        raise Invalid.field("version", f"expected major and minor such as {number}.0; ordinals are given by Serinus")
    return number


def _number(
    prompt: Prompt, content: Content, bump: Bump | None, exact: SemVer | None
) -> tuple[SemVer, Bump | None, Proposal]:
    if bump and exact:
        raise Invalid.field("version", "expected either version or bump, not both")
    if exact and prompt.versions.filter(**exact._asdict()).exists():
        raise Conflict("version_exists", f"{prompt.name}@{exact} exists already, and a version never changes")
    proposal = propose(prompt, content, below=exact)
    if proposal.base is None or proposal.smallest is None:
        return exact or FIRST, None, proposal
    base = SemVer(proposal.base.major, proposal.base.minor, proposal.base.patch)
    step = exact.bump_from(base) if exact else bump or proposal.smallest
    if not step.covers(proposal.smallest):
        raise _too_small(step, proposal, field="version" if exact else "bump")
    return exact or base.bumped(step), step, proposal


def _too_small(step: Bump, proposal: Proposal, *, field: str) -> Invalid:
    reasons = [change for change in proposal.changes if not step.covers(change.bump)]
    base = proposal.base.number if proposal.base else ""
    return Invalid(
        "bump_too_small",
        f"a {step} step from {base} is too small, expected a {proposal.smallest} one: "
        + "; ".join(change.detail for change in reasons),
        errors=[FieldError(field, change.code, change.detail) for change in reasons],
        extra={"base": base, "smallest_bump": proposal.smallest, "contract_changes": changes_json(proposal.changes)},
    )


def _store(prompt: Prompt, content: Content, number: SemVer, notes: str, actor: Actor) -> PromptVersion:
    newest = prompt.versions.order_by("-ordinal").values_list("ordinal", flat=True).first() or 0
    return PromptVersion.objects.create(
        prompt=prompt,
        ordinal=newest + 1,
        **number._asdict(),
        **asdict(content),
        notes=notes,
        sha256=content.sha256,
        published_at=now(),
        published_by=str(actor),
    )


def _tell(published: Published, actor: Actor) -> None:
    version = published.version
    event = events.record(
        type="version.published",
        prompt=version.prompt.name,
        data={
            "version": version.number,
            "ordinal": version.ordinal,
            "ref": version.ref,
            "sha256": version.sha256,
            "bump": published.bump,
            "contract_changes": changes_json(published.changes),
            "notes": version.notes,
            "author": version.published_by,
        },
    )
    audit.record(
        action=event.type,
        target=f"prompts/{version.prompt.name}/versions/{version.number}",
        before=None,
        after={"ordinal": version.ordinal, "sha256": version.sha256},
        actor=actor,
        reason=version.notes,
    )
    fields = {"ref": version.ref, "bump": published.bump, "event_id": event.id}
    transaction.on_commit(partial(logger.info, event.type, extra=fields))
