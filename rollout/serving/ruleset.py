"""What clients assign by: of every prompt its labels, active rollouts and served versions, and a digest of it all.

A client that holds an older state is sent what has changed since. It proves by the digest that it has come to the same
state, so that no mistake on the way, and no restored backup, can leave it with another one for long.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from rollout.serving.answers import encode
from rollout.serving.documents import numbers_of
from rollout.serving.snapshot import ServedPrompt, Snapshot

DIGEST_DIGITS = 20
SELECTIONS_KEPT = 32

Labels = frozenset[str] | None
"""Of labels; None is all of them."""


class Selection(NamedTuple):
    """What of the state a client gets: what it asks for, as far as its key reaches."""

    labels: Labels
    prompt_prefix: str = ""

    def prompts(self, snapshot: Snapshot) -> Iterator[ServedPrompt]:
        return (prompt for name, prompt in snapshot.prompts.items() if name.startswith(self.prompt_prefix))


@dataclass(frozen=True, slots=True)
class Ruleset:
    """digests: of each prompt's rules. digest: of all of them, with their names."""

    snapshot: Snapshot
    selection: Selection
    digests: Mapping[str, str]
    digest: str

    def complete(self) -> bytes:
        return self._body(b"null", self.selection.prompts(self.snapshot))

    def since(self, generation: int) -> bytes:
        """Only the prompts that changed after that generation; all, when this state is older than that."""
        if generation > self.snapshot.generation:
            return self.complete()
        selected = self.selection.prompts(self.snapshot)
        changed = (prompt for prompt in selected if prompt.generation > generation)
        return self._body(b"%d" % generation, changed)

    def _body(self, since: bytes, prompts: Iterable[ServedPrompt]) -> bytes:
        labels = self.selection.labels
        head = b'{"generation":%d,"digest":"%s","since":%s,"prompts":{'
        members = (
            b'"%s":{"digest":"%s",%s' % (p.name.encode(), self.digests[p.name].encode(), _rules(p, labels)[1:])
            for p in prompts
        )
        return head % (self.snapshot.generation, self.digest.encode(), since) + b",".join(members) + b"}}"


class Rulesets:
    """The latest ruleset of each selection: of what has not changed, no digest is computed again."""

    def __init__(self) -> None:
        self._lock = Lock()  # so that of many clients that wait for one change, one computes
        self._latest: dict[Selection, Ruleset] = {}

    def of(self, snapshot: Snapshot, selection: Selection) -> Ruleset:
        with self._lock:
            latest = self._latest.get(selection)
            if latest is None or latest.snapshot is not snapshot:
                if latest is None and len(self._latest) >= SELECTIONS_KEPT:
                    del self._latest[next(iter(self._latest))]
                latest = self._latest[selection] = _ruleset(snapshot, selection, latest)
            return latest


def _ruleset(snapshot: Snapshot, selection: Selection, before: Ruleset | None) -> Ruleset:
    known = before.snapshot.prompts if before else {}
    digests = {
        prompt.name: before.digests[prompt.name]
        if before and known.get(prompt.name) is prompt
        else _digest(_rules(prompt, selection.labels))
        for prompt in selection.prompts(snapshot)
    }
    everything = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return Ruleset(snapshot, selection, digests, _digest(everything.encode()))


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:DIGEST_DIGITS]


def _rules(prompt: ServedPrompt, labels: Labels) -> bytes:
    """One prompt's rules for these labels, as JSON."""
    rules = {label: rules for label, rules in sorted(prompt.rules.items()) if labels is None or label in labels}
    served = {number for label in rules.values() for number in numbers_of(label)}
    versions = b",".join(b'"%s":%s}' % (number.encode(), prompt.versions[number].members) for number in sorted(served))
    archived = b"true" if prompt.archived else b"false"
    return b'{"archived":%s,"labels":%s,"versions":{%s}}' % (archived, encode(rules), versions)
