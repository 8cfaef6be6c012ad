"""The dialects' tables turned round into one index: what each attribute tells, whichever library wrote it.

Reading a span takes one look-up per attribute, however many dialects there are. Of a span that is no call only what
others inherit from it is converted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from observability.core import conversions as convert
from observability.core.dialects.table import RESOURCE, SPAN, Dialect, Kind, Source, joined
from observability.core.otlp import Span, Wanted

INHERITED = frozenset({"prompt_name", "prompt_version", "exposure", "label", "user", "session", "feature"})
CALLS = frozenset({"call", "embedding"})

Reader = tuple[str, int, Callable[[Any], Any]]  # a field, how many of its sources go before this one, the conversion
Container = tuple[str, int, Source]  # likewise, of a structure that is written as text
Mark = tuple[int, Callable[[Any], Kind | None]]  # how many dialects are asked before, and what the value says


class Entry(NamedTuple):
    """What an attribute tells: of which kind the span is, what others inherit from it, and what only calls need."""

    marks: tuple[Mark, ...] = ()
    inherited: tuple[Reader, ...] = ()
    of_calls: tuple[Reader, ...] = ()


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
        self._by_scope = {dialect.scope: dialect for dialect in dialects if dialect.scope}
        self._places: dict[str, dict[str, Entry]] = {SPAN: {}, RESOURCE: {}}
        self._containers: dict[str, list[Container]] = {}
        for position, dialect in enumerate(dialects):
            for key, rule in dialect.kinds.items():
                self._add(SPAN, key, Entry(marks=((position, rule),)))
        for field, sources in self.sources.items():
            for rank, source in enumerate(sources):
                self._add_source(field, rank, source)
        keys = {source.key for sources in told.values() for source in sources}
        self._keys = frozenset(keys.union(*(dialect.kinds for dialect in dialects)))
        self._content_keys = frozenset(source.key for sources in content.values() for source in sources)

    def wanted(self, *, with_content: bool) -> Wanted:
        """What is worth decoding; attributes that hold nothing but prompts and answers only where these are stored."""
        return Wanted(
            attributes=self._keys | self._content_keys if with_content else self._keys,
            events=frozenset(self._places).difference({SPAN, RESOURCE}) | self.first_token_events,
            prefixes=tuple(family.prefix for family in self._families) if with_content else (),
        )

    def read(self, span: Span) -> Reading:
        """Of which kind a span is, and every field that it tells; where several sources do, the first in the tables."""
        fields: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        marks: list[tuple[int, Callable[[Any], Kind | None], Any]] = []
        of_calls: list[tuple[tuple[Reader, ...], Any]] = []
        rest: list[str] = []
        self._read(SPAN, span.attributes, fields, ranks, marks, of_calls, rest)
        dialect = self._by_scope.get(span.scope.partition(".")[0])
        kind = _kind(span, marks, dialect)
        if span.events:
            self._read_events(span, fields, ranks, of_calls)
        if kind in CALLS:
            if span.resource:
                self._read(RESOURCE, span.resource, fields, ranks, marks, of_calls, rest)
            for readers, raw in of_calls:
                _convert(readers, raw, fields, ranks)
            self._open_containers(span.attributes, fields, ranks)
            if rest:
                self._gather_families(span.attributes, rest, fields)
        if dialect is not None and dialect.mend is not None:
            dialect.mend(span, fields)
        return Reading(kind == "call", kind == "embedding", fields)

    def _add_source(self, field: str, rank: int, source: Source) -> None:
        if source.parse is not None:
            self._containers.setdefault(source.key, []).append((field, rank, source))
            self._add(source.at, source.key, Entry())
            return
        readers = ((field, rank, source.convert),)
        self._add(source.at, source.key, Entry(inherited=readers) if field in INHERITED else Entry(of_calls=readers))

    def _add(self, at: str, key: str, more: Entry) -> None:
        entries = self._places.setdefault(at, {})
        old = entries.get(key, Entry())
        entries[key] = Entry(old.marks + more.marks, old.inherited + more.inherited, old.of_calls + more.of_calls)

    def _read(
        self,
        at: str,
        attributes: Mapping[str, Any],
        fields: dict[str, Any],
        ranks: dict[str, int],
        marks: list[tuple[int, Callable[[Any], Kind | None], Any]],
        of_calls: list[tuple[tuple[Reader, ...], Any]],
        rest: list[str],
    ) -> None:
        """Convert what others inherit; note down what tells the kind, what only calls need, and what no table knows."""
        entry_of = self._places[at].get
        for key, raw in attributes.items():
            entry = entry_of(key)
            if entry is None:
                rest.append(key)
                continue
            if entry.of_calls:
                of_calls.append((entry.of_calls, raw))
            if entry.inherited:
                _convert(entry.inherited, raw, fields, ranks)
            if entry.marks:
                marks.extend((position, rule, raw) for position, rule in entry.marks)

    def _read_events(
        self, span: Span, fields: dict[str, Any], ranks: dict[str, int], of_calls: list[tuple[tuple[Reader, ...], Any]]
    ) -> None:
        seen: set[str] = set()
        for event in span.events:
            if event.name in self._places and event.name not in seen:
                seen.add(event.name)
                self._read(event.name, event.attributes, fields, ranks, [], of_calls, [])

    def _open_containers(self, attributes: Mapping[str, Any], fields: dict[str, Any], ranks: dict[str, int]) -> None:
        """Parse the structures that may tell a field which nothing before them told, each once at most."""
        for key in self._containers.keys() & attributes.keys():
            opened: Any = None
            is_open = False
            for field, rank, source in self._containers[key]:
                if rank >= ranks.get(field, rank + 1) or source.parse is None:
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


def _kind(
    span: Span, marks: list[tuple[int, Callable[[Any], Kind | None], Any]], dialect: Dialect | None
) -> Kind | None:
    """What the first dialect says that knows the span; a scope is asked before for "other", after for "call"."""
    by_scope = dialect.kind_of_scope(span) if dialect is not None and dialect.kind_of_scope is not None else None
    if by_scope == "other" or not marks:
        return by_scope
    if len(marks) > 1:
        marks.sort(key=_position)
    for _, rule, raw in marks:
        if kind := rule(raw):
            return kind
    return by_scope


def _position(mark: tuple[int, Callable[[Any], Kind | None], Any]) -> int:
    return mark[0]


def _convert(readers: tuple[Reader, ...], raw: Any, fields: dict[str, Any], ranks: dict[str, int]) -> None:
    for field, rank, convert_value in readers:
        known = ranks.get(field)
        if (known is None or rank < known) and (value := convert_value(raw)) is not None:
            fields[field] = value
            ranks[field] = rank
