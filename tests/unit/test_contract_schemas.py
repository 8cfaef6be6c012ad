"""registry.core.schema_compatibility against its own promise, and against the validator of the jsonschema package."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from registry.core.schema_compatibility import MAX_NESTING, obstacles

WITHIN: list[tuple[Any, Any]] = [
    ({"type": "integer"}, {"type": "number"}),
    ({"type": "string"}, {"type": ["string", "null"]}),
    ({"type": "string", "minLength": 2}, {"type": "string"}),
    ({"type": "string"}, {"minimum": 5}),  # about numbers only
    ({"minLength": 3, "maxLength": 5}, {"minLength": 2, "maxLength": 9}),
    ({"minimum": 5}, {"minimum": 4}),
    ({"exclusiveMinimum": 5}, {"minimum": 5}),
    ({"minimum": 6}, {"exclusiveMinimum": 5}),
    ({"maximum": 4, "exclusiveMaximum": 9}, {"exclusiveMaximum": 5}),
    ({"enum": ["a", "b"]}, {"enum": ["b", "a", "c"]}),
    ({"const": "a"}, {"enum": ["a"], "type": "string"}),
    ({"items": {"type": "integer"}}, {"items": {"type": "number"}}),
    ({"type": "array", "minItems": 1}, {"type": "array"}),
    ({"required": ["a", "b"]}, {"required": ["a"]}),
    ({"properties": {"a": {"type": "integer"}, "b": {}}}, {"properties": {"a": {"type": "number"}}}),
    ({"additionalProperties": {"type": "integer"}}, {"properties": {"a": {"type": "integer"}}}),
    ({"additionalProperties": False}, {"properties": {"a": {"type": "integer"}}}),
    ({"additionalProperties": False}, {"properties": {"a": {}}, "additionalProperties": False}),
    ({"pattern": "^a", "format": "email"}, {"pattern": "^a"}),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["string", "null"]}),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
    ({"type": "string"}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
    ({"type": "string", "description": "new"}, {"type": "string", "title": "old", "default": ""}),
    (False, {"type": "string"}),
    ({"type": "string"}, True),
    ({"if": {"type": "string"}, "then": {"minLength": 1}}, {"if": {"type": "string"}, "then": {"minLength": 1}}),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}, {"type": "number"}),
    ({"type": "integer"}, {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "number"}}}),
    ({"allOf": [{"$ref": "#/definitions/A"}], "definitions": {"A": {"const": 1}}}, {"type": "integer"}),
]

BEYOND: list[tuple[Any, Any, str]] = [
    ({"type": "number"}, {"type": "integer"}, "$: may be number, where only integer is expected"),
    ({}, {"type": "string"}, "$: may be of any type, where only string is expected"),
    ({"type": "string"}, False, "$: must not be present"),
    ({"enum": ["a", "c"]}, {"enum": ["a", "b"]}, '$: may be "c", where enum allows only "a", "b"'),
    ({"type": "string"}, {"const": "a"}, '$: may be any value, where const allows only "a"'),
    ({"const": 1}, {"const": True}, "$: may be 1, where const allows only true"),
    ({"maxItems": 5}, {"maxItems": 4}, "$: maxItems may be more than 4"),
    ({"minLength": 1}, {"minLength": 2}, "$: minLength may be less than 2"),
    ({"minimum": 5}, {"exclusiveMinimum": 5}, "$: may be beyond the exclusiveMinimum of 5"),
    ({"maximum": 5}, {"maximum": 4}, "$: may be beyond the maximum of 4"),
    ({"properties": {"a": {}}}, {"properties": {"a": {}}, "required": ["a"]}, "$.a: may be missing"),
    ({}, {"properties": {"a": {"type": "string"}}}, "$.a: may be of any type"),
    ({"properties": {"b": {}}}, {"additionalProperties": False}, "$.b: must not be present"),
    ({"properties": {}}, {"additionalProperties": {"type": "null"}}, "$.*: may be of any type"),
    (
        {"patternProperties": {"^a": {}}, "additionalProperties": False},
        {"patternProperties": {"^a": {}}, "properties": {"a": {"const": 1}}},
        "$.a: may be any value, where const allows only 1",
    ),
    ({"items": {"type": "string"}}, {"items": {"type": "null"}}, "$[]: may be string, where only null is expected"),
    ({"type": "string"}, {"pattern": "^a"}, "$: cannot be shown compatible: pattern is not the same"),
    ({"type": "null"}, {"oneOf": [{"type": "null"}]}, "$: cannot be shown compatible: oneOf is not the same"),
    ({"contains": {}}, {"minContains": 2}, "$: cannot be shown compatible: the keyword minContains is not understood"),
    ({"type": "null"}, {"anyOf": [{"type": "string"}]}, "$: cannot be shown to stay within one of the 1 alternatives"),
    ({}, {"$ref": "#/$defs/A", "minLength": 1, "$defs": {"A": {}}}, "$: minLength may be less than 1"),
    ({"$ref": "https://example.com/other"}, {"type": "null"}, "the reference https://example.com/other"),
    ({"$ref": "#/properties/a", "properties": {"a": {}}}, {"type": "null"}, "the reference #/properties/a"),
    ({"$ref": "#"}, {"type": "null"}, "references that lead nowhere"),
    ({"properties": {"a": {"$id": "x", "$ref": "#"}}}, {"properties": {"a": {"const": 1}}}, "$id inside of a schema"),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, {"type": "null"}, "the dialect changed"),
    ({"type": "array", "items": [{}]}, {"items": {"type": "null"}}, "items as a list differ"),
    (
        {"not": {"$ref": "#/$defs/A"}, "$defs": {"A": {"const": 1}}},
        {"not": {"$ref": "#/$defs/A"}, "$defs": {"A": {"const": 2}}},
        "not is not the same",
    ),
    (
        {"properties": {"a": {}}, "unevaluatedProperties": False},
        {"unevaluatedProperties": False},
        "unevaluatedProperties is not understood",
    ),
    ({"$dynamicRef": "#a"}, {"$dynamicRef": "#a"}, "the keyword $dynamicRef is not understood"),
]


@pytest.mark.parametrize(("inner", "outer"), WITHIN)
def test_obstacles__within__none(inner: Any, outer: Any) -> None:
    assert obstacles(inner=inner, outer=outer) == []


@pytest.mark.parametrize(("inner", "outer", "reason"), BEYOND)
def test_obstacles__beyond_or_not_understood__says_why(inner: Any, outer: Any, reason: str) -> None:
    found = obstacles(inner=inner, outer=outer)

    assert any(reason in obstacle for obstacle in found), found


def test_obstacles__schemas_that_refer_to_themselves__are_compared_once() -> None:
    def tree(leaf: str) -> Any:
        children = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
        node = {"type": "object", "properties": {"value": {"type": leaf}, "children": children}}
        return {"$ref": "#/$defs/Node", "$defs": {"Node": node}}

    assert obstacles(inner=tree("integer"), outer=tree("number")) == []
    assert obstacles(inner=tree("number"), outer=tree("integer")) == [
        "$.value: may be number, where only integer is expected"
    ]


def test_obstacles__too_deep_or_too_many_alternatives__gives_up_instead_of_working_for_ever() -> None:
    deep: Any = {"type": "string"}
    for _ in range(MAX_NESTING + 1):
        deep = {"items": deep}

    def wide(leaf: str) -> Any:
        schema: Any = {"type": leaf}
        for _ in range(12):  # 2 to the power of 24 pairs to walk through
            schema = {"anyOf": [{"items": schema}, {"items": schema}]}
        return schema

    assert "too large to compare" in obstacles(inner=deep, outer=deep)[0]
    assert "too large to compare" in obstacles(inner=wide("string"), outer=wide("null"))[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.sampled_from([0.5, 2.5]) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
SMALL = st.integers(0, 3)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keywords = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": SMALL,
        "exclusiveMaximum": SMALL,
        "minLength": SMALL,
        "maxItems": SMALL,
        "minProperties": SMALL,
        "pattern": st.sampled_from(["a", "^b"]),
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=1),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b"]),
    }
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


# Definitions hold no references, so that none leads back to itself.
PLAIN = st.booleans() | st.fixed_dictionaries({}, optional={"type": TYPES, "enum": st.lists(VALUES, min_size=1)})
SCHEMAS = st.builds(
    lambda schema, a, b: {**schema, "$defs": {"a": a, "b": b}},
    st.recursive(st.booleans() | st.just({}), _schemas, max_leaves=8).filter(lambda schema: isinstance(schema, dict)),
    PLAIN,
    PLAIN,
)


@settings(max_examples=300)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=5, max_size=20), st.data())
def test_obstacles__none_found__every_value_of_inner_is_one_of_outer(
    inner: Any, outer: Any, values: list[Any], data: st.DataObject
) -> None:
    # Two schemas drawn apart are seldom comparable: half of the time the outer is the inner with something left out.
    if data.draw(st.booleans()):
        kept = data.draw(st.sets(st.sampled_from(sorted(inner))))
        outer = {key: inner[key] for key in kept | {"$defs"}}

    if obstacles(inner=inner, outer=outer) == []:
        allowed = [value for value in values if Draft202012Validator(inner).is_valid(value)]
        assert all(Draft202012Validator(outer).is_valid(value) for value in allowed)
