"""What a process serves from: one consistent, immutable state in memory, made of documents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from registry.core.versions import SemVer, parse_version
from registry.keys import Grant, check_scope, find_grant, grant_of, let_in
from registry.models import PromptVersion, Scope
from registry.representation import served_json
from rollout.serving.answers import (
    Answer,
    Chosen,
    EncodedVersion,
    Split,
    encode_version,
    label_answer,
    pinned_answer,
    split,
)
from rollout.serving.documents import NEVER, Changes, KeyDocument, LabelDocument, PromptDocument, numbers_of

MOST_READERS = 10_000
MOST_REMEMBERED = 32_768  # some 15 MB
LONGEST_REMEMBERED = 512  # characters

Asked = tuple[str, str, str, str]  # prompt, query, Authorization and Serinus-Unit, as they are sent


@dataclass(frozen=True, slots=True)
class ServedPrompt:
    """numbers: the row id of every version, by ordinal and by number. versions, pinned: those that some label serves.

    generation: of the prompt's last change.
    """

    name: str
    generation: int
    archived: bool
    numbers: Mapping[SemVer | int, int]
    rules: Mapping[str, LabelDocument]
    versions: Mapping[str, EncodedVersion]
    labels: Mapping[str, Answer | Split]
    pinned: Mapping[int, Answer]

    def version_ids(self, labels: Iterable[str]) -> set[int]:
        """Row ids of the versions that these labels serve."""
        served = {number for label in labels if label in self.rules for number in numbers_of(self.rules[label])}
        return {self.numbers[parse_version(number)] for number in served}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """prompts by name; grants by the hash of their key, without the revoked.

    readers: Authorization headers that have been found to let read; a valid key is so hashed once, not each time.
    remembered: what was answered, and is again as long as this is the state: units come back. Once a minute it is
    forgotten, so that it shows which keys are still used, and of a key that expires nothing is remembered.
    """

    generation: int
    prompts: Mapping[str, ServedPrompt]
    grants: Mapping[str, Grant]
    readers: dict[str, Grant] = field(default_factory=dict, compare=False)
    remembered: dict[Asked, Chosen] = field(default_factory=dict, compare=False)

    def reader(self, authorization: str) -> Grant:
        """What the bearer of this Authorization header may read. Raises Unauthorized or Forbidden."""
        grant = self.readers.get(authorization)
        if grant is not None:
            let_in(grant)
            return grant
        grant = find_grant(authorization, self.grants.get)
        check_scope(grant, Scope.READ)
        if len(self.readers) >= MOST_READERS:  # one key can be spelled in many ways
            self.readers.clear()
        self.readers[authorization] = grant
        return grant

    def remember(self, asked: Asked, grant: Grant, chosen: Chosen) -> None:
        """Answer the same next time, unless it is a version of no label, drawn anew each time, or the key expires."""
        lasts = chosen.answer.lasts and grant.expires_at is None
        if lasts and sum(map(len, asked)) <= LONGEST_REMEMBERED:
            if len(self.remembered) >= MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered[asked] = chosen


NOTHING = Snapshot(NEVER, {}, {})


def after(snapshot: Snapshot, changes: Changes) -> Snapshot:
    """The state that the changes make of this one."""
    if changes.since == NEVER:
        snapshot = NOTHING
    grants = dict(snapshot.grants)
    for sha256, key in changes.keys.items():
        if key["revoked"]:
            grants.pop(sha256, None)
        else:
            grants[sha256] = _grant(key)
    changed = {name: served_prompt(document) for name, document in changes.prompts.items()}
    return Snapshot(changes.generation, {**snapshot.prompts, **changed}, grants)


def _grant(key: KeyDocument) -> Grant:
    until = key["expires_at"]
    return grant_of(
        key["name"],
        key["scopes"],
        prompt_prefix=key["prompt_prefix"],
        labels=key["labels"],
        expires_at=None if until is None else datetime.fromtimestamp(until, UTC),
        sha256=key["sha256"],
    )


def served_prompt(document: PromptDocument) -> ServedPrompt:
    numbers: dict[SemVer | int, int] = {}
    for version_id, ordinal, *number in document["numbers"]:
        numbers[ordinal] = numbers[SemVer(*number)] = version_id
    versions = {number: encode_version(members) for number, members in document["versions"].items()}
    return ServedPrompt(
        name=document["name"],
        generation=document["generation"],
        archived=document["archived"],
        numbers=numbers,
        rules=document["labels"],
        versions=versions,
        labels={label: _served(label, rules, versions) for label, rules in document["labels"].items()},
        pinned={numbers[parse_version(number)]: pinned_answer(version) for number, version in versions.items()},
    )


def _served(label: str, rules: LabelDocument, versions: Mapping[str, EncodedVersion]) -> Answer | Split:
    if rollout := rules["rollout"]:
        return split(rollout, label=label, control=versions[rollout["control"]], canary=versions[rollout["canary"]])
    return label_answer(versions[rules["version"]], label)


def load_pinned(version_id: int) -> Answer:
    version = PromptVersion.objects.select_related("prompt").get(pk=version_id)
    return pinned_answer(encode_version(served_json(version)))
