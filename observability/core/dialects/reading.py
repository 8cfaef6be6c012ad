"""The dialects' tables turned round into one index: what each attribute tells, whichever library wrote it.

Reading a span takes one look-up per attribute, however many dialects there are. Of a span that is no call only what
others inherit from it is converted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from observability.core import conversions as convert
from observability.core.dialects.table import RESOURCE, SPAN, Dialect, Kind, Source, joined
from observability.core.otlp import Span, Wanted

INHERITED = frozenset({"prompt_name", "prompt_version", "exposure", "label", "user", "session", "feature"})
CALLS = frozenset({"call", "embedding"})
MOST_SOURCES = 1_000  # of a field: more than any has

Reader = tuple[str, int, Callable[[Any], Any]]  # a field, how many of its sources go before this one, the conversion
Readers = dict[str, tuple[Reader, ...]]  # by the attribute that they read
Container = tuple[str, int, Source]  # as a reader, of a structure that is written as text
Mark = tuple[int, Callable[[Any], Kind | None]]  # how many dialects are asked before, and what the value says


class Reading(NamedTuple):
    """is_call, is_embedding: at most one of them. fields: what the span tells, by the canonical names."""

    is_call: bool
    is_embedding: bool
    fields: dict[str, Any]


class Index:
    """All dialects, folded. Immutable once made."""

    def __init__(self, dialects: Sequence[Dialect], *, first: Dialect) -> None:
        """dialects: in the order in which they say whether a span is a call. first: whose sources go before all."""
        in_order = [first, *(dialect for dialect in dialects if dialect is not first)]
        told = joined(*(dialect.fields for dialect in in_order))
        content = joined(*(dialect.content for dialect in in_order))
        self.sources = joined(told, content)
        self.first_token_events = frozenset(name for dialect in dialects for name in dialect.first_token_events)
        self._families = [family for dialect in in_order for family in dialect.families]
        self._by_scope = {scope: dialect for dialect in dialects for scope in dialect.scopes}
        self._marks: dict[str, list[Mark]] = {}
        self._inherited: dict[str, Readers] = {SPAN: {}}  # by the place where attributes stand
        self._of_calls: dict[str, Readers] = {SPAN: {}}
        self._containers: dict[str, list[Container]] = {}
        for position, dialect in enumerate(dialects):
            for key, rule in dialect.kinds.items():
                self._marks.setdefault(key, []).append((position, rule))
        for field, sources in self.sources.items():
            for rank, source in enumerate(sources):
                self._add(field, rank, source)
        keys = {source.key for sources in told.values() for source in sources}
        self._keys = frozenset(keys.union(*(dialect.kinds for dialect in dialects)))
        self._known = self._keys.union(source.key for sources in content.values() for source in sources)

    def wanted(self, *, with_content: bool) -> Wanted:
        """What is worth decoding; attributes that hold nothing but prompts and answers only where these are stored."""
        return Wanted(
            attributes=self._known if with_content else self._keys,
            events=frozenset({*self._inherited, *self._of_calls} - {SPAN, RESOURCE}) | self.first_token_events,
            prefixes=tuple(family.prefix for family in self._families) if with_content else (),
        )

    def read(self, span: Span) -> Reading:
        """Of which kind a span is, and every field that it tells; where several sources do, the first in the tables."""
        attributes = span.attributes
        fields: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        dialect = self._by_scope.get(span.scope.partition(".")[0])
        kind = self._kind(span, dialect)
        self._read_inherited(attributes, SPAN, fields, ranks)
        for event in span.events:
            if event.name in self._inherited:
                self._read_inherited(event.attributes, event.name, fields, ranks)
        if kind in CALLS:
            self._read_of_calls(span, fields, ranks)
        if dialect is not None and dialect.mend is not None:
            dialect.mend(span, fields)
        return Reading(kind == "call", kind == "embedding", fields)

    def _add(self, field: str, rank: int, source: Source) -> None:
        if source.parse is not None:
            self._containers.setdefault(source.key, []).append((field, rank, source))
        else:
            places = self._inherited if field in INHERITED else self._of_calls
            readers = places.setdefault(source.at, {})
            readers[source.key] = (*readers.get(source.key, ()), (field, rank, source.convert))

    def _kind(self, span: Span, dialect: Dialect | None) -> Kind | None:
        """What the first dialect says that knows the span; a scope is asked first for "other", last for "call"."""
        by_scope = dialect.kind_of_scope(span) if dialect is not None and dialect.kind_of_scope is not None else None
        if by_scope == "other":
            return by_scope
        found = self._marks.keys() & span.attributes.keys()
        marks = [(position, rule, key) for key in found for position, rule in self._marks[key]]
        if len(marks) > 1:
            marks.sort(key=itemgetter(0))
        for _, rule, key in marks:
            if kind := rule(span.attributes[key]):
                return kind
        return by_scope

    def _read_inherited(
        self, attributes: Mapping[str, Any], at: str, fields: dict[str, Any], ranks: dict[str, int]
    ) -> None:
        readers = self._inherited[at]
        for key in readers.keys() & attributes.keys():
            raw = attributes[key]
            for field, rank, convert_value in readers[key]:
                if rank < ranks.get(field, MOST_SOURCES) and (value := convert_value(raw)) is not None:
                    fields[field], ranks[field] = value, rank

    def _read_of_calls(self, span: Span, fields: dict[str, Any], ranks: dict[str, int]) -> None:
        self._convert(SPAN, span.attributes, fields, ranks)
        self._convert(RESOURCE, span.resource, fields, ranks)
        seen: set[str] = set()
        for event in span.events:
            if event.name in self._of_calls and event.name not in seen:
                seen.add(event.name)
                self._convert(event.name, event.attributes, fields, ranks)
        if not self._containers.keys().isdisjoint(span.attributes):
            self._open_containers(span.attributes, fields, ranks)
        if unknown := span.attributes.keys() - self._known:
            self._gather_families(span.attributes, unknown, fields)

    def _convert(self, at: str, attributes: Mapping[str, Any], fields: dict[str, Any], ranks: dict[str, int]) -> None:
        readers_of = self._of_calls[at].get
        for key, raw in attributes.items():
            for field, rank, convert_value in readers_of(key, ()):
                if rank < ranks.get(field, MOST_SOURCES) and (value := convert_value(raw)) is not None:
                    fields[field], ranks[field] = value, rank

    def _open_containers(self, attributes: Mapping[str, Any], fields: dict[str, Any], ranks: dict[str, int]) -> None:
        """Parse the structures that may tell a field which nothing before them told, each once at most."""
        for key in self._containers.keys() & attributes.keys():
            opened: Any = None
            is_open = False
            for field, rank, source in self._containers[key]:
                if rank >= ranks.get(field, MOST_SOURCES) or source.parse is None:
                    continue
                if not is_open:
                    opened, is_open = source.parse(attributes[key]), True
                if (value := source.convert(convert.inside(opened, source.path))) is not None:
                    fields[field], ranks[field] = value, rank

    def _gather_families(self, attributes: Mapping[str, Any], keys: Iterable[str], fields: dict[str, Any]) -> None:
        """The structures that are written as one attribute for each of their leaves."""
        for field, prefix in self._families:
            leaves = {key.removeprefix(prefix): attributes[key] for key in keys if key.startswith(prefix)}
            if leaves:
                fields[field] = convert.unflattened(leaves)
