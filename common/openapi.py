"""The words in which each app describes its part of the HTTP API, in its `openapi.py`.

config.openapi makes one document of all of them.

A description says what no code says: what an answer holds, and which refusals there are. What a form accepts is read
off the form. Schemas are JSON Schema (2020-12), written with the short names below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rest_framework.serializers import Serializer

Schema = Mapping[str, Any]
Body = Schema | type[Serializer[Any]]
"""A JSON Schema, or the serializer or form that it is read off."""

JSON = "application/json"
ANY: Schema = {}
TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
MONEY: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "US dollars, in plain digits"}
IF_MATCH: Mapping[str, Schema] = {
    "If-Match": {
        **TEXT,
        "pattern": r'^(\*|(W/)?"?[0-9]{1,18}"?)$',
        "description": "The revision that was read, as the ETag gives it; * is as none",
    }
}
ETAG: Mapping[str, Schema] = {"ETag": {**TEXT, "description": "The revision, for If-Match"}}


def ref(name: str) -> Schema:
    """The component of that name, of whichever app."""
    return {"$ref": f"#/components/schemas/{name}"}


def said(schema: Schema, description: str, **more: Any) -> Schema:
    return {**schema, "description": description, **more}


def nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def mapping(values: Schema) -> Schema:
    """An object with names that are not known beforehand."""
    return {"type": "object", "additionalProperties": values}


def members(optional: Mapping[str, Schema] | None = None, /, **always: Schema) -> Schema:
    """An object with these members; a `_` at the end, of a name that Python has taken, is left out."""
    named = {name.rstrip("_"): schema for name, schema in always.items()}
    return {"type": "object", "properties": {**named, **(optional or {})}, "required": list(named)}


def extended(base: Schema, **more: Schema) -> Schema:
    """All members of base, and these."""
    return members(**base["properties"], **more)


def loose(schema: Schema) -> Schema:
    """An object of a request that may also have members that nobody reads."""
    return {**schema, "additionalProperties": True}


def strict(schema: Schema) -> Schema:
    """An object of a request that may have no other members."""
    return {**schema, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address, beyond what its code says.

    summary: a line. status, answer: of success; None has no body. pages: the answer is a page of a list of `answer`.
    query: the form of its parameters, or a schema for each. body: of the request, or of each of up to `many`.
    headers: of the request, with what they are for. answer_headers: likewise of the answer. refusals: codes by status,
    beside those that every operation has. more_answers: other successes.
    scope: that the key needs; None where the view's own `scopes` tell it, "" where no key is needed.
    media: of request and answer, where it is not JSON alone. refused: the body of its refusals, where they are no
    problem documents.
    """

    summary: str
    answer: Body | None = None
    status: int = 200
    description: str = ""
    pages: bool = False
    query: type[Serializer[Any]] | Mapping[str, Schema] = field(default_factory=dict)
    body: Body | None = None
    many: int = 1
    example: Any = None
    headers: Mapping[str, Schema] = field(default_factory=dict)
    answer_headers: Mapping[str, Schema] = field(default_factory=dict)
    refusals: Mapping[int, Sequence[str]] = field(default_factory=dict)
    more_answers: Mapping[int, Body | None] = field(default_factory=dict)
    scope: str | None = None
    media: Sequence[str] = (JSON,)
    refused: Schema | None = None


Operations = Mapping[str, Operation]
"""By method and address, such as `GET /api/v1/prompts/{name}`."""
