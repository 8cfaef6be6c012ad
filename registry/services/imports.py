"""Bringing in a prompt from a file: what is not here yet is made, and nothing that is here is changed."""

import logging
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction

from common.actors import Actor
from common.errors import Conflict, FieldError, Invalid
from registry.core.prompt_file import PromptFile
from registry.core.versions import SemVer
from registry.models import LABEL_NAME, Prompt
from registry.services.labels import LATEST, move_label
from registry.services.prompts import create_prompt, lock_prompt
from registry.services.publishing import Published, announce, store

REASON = "imported from a file"

logger = logging.getLogger(__name__)


class LabelOutcome(StrEnum):
    """left: it points elsewhere here, or does not exist, and was not asked to be moved."""

    MOVED = "moved"
    UNCHANGED = "unchanged"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class ImportedVersion:
    """ordinal: the one that it has here."""

    number: str
    ordinal: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file. differs: of description and tags those that are otherwise here, and were left."""

    prompt: str
    is_new: bool
    versions: tuple[ImportedVersion, ...]
    labels: Mapping[str, LabelOutcome]
    differs: tuple[str, ...]

    @property
    def has_changed(self) -> bool:
        """Whether anything is otherwise than before."""
        published = any(version.is_new for version in self.versions)
        return self.is_new or published or LabelOutcome.MOVED in self.labels.values()


@transaction.atomic
def import_prompt(*, file: PromptFile, move_labels: bool = False, dry_run: bool = False, actor: Actor) -> Imported:
    """Publish the file's versions that are not here yet, in their order, under their numbers; all of them or none.

    A version is known again by its number and the hash of its content. Each new one passes all the checks of publishing
    and is told as one event. dry_run: change nothing, and say what would have come of it.
    Raises Gone, Invalid (with paths such as `versions[2].template`), or Conflict: version_differs, and while a rollout
    holds a label that is to be moved, rollout_active.
    """
    _check_labels(file)
    if move_labels:
        _lock_labels(file)
    prompt, is_new = _prompt(file, actor)
    versions = _versions(prompt, file, actor)
    labels = {label: _label(prompt, label, number, move_labels, actor) for label, number in file.labels.items()}
    imported = Imported(prompt.name, is_new, versions, labels, tuple(_differences(prompt, file)))
    if dry_run:
        transaction.set_rollback(True)
    fields = {"prompt": prompt.name, "published": sum(version.is_new for version in versions), "actor": str(actor)}
    transaction.on_commit(partial(logger.info, "prompt.imported", extra=fields))
    return imported


def _check_labels(file: PromptFile) -> None:
    for label in file.labels:
        try:
            LABEL_NAME(label)
        except ValidationError as error:
            raise Invalid.field(f"labels.{label[:64]}", error.messages[0]) from error
        if label == LATEST:
            raise Invalid.field(f"labels.{label}", f"{LATEST} moves by itself with every publication")


def _lock_labels(file: PromptFile) -> None:
    """Labels before the prompt, as everybody locks them. A label that another makes at this very moment may let the
    two wait for each other; PostgreSQL then ends one of them, which can be tried again."""
    if known := Prompt.objects.filter(name=file.name).first():
        list(known.labels.select_for_update(no_key=True).filter(name__in=list(file.labels)).order_by("pk"))


def _prompt(file: PromptFile, actor: Actor) -> tuple[Prompt, bool]:
    """The prompt, locked, and whether it was made now."""
    with suppress(Conflict):
        made = create_prompt(name=file.name, description=file.description, tags=file.tags, actor=actor)
        return made, True
    return lock_prompt(file.name), False


def _versions(prompt: Prompt, file: PromptFile, actor: Actor) -> tuple[ImportedVersion, ...]:
    rows = prompt.versions.values_list("major", "minor", "patch", "ordinal", "sha256")
    here = {SemVer(*number): (ordinal, sha256) for *number, ordinal, sha256 in rows}
    _refuse_others({number: sha256 for number, (_, sha256) in here.items()}, file)
    stored = list(_store(prompt, file, here, actor))
    if stored:
        announce(stored, actor=actor)
    new = (published.version.ordinal for published in stored)
    return tuple(
        ImportedVersion(str(version.number), here[version.number][0], is_new=False)
        if version.number in here
        else ImportedVersion(str(version.number), next(new), is_new=True)
        for version in file.versions
    )


def _store(prompt: Prompt, file: PromptFile, here: Container[SemVer], actor: Actor) -> Iterator[Published]:
    """The file's versions that are not here yet."""
    for index, version in enumerate(file.versions):
        if version.number not in here:
            with _within(f"versions[{index}]"):
                number = str(version.number)
                yield store(prompt, version.content, notes=version.notes, bump=None, version=number, actor=actor)


def _refuse_others(here: Mapping[SemVer, str], file: PromptFile) -> None:
    others = [
        FieldError(f"versions[{index}]", "version_differs", f"{file.name}@{version.number} has another content here")
        for index, version in enumerate(file.versions)
        if here.get(version.number, version.content.sha256) != version.content.sha256
    ]
    if others:
        detail = "; ".join(error.message for error in others[:10])
        raise Conflict("version_differs", f"{detail}: a version never changes", errors=others)


def _label(prompt: Prompt, label: str, number: SemVer, move: bool, actor: Actor) -> LabelOutcome:
    pointer = prompt.labels.select_related("version").filter(name=label).first()
    if pointer is not None and pointer.version.number == str(number):
        return LabelOutcome.UNCHANGED
    if not move:
        return LabelOutcome.LEFT
    move_label(prompt_name=prompt.name, label=label, version=str(number), reason=REASON, actor=actor)
    return LabelOutcome.MOVED


def _differences(prompt: Prompt, file: PromptFile) -> Iterator[str]:
    if prompt.description != file.description:
        yield "description"
    if tuple(prompt.tags) != file.tags:
        yield "tags"


@contextmanager
def _within(path: str) -> Iterator[None]:
    """What is wrong with a part of the file is told with the part's path."""
    try:
        yield
    except Invalid as error:
        errors = [replace(found, field=f"{path}.{found.field}".rstrip(".")) for found in error.errors]
        raise Invalid(error.code, f"{path}: {error.detail}", errors=errors, extra=error.extra) from error
