"""Is everything that one JSON Schema allows also allowed by another? Answered on the safe side.

A structural comparison, not a proof system: when it finds no obstacle there is none; an obstacle may also be a keyword
that it does not understand. It validates no value and follows no reference out of the schema, so that a hostile
schema can neither reach the network nor run a slow pattern.
"""

import json
import math
from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.parse import unquote

# The dialects of JSON Schema that a version may be written in, and where each keeps what `$ref` refers to.
DIALECTS = {
    "https://json-schema.org/draft/2020-12/schema": ("$defs", "definitions"),
    "https://json-schema.org/draft/2019-09/schema": ("$defs", "definitions"),
    "http://json-schema.org/draft-07/schema": ("definitions",),
    "http://json-schema.org/draft-06/schema": ("definitions",),
}
ANNOTATIONS = {"$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description"} | {
    "examples", "readOnly", "title", "writeOnly",
}  # fmt: skip
# These only exclude values: one more in `inner` does no harm, one in `outer` must stand in `inner` word for word.
EXCLUDING = {"allOf", "contains", "dependentRequired", "format", "multipleOf", "not", "oneOf", "pattern"} | {
    "propertyNames", "uniqueItems",
}  # fmt: skip
COMPARED = {"type", "enum", "const", "items", "properties", "required", "additionalProperties", "anyOf", "$ref"}
LIMITS = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}
AT_LEAST = {"minLength": "string", "minItems": "array", "minProperties": "object"}
AT_MOST = {"maxLength": "string", "maxItems": "array", "maxProperties": "object"}
UNDERSTOOD = ANNOTATIONS | EXCLUDING | COMPARED | LIMITS | AT_LEAST.keys() | AT_MOST.keys()
# What these exclude depends on the keywords beside them, so that equal words prove nothing.
DEPENDENT = {"unevaluatedItems", "unevaluatedProperties"}
ALL_TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
MAX_COMPARISONS = 5_000
MAX_NESTING = 50


def dialect(schema: Any) -> str:
    """The address of the schema's dialect, by default the newest."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    return next(iter(DIALECTS)) if named is None else str(named).removesuffix("#")


def obstacles(*, inner: Any, outer: Any, inner_root: Any = None, outer_root: Any = None) -> list[str]:
    """Why something valid under `inner` might be invalid under `outer`; empty when nothing can be.

    The roots are what `#/…` references mean; by default the schemas themselves. Each reason begins with a path.
    """
    comparison = _Comparison(inner if inner_root is None else inner_root, outer if outer_root is None else outer_root)
    try:
        return list(comparison.of_everything(inner, outer))
    except _NotUnderstoodError as error:
        return [str(error)]


class _NotUnderstoodError(Exception):
    """The comparison has to give up."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: cannot be shown compatible: {what}")


class _Comparison:
    """One walk through two schemas at once. Every method answers why `inner` is not within `outer`."""

    def __init__(self, inner_root: Any, outer_root: Any) -> None:
        self.inner_root = inner_root
        self.outer_root = outer_root
        self.under_way: list[tuple[int, int]] = []
        self.comparisons = 0

    def of_everything(self, inner: Any, outer: Any) -> Iterator[str]:
        if dialect(self.inner_root) != dialect(self.outer_root):
            raise _NotUnderstoodError("$schema", "the dialect changed")
        return self.obstacles(inner, outer, "$")

    def obstacles(self, inner: Any, outer: Any, path: str) -> Iterator[str]:
        """Schemas that refer to themselves meet themselves again below: what is being shown may be assumed there."""
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS or len(self.under_way) > MAX_NESTING:
            raise _NotUnderstoodError(path, "too large to compare")
        inner = self._resolved(inner, self.inner_root, path, drop_siblings=True)
        outer = self._resolved(outer, self.outer_root, path, drop_siblings=False)
        pair = (id(inner), id(outer))
        if inner is False or pair in self.under_way:
            return
        if outer is False:
            yield f"{path}: must not be present"
            return
        self.under_way.append(pair)
        yield from self._alternatives(inner, outer, path)
        self.under_way.pop()

    def _resolved(self, schema: Any, root: Any, path: str, *, drop_siblings: bool) -> Any:
        """The schema itself, as a dict or False, in place of a reference to it or a list of one.

        Keywords beside a reference count or not, by dialect; leaving them out makes `inner` larger: the safe side.
        """
        for _ in range(MAX_NESTING):
            if schema is False:
                return False
            if schema is True:
                return {}
            if schema is not root and "$id" in schema:
                raise _NotUnderstoodError(path, "$id inside of a schema")
            keywords = schema.keys() - ANNOTATIONS
            if "$ref" in keywords and (drop_siblings or keywords == {"$ref"}):
                schema = _target(root, schema["$ref"], path)
            elif keywords == {"allOf"} and len(schema["allOf"]) == 1:
                schema = schema["allOf"][0]
            else:
                return schema
        raise _NotUnderstoodError(path, "references that lead nowhere")

    def _alternatives(self, inner: Any, outer: Any, path: str) -> Iterator[str]:
        """`inner` as a whole is within `outer`, or each of the alternatives that it names is."""
        found = list(self._keywords(inner, outer, path))
        branches = inner.get("anyOf") or inner.get("oneOf")
        if found and branches:
            found = list(chain.from_iterable(self.obstacles(branch, outer, path) for branch in branches))
        yield from found

    def _keywords(self, inner: Any, outer: Any, path: str) -> Iterator[str]:
        types = _types(inner)
        expected = _types(outer, declared_only=True)
        if extra := types - expected:
            may_be = "of any type" if types == ALL_TYPES else _listed(extra)
            yield f"{path}: may be {may_be}, where only {_listed(expected)} is expected"
            return
        yield from _not_understood(inner, outer, path)
        yield from _values(inner, outer, path)
        yield from _sizes(inner, outer, path, types)
        if types & {"integer", "number"}:
            yield from _limits(inner, outer, path)
        if "array" in types:
            yield from self._items(inner, outer, path)
        if "object" in types:
            yield from self._properties(inner, outer, path)
        if "$ref" in outer:
            yield from self.obstacles(inner, _target(self.outer_root, outer["$ref"], path), path)
        if "anyOf" in outer and not _same(inner, outer, "anyOf"):
            yield from self._any_of(inner, outer["anyOf"], path)

    def _any_of(self, inner: Any, branches: list[Any], path: str) -> Iterator[str]:
        if all(list(self.obstacles(inner, branch, path)) for branch in branches):
            yield f"{path}: cannot be shown to stay within one of the {len(branches)} alternatives of anyOf"

    def _items(self, inner: Any, outer: Any, path: str) -> Iterator[str]:
        if isinstance(inner.get("items"), list) or isinstance(outer.get("items"), list):
            if not _same(inner, outer, "items"):
                yield f"{path}: cannot be shown compatible: items as a list differ"
        elif "items" in outer:
            yield from self.obstacles(inner.get("items", True), outer["items"], f"{path}[]")

    def _properties(self, inner: Any, outer: Any, path: str) -> Iterator[str]:
        for name in sorted(set(outer.get("required", [])).difference(inner.get("required", []))):
            yield f"{path}.{name}: may be missing, where it is expected"
        described, expected = inner.get("properties", {}), outer.get("properties", {})
        others = inner.get("additionalProperties", True)
        for name, schema in expected.items():
            yield from self.obstacles(
                described.get(name, True if "patternProperties" in inner else others), schema, f"{path}.{name}"
            )
        if "additionalProperties" in outer:
            for name in sorted(described.keys() - expected.keys()):
                yield from self.obstacles(described[name], outer["additionalProperties"], f"{path}.{name}")
            yield from self.obstacles(others, outer["additionalProperties"], f"{path}.*")


def _target(root: Any, reference: str, path: str) -> Any:
    """What a reference means, if it is `#` or one such as `#/$defs/Item` (RFC 6901, in a URI's fragment)."""
    if reference == "#":
        return root
    for container in DIALECTS.get(dialect(root), ()):
        name = unquote(reference).removeprefix(f"#/{container}/").replace("~1", "/").replace("~0", "~")
        if reference.startswith(f"#/{container}/") and name in root.get(container, {}):
            return root[container][name]
    raise _NotUnderstoodError(path, f"the reference {reference}")


def _types(schema: Any, *, declared_only: bool = False) -> frozenset[str]:
    """The types that the schema allows; every integer is a number too."""
    named = schema.get("type")
    if named is None and not declared_only and (values := _enumerated(schema)) is not None:
        return frozenset(_type_of(value) for value in values)
    if named is None:
        return ALL_TYPES
    types = frozenset([named] if isinstance(named, str) else named)
    return types | {"integer"} if "number" in types else types


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _enumerated(schema: Any) -> list[Any] | None:
    """The only values that the schema can allow, or None when it does not list them."""
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")  # type: ignore[no-any-return]  # JSON


def _values(inner: Any, outer: Any, path: str) -> Iterator[str]:
    allowed = _enumerated(inner)
    for keyword in ("enum", "const"):
        if keyword not in outer:
            continue
        expected = {_written(value) for value in (outer["enum"] if keyword == "enum" else [outer["const"]])}
        if allowed is None:
            yield f"{path}: may be any value, where {keyword} allows only {_listed(expected)}"
        elif extra := {_written(value) for value in allowed} - expected:
            yield f"{path}: may be {_listed(extra)}, where {keyword} allows only {_listed(expected)}"


def _sizes(inner: Any, outer: Any, path: str, types: frozenset[str]) -> Iterator[str]:
    for keyword, type_ in AT_LEAST.items():
        if type_ in types and inner.get(keyword, 0) < outer.get(keyword, 0):
            yield f"{path}: {keyword} may be less than {outer[keyword]}"
    for keyword, type_ in AT_MOST.items():
        if type_ in types and keyword in outer and inner.get(keyword, outer[keyword] + 1) > outer[keyword]:
            yield f"{path}: {keyword} may be more than {outer[keyword]}"


def _limits(inner: Any, outer: Any, path: str) -> Iterator[str]:
    for inclusive, exclusive, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        # Each limit of a schema as (how far, whether the limit itself is out): of two, the larger is the stricter.
        kept = [(sign * inner[key], key == exclusive) for key in (inclusive, exclusive) if key in inner]
        for key in (inclusive, exclusive):
            if key in outer and (sign * outer[key], key == exclusive) > max(kept, default=(-math.inf, False)):
                yield f"{path}: may be beyond the {key} of {outer[key]}"


def _not_understood(inner: Any, outer: Any, path: str) -> Iterator[str]:
    for keyword in sorted(outer.keys() & EXCLUDING):
        if not _same(inner, outer, keyword):
            yield f"{path}: cannot be shown compatible: {keyword} is not the same"
    for keyword in sorted((inner.keys() | outer.keys()) - UNDERSTOOD):
        hopeless = keyword.startswith("$") or (keyword in DEPENDENT and keyword in outer)
        if hopeless or (keyword not in DEPENDENT and not _same(inner, outer, keyword)):
            yield f"{path}: cannot be shown compatible: the keyword {keyword} is not understood"


def _same(inner: Any, outer: Any, keyword: str) -> bool:
    """Both have the keyword with the same value, one that means the same in both: it refers to nothing else."""
    if keyword not in inner or keyword not in outer:
        return False
    written = _written(outer[keyword])
    return _written(inner[keyword]) == written and '"$ref"' not in written


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _listed(words: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(words))
