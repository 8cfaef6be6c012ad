"""Spans read by the dialects' tables, at a cost that does not depend on how many dialects there are.

Spans of one instrumentation have the same attributes, so what to read from where is worked out once for each set of
them, a plan, and looked up for every further span. Of a span that is no call only what others inherit is read.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from observability.core import conversions as convert
from observability.core.dialects.table import RESOURCE, SPAN, Dialect, Kind, Source, joined
from observability.core.otlp import Span, Wanted

INHERITED = frozenset(
    {
        *("prompt_name", "prompt_version", "exposure", "label", "user", "session", "feature"),
        *("conversation", "agent_run"),
    }
)
CALLS = frozenset({"call", "embedding"})
MOST_PLANS = 2_000

Key = str | tuple[str, str]  # of the span's attribute, or of an event's: its name and the attribute's
Take = tuple[Key, Callable[[Any], Any], Source | None]  # how to convert it, and the source if it is a container


class Plan(NamedTuple):
    """What to read of spans with certain attributes: what says their kind, and for each field where it may be found.

    unknown: attributes that no table names, which belong to families.
    """

    kinds: tuple[tuple[str, Callable[[Any], Kind | None]], ...]
    inherited: tuple[tuple[str, tuple[Take, ...]], ...]
    of_calls: tuple[tuple[str, tuple[Take, ...]], ...]
    unknown: tuple[str, ...]


class Reading(NamedTuple):
    """is_call, is_embedding: at most one of them. fields: what the span tells, by the canonical names."""

    is_call: bool
    is_embedding: bool
    fields: dict[str, Any]


class Reader:
    """All dialects, folded."""

    def __init__(self, dialects: Sequence[Dialect], *, first: Dialect) -> None:
        """dialects: in the order in which they say whether a span is a call. first: whose sources go before all."""
        in_order = [first, *(dialect for dialect in dialects if dialect is not first)]
        told = joined(*(dialect.fields for dialect in in_order))
        content = joined(*(dialect.content for dialect in in_order))
        self._sources = joined(told, content)
        self._kinds = [(key, rule) for dialect in dialects for key, rule in dialect.kinds.items()]
        self._families = [family for dialect in in_order for family in dialect.families]
        self._by_scope = {scope: dialect for dialect in dialects for scope in dialect.scopes}
        self._of_resource = [
            (field, source) for field, sources in told.items() for source in sources if source.at == RESOURCE
        ]
        self._events = {source.at for sources in told.values() for source in sources} - {SPAN, RESOURCE}
        self._keys = frozenset(s.key for sources in told.values() for s in sources).union(key for key, _ in self._kinds)
        self._keys_with_content = self._keys.union(s.key for sources in content.values() for s in sources)
        self._prefixes = tuple(family.prefix for family in self._families)
        self._plans: dict[tuple[Key, ...], Plan] = {}
        self.first_token_events = frozenset(name for dialect in dialects for name in dialect.first_token_events)

    def wanted(self, *, with_content: bool) -> Wanted:
        """What is worth decoding; attributes that hold nothing but prompts and answers only where these are stored."""
        return Wanted(
            attributes=self._keys_with_content if with_content else self._keys,
            events=self.first_token_events.union(self._events),
            prefixes=self._prefixes if with_content else (),
        )

    def read(self, span: Span) -> Reading:
        """Of which kind a span is, and every field that it tells; where several sources do, the first in the tables."""
        attributes: Mapping[Any, Any] = span.attributes
        if span.events:
            attributes = self._with_events(span)
        shape = tuple(attributes)
        plan = self._plans.get(shape) or self._plan(shape)
        dialect = self._by_scope.get(span.scope.partition(".")[0])
        kind = _kind(span, plan, dialect)
        fields: dict[str, Any] = {}
        _take(plan.inherited, attributes, fields)
        if kind in CALLS:
            _take(plan.of_calls, attributes, fields)
            for field, source in self._of_resource:
                if field not in fields and (value := source.convert(span.resource.get(source.key))) is not None:
                    fields[field] = value
            if plan.unknown:
                self._gather_families(attributes, plan.unknown, fields)
        if dialect is not None and dialect.mend is not None:
            dialect.mend(span, fields)
        return Reading(kind == "call", kind == "embedding", fields)

    def _with_events(self, span: Span) -> Mapping[Any, Any]:
        """The attributes of the span and of its first event of each name that a table knows."""
        attributes: dict[Any, Any] = dict(span.attributes)
        seen: set[str] = set()
        for event in span.events:
            if event.name in self._events and event.name not in seen:
                seen.add(event.name)
                attributes |= {(event.name, key): value for key, value in event.attributes.items()}
        return attributes

    def _plan(self, shape: tuple[Key, ...]) -> Plan:
        unknown = tuple(key for key in shape if isinstance(key, str) and self._is_of_a_family(key))
        if unknown:  # which may be anything, and changes nothing of the rest, which is remembered
            strange = frozenset(unknown)
            known = tuple(key for key in shape if key not in strange)
            return (self._plans.get(known) or self._plan(known))._replace(unknown=unknown)
        there = set(shape)
        found: dict[str, list[Take]] = {}
        for field, sources in self._sources.items():
            for source in sources:
                key = source.key if source.at == SPAN else (source.at, source.key)
                if key in there:
                    found.setdefault(field, []).append((key, source.convert, source if source.parse else None))
        plan = Plan(
            kinds=tuple((key, rule) for key, rule in self._kinds if key in there),
            inherited=tuple((field, tuple(takes)) for field, takes in found.items() if field in INHERITED),
            of_calls=tuple((field, tuple(takes)) for field, takes in found.items() if field not in INHERITED),
            unknown=(),
        )
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        self._plans[shape] = plan
        return plan

    def _is_of_a_family(self, key: str) -> bool:
        return key not in self._keys_with_content and key.startswith(self._prefixes)

    def _gather_families(self, attributes: Mapping[Any, Any], keys: Sequence[str], fields: dict[str, Any]) -> None:
        """The structures that are written as one attribute for each of their leaves."""
        for field, prefix in self._families:
            leaves = {key.removeprefix(prefix): attributes[key] for key in keys if key.startswith(prefix)}
            if leaves:
                fields[field] = convert.unflattened(leaves)


def _kind(span: Span, plan: Plan, dialect: Dialect | None) -> Kind | None:
    """What the first dialect says that knows the span; a scope is asked first for "other", last for "call"."""
    by_scope = None
    if dialect is not None and dialect.kind_of_scope is not None:
        by_scope = dialect.kind_of_scope(span)
        if by_scope == "other":
            return by_scope
    for key, rule in plan.kinds:
        if kind := rule(span.attributes[key]):
            return kind
    return by_scope


def _take(
    places: Sequence[tuple[str, tuple[Take, ...]]], attributes: Mapping[Any, Any], fields: dict[str, Any]
) -> None:
    """Fill in each field from the first place that holds a value. A container is opened once, and only if need be."""
    opened: dict[Key, Any] = {}
    for field, takes in places:
        for key, convert_value, container in takes:
            raw = attributes[key]
            if container is not None and container.parse is not None:
                if key not in opened:
                    opened[key] = container.parse(raw)
                raw = convert.inside(opened[key], container.path)
            if (value := convert_value(raw)) is not None:
                fields[field] = value
                break
