"""Which of many calls are one: by what only one call can have, then by what two calls hardly ever have in common.

Certain are a response id, a stream's request with its late record, and attempts under one wrapper. The rest are
guesses, made in a fixed order, the surest first, and never between two spans of one scope: parallel identical calls
are real.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from observability.core.calls import CallFacts
from observability.core.merging import twins
from observability.core.merging.groups import TOLERANCE_NS, Groups, end_ns

RESPONSE_WINDOW_NS = 600 * 10**9


class Related(NamedTuple):
    """A call in its trace. ancestors: ids of all known spans above it. wrapper_ended: of the span `attempt_of`."""

    call: CallFacts
    ancestors: frozenset[bytes] = frozenset()
    wrapper_ended: bool = False


@dataclass(frozen=True, slots=True)
class _Hints:
    """What one look at each call tells about which rules can apply at all."""

    scopes: set[str]
    has_equal_ids: bool
    has_attempts: bool
    has_summaries: bool


def group(calls: Sequence[Related]) -> list[list[int]]:
    """The calls' indexes, those of one logical call together; each index once. The order of the calls does not matter.

    Time grows with the calls, not with their pairs: whatever is compared shares an id, an ancestor or a usage, and is
    near in time.
    """
    hints = _look_at(calls)
    if len(hints.scopes) == 1 and not (hints.has_attempts or hints.has_summaries or hints.has_equal_ids):
        return [[index] for index in range(len(calls))]
    # The calls' own order, so that of equal candidates the same is tried first whatever order they came in.
    order = sorted(range(len(calls)), key=lambda i: (calls[i].call.started_ns, calls[i].call.key))
    sorted_calls = [calls[index] for index in order]
    facts = [related.call for related in sorted_calls]
    groups = Groups(facts)
    if hints.has_equal_ids:
        _join_responses(facts, groups)
    if hints.has_summaries:
        twins.join_summaries(facts, groups)
    if len(hints.scopes) > 1:
        twins.join_ancestors(facts, [related.ancestors for related in sorted_calls], groups)
        twins.join_simultaneous(facts, groups)
    if hints.has_attempts:
        _join_attempts(facts, groups)
    return [[order[index] for index in members] for members in groups.members()]


def awaits_another_attempt(related: Related) -> bool:
    """Whether it is a failed attempt that another may follow: the span around the attempts has not ended yet."""
    return related.call.error and related.call.attempt_of is not None and not related.wrapper_ended


def _look_at(calls: Iterable[Related]) -> _Hints:
    scopes: set[str] = set()
    ids: set[str] = set()
    has_equal_ids = has_attempts = has_summaries = False
    for call, _, _ in calls:
        scopes.add(call.scope)
        response_id = call.response_id
        if response_id is not None:
            if response_id in ids:
                has_equal_ids = True
            ids.add(response_id)
        if call.attempt_of is not None:
            has_attempts = True
        if call.is_summary:
            has_summaries = True
    return _Hints(scopes, has_equal_ids, has_attempts, has_summaries)


def _join_responses(facts: Sequence[CallFacts], groups: Groups) -> None:
    """A provider gives an id to one response only: spans of different scopes with it are one call. Within ten minutes,
    since local servers count from 1 again.

    Two spans of one scope are two calls, the second of which a cache has answered with the response of the first. Spans
    of one trace find each other first, so that each of such calls gets its own twin.
    """
    with_id = [index for index, call in enumerate(facts) if call.response_id is not None]
    _join_near(facts, groups, with_id, lambda call: (call.response_id, call.is_llm_call, call.trace_id))
    _join_near(facts, groups, with_id, lambda call: (call.response_id, call.is_llm_call))


def _join_near(
    facts: Sequence[CallFacts], groups: Groups, indexes: Iterable[int], response: Callable[[CallFacts], Hashable]
) -> None:
    first: dict[Hashable, int] = {}
    for index in indexes:
        call = facts[index]
        earliest = first.setdefault(response(call), index)
        if call.started_ns - facts[earliest].started_ns > RESPONSE_WINDOW_NS:
            first[response(call)] = index
        elif groups.scopes_differ(earliest, index):
            groups.join(earliest, index)


def _join_attempts(facts: Sequence[CallFacts], groups: Groups) -> None:
    """Failed attempts belong to the next one under their wrapper, up to a success: an agent's steps have one each.

    A call that began while the one before it still ran does not retry it.
    """
    unfinished: dict[tuple[bytes, bytes, bool], int] = {}
    for index, call in enumerate(facts):
        if call.attempt_of is None:
            continue
        wrapper = call.trace_id, call.attempt_of, call.is_llm_call
        before = unfinished.pop(wrapper, None)
        if before is not None and call.started_ns >= end_ns(facts[before]) - TOLERANCE_NS:
            groups.join(before, index)
        if call.error:
            unfinished[wrapper] = index
