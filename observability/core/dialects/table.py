"""What a dialect is: the table that says where an instrumentation library writes what we want to know."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from observability.core import conversions as read
from observability.core.otlp import Span

Kind = Literal["call", "embedding", "other"]

SPAN = ""
RESOURCE = "resource"
ASSIGNMENT = "serinus.assignment"  # a span event with the same attributes: it survives the 128-attribute limit
EXCEPTION = "exception"


class Source(NamedTuple):
    """An attribute that may hold a value: of the span itself, of its RESOURCE, or of its first event of a name.

    parse: for a container, a structure written as text, how it is read; `path` leads to the value inside. A container
    is opened last, only of a call, and only where no source before it tells the field.
    """

    key: str
    convert: Callable[[Any], Any] = read.text
    at: str = SPAN
    parse: Callable[[Any], Any] | None = None
    path: tuple[str | int, ...] = ()


class Family(NamedTuple):
    """Attributes with a common prefix that hold one structure: `gen_ai.prompt.0.content`, `gen_ai.prompt.1.content`."""

    field: str
    prefix: str


Table = Mapping[str, Sequence[Source]]


class Dialect(NamedTuple):
    """How one library speaks.

    name: as people know it. fields: the sources of each canonical field, the first with a value decides. kinds: the
    attributes that tell whether a span of it is a call, and how; None leaves it to the next dialect. scopes: the
    first words of the names of its instrumentation scopes, where kind_of_scope and mend are needed: they say of a span
    by its scope what kind it is, and what no table can about what was read. content: where texts of prompts and answers
    stand, read only when texts are stored. first_token_events: the span events that mark a stream's first chunk.
    """

    name: str
    fields: Table = {}
    kinds: Mapping[str, Callable[[Any], Kind | None]] = {}
    scopes: Sequence[str] = ()
    kind_of_scope: Callable[[Span], Kind | None] | None = None
    mend: Callable[[Span, dict[str, Any]], None] | None = None
    content: Table = {}
    families: Sequence[Family] = ()
    first_token_events: Sequence[str] = ()


def stamped(prefix: str, parse: Callable[[Any], Any] | None = None) -> dict[str, list[Source]]:
    """The attributes of an assignment (`trace` of GET /prompts/{name}) with what a library puts before its metadata.

    parse: for a library that writes every value as text of its own kind.
    """
    return {
        field: [Source(prefix + key, convert, parse=parse)]
        for field, key, convert in (
            ("prompt_name", "gen_ai.prompt.name", read.text),
            ("prompt_version", "gen_ai.prompt.version", read.text),
            ("exposure", "serinus.exposure", read.exposure),
            ("label", "serinus.label", read.text),
            ("user", "user.id", read.identity),
            ("session", "session.id", read.identity),
            ("feature", "feature", read.text),
        )
    }


def joined(*tables: Table) -> dict[str, list[Source]]:
    """The tables as one, in their order."""
    fields = dict.fromkeys(field for table in tables for field in table)
    return {field: [source for table in tables for source in table.get(field, ())] for field in fields}
