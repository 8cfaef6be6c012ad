"""Spans by which different instrumentations tell of one call, found by what they have in common.

Each rule collects pairs that may be twins and joins them in order, the nearest in time first, so that of many alike
calls each gets its own twin.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from observability.core.calls import INCOMPLETE, CallFacts, SpanKey
from observability.core.merging.groups import TOLERANCE_NS, Groups, Profile, agree, end_ns, usage_of

RECORD_WINDOW_NS = 1_500_000_000
OVERLAP = 0.8
NEIGHBOURS = 64  # how many calls of one usage are looked at after each: more never run at once in one request


class Pair(NamedTuple):
    """Two calls that may be one. rank: of the rule. apart_ns: how far apart their starts and their ends are, together.

    Pairs sort by how sure they are: one that lies inside the other before one that sticks out of it.
    """

    rank: int
    sticks_out: bool
    apart_ns: int
    outer: int
    inner: int


def join_summaries(facts: Sequence[CallFacts], groups: Groups) -> None:
    """The late record of a stream belongs to the request without a usage that began with it, each to one.

    One that was written outside of every span, as when nothing is around the request, is a trace of its own.
    """
    requests: dict[bytes | None, list[int]] = {}
    for index, call in enumerate(facts):
        if _may_have_a_record(call):
            requests.setdefault(call.trace_id, []).append(index)
            requests.setdefault(None, []).append(index)
    pairs = []
    for record, call in enumerate(facts):
        if not call.is_summary or groups.profile(record).scopes:
            continue
        at = call.started_ns
        alone = call.trace_id not in requests and not call.parent_id
        near = requests.get(None if alone else call.trace_id, [])
        position = bisect_left(near, at, key=lambda index: facts[index].started_ns)
        for request in near[max(0, position - NEIGHBOURS) : position + NEIGHBOURS]:
            apart_ns = abs(facts[request].started_ns - at)
            if (
                apart_ns <= RECORD_WINDOW_NS
                and facts[request].is_llm_call == call.is_llm_call
                and not (alone and _are_of_different_calls(facts[request], call))
            ):
                pairs.append((apart_ns, request, record))
    taken: set[int] = set()
    for _, request, record in sorted(pairs):
        if taken.isdisjoint((request, record)):
            taken |= {request, record}
            groups.join(request, record)


def _are_of_different_calls(request: CallFacts, record: CallFacts) -> bool:
    return request.scope != record.scope or _contradict(request, record)


def _may_have_a_record(call: CallFacts) -> bool:
    return not call.is_summary and call.output_tokens is None and (not call.error or call.error_class == INCOMPLETE)


def join_ancestors(facts: Sequence[CallFacts], ancestors: Sequence[frozenset[bytes]], groups: Groups) -> None:
    """A call inside a call of another scope, with the same usage, or one of them without.

    Where one has no usage it may be a span around several calls, as of an agent. Then it is none of them.
    """
    equal: list[Pair] = []
    unsure: dict[int, list[Pair]] = {}
    for pair in _ancestor_pairs(facts, ancestors):
        outer, inner = facts[pair.outer], facts[pair.inner]
        if not agree(usage_of(outer), usage_of(inner)):
            continue
        if any(a is not None and a == b for a, b in zip(usage_of(outer), usage_of(inner), strict=True)):
            equal.append(pair)
        elif not _succeeded_after_all(outer, inner):
            unsure.setdefault(pair.outer, []).append(pair)
    _join(equal, groups)
    _join((pair for pairs in unsure.values() if _are_one_call(pairs, groups) for pair in pairs), groups)


def _ancestor_pairs(facts: Sequence[CallFacts], ancestors: Sequence[frozenset[bytes]]) -> Iterable[Pair]:
    by_key: dict[SpanKey, int] = {call.key: index for index, call in enumerate(facts) if not call.is_summary}
    ids: dict[bytes, set[bytes]] = {}
    for trace_id, span_id in by_key:
        ids.setdefault(trace_id, set()).add(span_id)
    for inner, call in enumerate(facts):
        if call.is_summary or not ancestors[inner]:
            continue
        for span_id in ancestors[inner] & ids[call.trace_id]:
            outer = by_key[call.trace_id, span_id]
            if facts[outer].scope != call.scope:
                yield _pair(1, outer, inner, facts)


def _succeeded_after_all(outer: CallFacts, inner: CallFacts) -> bool:
    """A failed try inside a call that got its answer, by another try which is not told of, or not yet."""
    return inner.error and inner.error_class != INCOMPLETE and not outer.error and bool(outer.output_tokens)


def _are_one_call(pairs: Sequence[Pair], groups: Groups) -> bool:
    """Whether all calls inside one outer call can be that call."""
    together: Profile | None = None
    for root in sorted({groups.find(pair.inner) for pair in pairs} - {groups.find(pairs[0].outer)}):
        profile = groups.profile(root)
        if together and not together.can_join(profile):
            return False
        together = together.joined(profile) if together else profile
    return True


def join_simultaneous(facts: Sequence[CallFacts], groups: Groups) -> None:
    """Calls of different scopes at the same time, of one usage or both failed, where one has no response id."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, call in enumerate(facts):
        if not call.is_summary:
            usage = None if call.error else usage_of(call)
            alike.setdefault((call.is_llm_call, usage), []).append(index)
    pairs: list[Pair] = []
    for indexes in alike.values():
        for position, one in enumerate(indexes):
            latest = end_ns(facts[one]) + TOLERANCE_NS
            for other in indexes[position + 1 : position + 1 + NEIGHBOURS]:
                if facts[other].started_ns > latest:
                    break
                if facts[other].scope != facts[one].scope and _may_be_twins(facts[one], facts[other]):
                    pairs.append(_pair(3 if facts[one].trace_id == facts[other].trace_id else 4, one, other, facts))
    _join(pairs, groups)


def _may_be_twins(one: CallFacts, other: CallFacts) -> bool:
    if (one.response_id and other.response_id) or _contradict(one, other):
        return False
    if one.trace_id == other.trace_id:
        return _lies_in(one, other) or _lies_in(other, one)
    return (one.error or usage_of(one) != (None, None)) and _overlap(one, other)


def _contradict(one: CallFacts, other: CallFacts) -> bool:
    """Whether they name different prompts, arms, users or models."""
    a, b = one.context, other.context
    return (
        bool(a.prompt_name and b.prompt_name and a.prompt_name != b.prompt_name)
        or bool(a.exposure and b.exposure and a.exposure != b.exposure)
        or bool(a.user and b.user and a.user != b.user)
        or (one.request_model != other.request_model and not _may_be_one_model(one, other))
    )


def _may_be_one_model(one: CallFacts, other: CallFacts) -> bool:
    """A model may be named with its maker or its date, or without; or not at all."""
    models, others = _models(one), _models(other)
    return not (models and others) or any(x.startswith(y) or y.startswith(x) for x in models for y in others)


def _models(call: CallFacts) -> set[str]:
    return {model.rpartition("/")[2] for model in (call.request_model, call.response_model) if model}


def _lies_in(inner: CallFacts, outer: CallFacts) -> bool:
    return inner.started_ns >= outer.started_ns - TOLERANCE_NS and end_ns(inner) <= end_ns(outer) + TOLERANCE_NS


def _overlap(one: CallFacts, other: CallFacts) -> bool:
    """Whether most of either is time of both. What an outer one does before and after weighs little in a short call."""
    common = min(end_ns(one), end_ns(other)) - max(one.started_ns, other.started_ns)
    shorter, longer = sorted((end_ns(one) - one.started_ns, end_ns(other) - other.started_ns))
    return common > OVERLAP * max(shorter, longer - 2 * TOLERANCE_NS)


def _pair(rank: int, outer: int, inner: int, facts: Sequence[CallFacts]) -> Pair:
    a, b = facts[outer], facts[inner]
    before, after = b.started_ns - a.started_ns, end_ns(a) - end_ns(b)
    return Pair(rank, before * after < 0, abs(before) + abs(after), outer, inner)


def _join(pairs: Iterable[Pair], groups: Groups) -> None:
    for pair in sorted(pairs):
        groups.join_if_possible(pair.outer, pair.inner)
