"""What a process serves from: one consistent, immutable state in memory, made of documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.core.versions import SemVer, parse_version
from registry.keys import Grant, check_scope, find_grant, grant_of
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
from rollout.serving.documents import NEVER, Changes, LabelDocument, PromptDocument

MOST_READERS = 10_000
MOST_REMEMBERED = 32_768  # some 16 MB
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """prompts by name; grants by the hash of their key, without the revoked.

    readers: Authorization headers that have been found to let read; a valid key is so hashed once, not each time.
    remembered: what was answered, and is again as long as this is the state: units come back.
    """

    generation: int
    prompts: Mapping[str, ServedPrompt]
    grants: Mapping[str, Grant]
    readers: set[str] = field(default_factory=set, compare=False)
    remembered: dict[Asked, Chosen] = field(default_factory=dict, compare=False)

    def check_reader(self, authorization: str) -> None:
        """Raises Unauthorized or Forbidden unless this Authorization header lets read."""
        if authorization not in self.readers:
            check_scope(find_grant(authorization, self.grants.get), Scope.READ)
            if len(self.readers) >= MOST_READERS:  # one key can be spelled in many ways
                self.readers.clear()
            self.readers.add(authorization)

    def remember(self, asked: Asked, chosen: Chosen) -> None:
        """Answer the same next time, unless it is a version of no label, or drawn anew each time."""
        if chosen.answer.lasts and sum(map(len, asked)) <= LONGEST_REMEMBERED:
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
            grants[sha256] = grant_of(key["name"], key["scopes"])
    changed = {name: served_prompt(document) for name, document in changes.prompts.items()}
    return Snapshot(changes.generation, {**snapshot.prompts, **changed}, grants)


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
