"""What the read path must know of the database, as plain JSON values: what is read from it and what is kept on disk.

Every change that the read path must see takes the next `generation` while its transaction holds that sequence's row,
so generations become visible in their order (registry.sequences). `changes_since` reads the number, then the rows
beyond the last one that was known, then the number again: unless that moved, no change came between, and what was read
is one state.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db.models import QuerySet

from registry.models import ApiKey, Label, Prompt, PromptVersion, Sequence
from registry.representation import served_json
from rollout.models import ACTIVE, Rollout

NEVER = -1
"""The generation of who knows nothing yet."""

Versions = dict[int, dict[str, dict[str, Any]]]
"""By prompt and number: what an app needs of a version."""


class RolloutDocument(TypedDict):
    """What a client needs to assign by itself."""

    id: str
    salt: str
    step: int
    weight_bp: int
    control: str
    canary: str


class LabelDocument(TypedDict):
    """version: what the label points at, which is the control of an active rollout."""

    version: str
    rollout: RolloutDocument | None


class PromptDocument(TypedDict):
    """numbers: row id, ordinal, major, minor and patch of every version. versions: those that are served, by number."""

    name: str
    generation: int
    archived: bool
    numbers: list[list[int]]
    labels: dict[str, LabelDocument]
    versions: dict[str, dict[str, Any]]


class KeyDocument(TypedDict):
    sha256: str
    name: str
    scopes: list[str]
    revoked: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after the generation `since` up to `generation`; everything there is when since is NEVER."""

    since: int
    generation: int
    prompts: Mapping[str, PromptDocument]
    keys: Mapping[str, KeyDocument]


def changes_since(since: int) -> Changes | None:
    """What a reader that knows the state of that generation lacks, or None when nothing has changed.

    Everything, when the database's generation is lower: it is another one, or was restored from a backup.
    """
    generation = latest_generation()
    if generation == since:
        return None
    if generation < since:
        since = NEVER
    prompts: dict[str, PromptDocument] = {}
    keys: dict[str, KeyDocument] = {}
    read_from = since
    while read_from != generation:
        prompts |= {document["name"]: document for document in _prompts(read_from)}
        keys |= {document["sha256"]: document for document in _keys(read_from)}
        read_from, generation = generation, latest_generation()
    return Changes(since, generation, prompts, keys)


def numbers_of(label: LabelDocument) -> set[str]:
    """The versions that the label serves."""
    rollout = label["rollout"]
    return {rollout["control"], rollout["canary"]} if rollout else {label["version"]}


def latest_generation() -> int:
    return Sequence.objects.filter(name="generation").values_list("value", flat=True).first() or 0


def _prompts(since: int) -> Iterable[PromptDocument]:
    """Each statement sees its own moment; none relies on a row of another: `changes_since` reads a mixture again."""
    changed = Prompt.objects.filter(generation__gt=since).order_by().only("name", "archived_at", "generation")
    versions: Versions = defaultdict(dict)
    rollouts = _rollouts(changed, versions)
    labels = _labels(changed, versions)
    numbers = _numbers(changed)
    for prompt in changed:
        yield PromptDocument(
            name=prompt.name,
            generation=prompt.generation,
            archived=prompt.archived_at is not None,
            numbers=numbers.get(prompt.pk, []),
            labels={**labels.get(prompt.pk, {}), **rollouts.get(prompt.pk, {})},
            versions=versions.get(prompt.pk, {}),
        )


def _rollouts(prompts: QuerySet[Prompt], versions: Versions) -> dict[int, dict[str, LabelDocument]]:
    """By prompt: the labels that an active rollout holds."""
    found: dict[int, dict[str, LabelDocument]] = defaultdict(dict)
    active = Rollout.objects.filter(status__in=ACTIVE, prompt__in=prompts.values("pk")).order_by()
    for rollout in active.select_related("label", "control__prompt", "canary__prompt").iterator():
        control, canary = _add(rollout.control, versions), _add(rollout.canary, versions)
        found[rollout.prompt_id][rollout.label.name] = LabelDocument(
            version=control,
            rollout=RolloutDocument(
                id=rollout.id,
                salt=rollout.salt,
                step=rollout.step,
                weight_bp=rollout.weight_bp,
                control=control,
                canary=canary,
            ),
        )
    return found


def _labels(prompts: QuerySet[Prompt], versions: Versions) -> dict[int, dict[str, LabelDocument]]:
    """By prompt: all its labels."""
    found: dict[int, dict[str, LabelDocument]] = defaultdict(dict)
    labels = Label.objects.filter(prompt__in=prompts.values("pk")).order_by()
    for label in labels.select_related("version__prompt").iterator():
        found[label.prompt_id][label.name] = LabelDocument(version=_add(label.version, versions), rollout=None)
    return found


def _add(version: PromptVersion, versions: Versions) -> str:
    """Take up the version, once for all labels and arms that serve it; its number."""
    served = versions[version.prompt_id]
    if version.number not in served:
        served[version.number] = served_json(version)
    return version.number


def _numbers(prompts: QuerySet[Prompt]) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = defaultdict(list)
    versions = PromptVersion.objects.filter(prompt__in=prompts.values("pk")).order_by()
    for prompt_id, *numbers in versions.values_list("prompt_id", "pk", "ordinal", "major", "minor", "patch").iterator():
        found[prompt_id].append(numbers)
    return found


def _keys(since: int) -> Iterable[KeyDocument]:
    for key in ApiKey.objects.filter(generation__gt=since):
        yield KeyDocument(sha256=key.sha256, name=key.name, scopes=key.scopes, revoked=key.revoked_at is not None)
