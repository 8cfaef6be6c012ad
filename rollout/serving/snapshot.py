"""What the read path knows of the database: one consistent, immutable state, and how to get a newer one.

Every change that the read path must see takes the next `generation` while its transaction holds that sequence's row,
so generations become visible in their order (registry.sequences). `newer` reads the number, then the rows beyond the
last one it knew, then the number again: unless that moved, no change came between, and what was read is one state.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from registry.core.versions import SemVer
from registry.keys import Grant, grant_of
from registry.models import ApiKey, Label, Prompt, PromptVersion, Sequence
from rollout.models import ACTIVE, Rollout
from rollout.serving.answers import Answer, EncodedVersion, Split, encode_version, label_answer, pinned_answer, split


@dataclass(frozen=True, slots=True)
class ServedPrompt:
    """versions: the row id of every version, by ordinal and by number. pinned: of those that some label serves."""

    name: str
    archived: bool
    versions: Mapping[SemVer | int, int]
    labels: Mapping[str, Answer | Split]
    pinned: Mapping[int, Answer]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """prompts by name; grants by the hash of their key, without the revoked."""

    generation: int
    prompts: Mapping[str, ServedPrompt]
    grants: Mapping[str, Grant]


NOTHING = Snapshot(-1, {}, {})


def newer(snapshot: Snapshot) -> Snapshot:
    """The present state; the same object when nothing has changed."""
    generation = latest_generation()
    if generation < snapshot.generation:  # another database, or this one restored from a backup
        snapshot = NOTHING
    while snapshot.generation != generation:
        since = snapshot.generation
        snapshot = Snapshot(
            generation, {**snapshot.prompts, **_changed_prompts(since)}, _merge_grants(snapshot.grants, since)
        )
        generation = latest_generation()
    return snapshot


def latest_generation() -> int:
    return Sequence.objects.filter(name="generation").values_list("value", flat=True).first() or 0


def load_pinned(version_id: int) -> Answer:
    return pinned_answer(encode_version(PromptVersion.objects.select_related("prompt").get(pk=version_id)))


def _changed_prompts(since: int) -> dict[str, ServedPrompt]:
    """Each statement sees its own moment; none relies on a row of another, and `newer` discards a mixture."""
    changed = Prompt.objects.filter(generation__gt=since).order_by().only("name", "archived_at")
    encoded: dict[int, EncodedVersion] = {}
    splits = _splits(changed, encoded)
    labels = _labels(changed, encoded)
    numbers = _numbers(changed)
    pinned: dict[str, dict[int, Answer]] = defaultdict(dict)
    for version_id, version in encoded.items():
        pinned[version.prompt][version_id] = pinned_answer(version)
    return {
        prompt.name: ServedPrompt(
            name=prompt.name,
            archived=prompt.archived_at is not None,
            versions=numbers.get(prompt.pk, {}),
            labels={**labels.get(prompt.pk, {}), **splits.get(prompt.pk, {})},
            pinned=pinned.get(prompt.name, {}),
        )
        for prompt in changed
    }


def _splits(prompts: QuerySet[Prompt], encoded: dict[int, EncodedVersion]) -> dict[int, dict[str, Split]]:
    """By prompt and label."""
    found: dict[int, dict[str, Split]] = defaultdict(dict)
    active = Rollout.objects.filter(status__in=ACTIVE, prompt__in=prompts.values("pk")).order_by()
    for rollout in active.select_related("label", "control__prompt", "canary__prompt").iterator():
        found[rollout.prompt_id][rollout.label.name] = split(
            rollout,
            label=rollout.label.name,
            control=_encoded(rollout.control, encoded),
            canary=_encoded(rollout.canary, encoded),
        )
    return found


def _labels(prompts: QuerySet[Prompt], encoded: dict[int, EncodedVersion]) -> dict[int, dict[str, Answer]]:
    """By prompt and label."""
    found: dict[int, dict[str, Answer]] = defaultdict(dict)
    labels = Label.objects.filter(prompt__in=prompts.values("pk")).order_by()
    for label in labels.select_related("version__prompt").iterator():
        found[label.prompt_id][label.name] = label_answer(_encoded(label.version, encoded), label.name)
    return found


def _encoded(version: PromptVersion, encoded: dict[int, EncodedVersion]) -> EncodedVersion:
    """The version's encoding, made once for all labels and arms that serve it."""
    if version.pk not in encoded:
        encoded[version.pk] = encode_version(version)
    return encoded[version.pk]


def _numbers(prompts: QuerySet[Prompt]) -> dict[int, dict[SemVer | int, int]]:
    """By prompt: its versions' row ids by ordinal and by number."""
    found: dict[int, dict[SemVer | int, int]] = defaultdict(dict)
    versions = PromptVersion.objects.filter(prompt__in=prompts.values("pk")).order_by()
    columns = versions.values_list("prompt_id", "pk", "ordinal", "major", "minor", "patch")
    for prompt_id, version_id, ordinal, *number in columns.iterator():
        found[prompt_id][ordinal] = found[prompt_id][SemVer(*number)] = version_id
    return found


def _merge_grants(known: Mapping[str, Grant], since: int) -> dict[str, Grant]:
    grants = dict(known)
    for key in ApiKey.objects.filter(generation__gt=since):
        if key.revoked_at is None:
            grants[key.sha256] = grant_of(key)
        else:
            grants.pop(key.sha256, None)
    return grants
