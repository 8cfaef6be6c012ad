"""Calls that grow together to groups, and which of the groups can still be one call."""

from collections.abc import Sequence
from typing import NamedTuple

from observability.core.calls import CallFacts

NS_PER_MS = 1e6
TOLERANCE_NS = 25_000_000  # how far apart two instrumentations may see one moment

Usage = tuple[int | None, int | None]  # input and output tokens


class Profile(NamedTuple):
    """What the calls of a group have in common. start_ns, end_ns: the time in which all of them ran."""

    scopes: frozenset[str]
    usages: frozenset[Usage]
    is_llm_call: bool
    start_ns: int
    end_ns: int

    def can_join(self, other: "Profile") -> bool:
        """Whether both may be one call as far as guesses go: no scope twice, no other usage, a common time."""
        return (
            self.is_llm_call == other.is_llm_call
            and self.scopes.isdisjoint(other.scopes)
            and max(self.start_ns, other.start_ns) <= min(self.end_ns, other.end_ns) + TOLERANCE_NS
            and usages_agree(self.usages, other.usages)
        )

    def joined(self, other: "Profile") -> "Profile":
        return Profile(
            self.scopes | other.scopes,
            self.usages | other.usages,
            self.is_llm_call,
            max(self.start_ns, other.start_ns),
            min(self.end_ns, other.end_ns),
        )


class Groups:
    """A partition of calls, at first each by itself (a union-find over their indexes)."""

    def __init__(self, facts: Sequence[CallFacts]) -> None:
        self._facts = facts
        self._parents = list(range(len(facts)))
        self._profiles: dict[int, Profile] = {}

    def find(self, index: int) -> int:
        parents = self._parents
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    def profile(self, index: int) -> Profile:
        root = self.find(index)
        found = self._profiles.get(root)
        if found is None:
            found = self._profiles[root] = profile_of(self._facts[root])
        return found

    def scopes_differ(self, one: int, other: int) -> bool:
        return self.profile(one).scopes.isdisjoint(self.profile(other).scopes)

    def join(self, one: int, other: int) -> None:
        """Both are one call for certain. It lasted from the start of either to the end of either."""
        if self.find(one) == self.find(other):
            return
        a, b = self.profile(one), self.profile(other)
        hull = a.joined(b)._replace(start_ns=min(a.start_ns, b.start_ns), end_ns=max(a.end_ns, b.end_ns))
        self._link(one, other, hull)

    def join_if_possible(self, one: int, other: int) -> None:
        """Both are one call unless something is known of their groups that speaks against it."""
        if self.find(one) == self.find(other):
            return
        a, b = self.profile(one), self.profile(other)
        if a.can_join(b):
            self._link(one, other, a.joined(b))

    def members(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for index in range(len(self._parents)):
            found.setdefault(self.find(index), []).append(index)
        return list(found.values())

    def _link(self, one: int, other: int, profile: Profile) -> None:
        root, child = sorted((self.find(one), self.find(other)))
        self._parents[child] = root
        self._profiles[root] = profile


def profile_of(call: CallFacts) -> Profile:
    usage = usage_of(call)
    known = frozenset() if usage == (None, None) else frozenset((usage,))
    scopes = frozenset() if call.is_summary else frozenset((call.scope,))
    return Profile(scopes, known, call.is_llm_call, call.started_ns, end_ns(call))


def end_ns(call: CallFacts) -> int:
    return call.started_ns + int((call.duration_ms or 0) * NS_PER_MS)


def usage_of(call: CallFacts) -> Usage:
    """Its tokens, as far as they can be compared: some clients write 0 for a call that failed, and for what an
    embedding puts out."""
    if call.error:
        return call.input_tokens or None, call.output_tokens or None
    return call.input_tokens, call.output_tokens if call.is_llm_call else None


def usages_agree(some: frozenset[Usage], others: frozenset[Usage]) -> bool:
    return not some or not others or any(agree(one, other) for one in some for other in others)


def agree(one: Usage, other: Usage) -> bool:
    """Whether nothing known of the one is known otherwise of the other."""
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))
