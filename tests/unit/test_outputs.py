"""Outputs against response schemas: right, wrong, or not to be told; whatever a schema or an output does to it."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import validator_for

from observability.core.outputs import MOST_WORK_OF_ALL, are_valid

ORDER = {
    "type": "object",
    "properties": {"id": {"type": "string", "pattern": r"^ORD-\d+$"}, "items": {"type": "array", "uniqueItems": True}},
    "required": ["id"],
}


def messages(*texts: str, **part: Any) -> list[dict[str, Any]]:
    parts = [{"type": "text", "content": text} | part for text in texts]
    return [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]


def is_valid(text: str, schema: Any) -> bool | None:
    (found,) = are_valid([(messages(text), json.dumps(schema))])
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id": "ORD-7"}', True),
        (' {"id": "ORD-7", "items": [1, "1", true, [1], [2]]}\n', True),
        ('{"id": "7"}', False),
        ('{"id": "ORD-7\\n"}', False),  # `$` is the end of the text, as in JSON Schema's own dialect of patterns
        ('{"id": "ORD-7", "items": [[1], [1.0]]}', False),
        ("{}", False),
        ("[]", False),
        ("", False),
        ("The order is ORD-7.", False),
        ('```json\n{"id": "ORD-7"}\n```', False),
        ('{"id": "ORD-7"', False),
        ('{"id": "ORD-7", "weight": NaN}', False),
    ],
)
def test_output__against_a_schema(text: str, expected: bool) -> None:
    assert is_valid(text, ORDER) is expected


def test_output__as_json_text_and_in_parts__put_together() -> None:
    in_parts = messages('{"id": ', '"ORD-7"}')

    assert are_valid([(in_parts, json.dumps(ORDER)), (json.dumps(in_parts), json.dumps(ORDER))]) == [True, True]


@pytest.mark.parametrize(
    "output",
    [
        None,
        7,
        [],
        "not JSON",
        "[" * 50_000,
        [{"role": "assistant"}],
        [{"parts": "text"}],
        [{"parts": [{"type": "tool_call", "id": "1", "name": "look_up"}]}],
        [{"parts": [{"type": "text"}]}],
        messages("{}", type="reasoning"),
        messages(json.dumps("a" * 100_000)),
        json.dumps(messages(" " * 300_000)),
    ],
)
def test_output__no_text_or_too_much__not_checked(output: Any) -> None:
    assert are_valid([(output, "{}")]) == [None]


@pytest.mark.parametrize(
    "dialect",
    [
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-06/schema#",
    ],
)
def test_output__dialects_and_references_inside__checked(dialect: str) -> None:
    tree = {
        "$schema": dialect,
        "definitions": {"n": {"type": "integer"}},
        "properties": {"n": {"$ref": "#/definitions/n"}, "next": {"$ref": "#"}},
    }

    assert is_valid('{"n": 1, "next": {"n": 2.0}}', tree) is True
    assert is_valid('{"n": 1, "next": {"n": "2"}}', tree) is False


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "ab", "1"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"]),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": st.integers(-1, 2),
            "pattern": st.sampled_from(["^a", "b$", "a|1", "^[ab]+$"]),
            "uniqueItems": st.booleans(),
            "required": st.lists(st.sampled_from("abc"), unique=True),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)


@given(values, schemas)
def test_output__any_schema__as_jsonschema_itself_finds(value: Any, schema: Any) -> None:
    expected = validator_for(schema)(schema).is_valid(value)

    assert is_valid(json.dumps(value), schema) is expected


DEFS = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)} | {"a60": {"type": "integer"}}
LONG = "x" * 40_000


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("1", {"$ref": "https://example.com/order.json"}),
        ("1", {"$ref": "#"}),
        ("1", {"$ref": "#/$defs/a0", "$defs": DEFS}),
        ("1", {"x": {"type": 5}, "$ref": "#/x"}),
        ("{}", {"$ref": "https://json-schema.org/draft/2020-12/schema"}),
        ("{}", {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}),
        ('{"aaaa": 1}', {"patternProperties": {"^(a+)+$b": {}}}),
        ('"a"', {"pattern": "(?=a)a"}),
        (json.dumps([0] * 30_000), {"allOf": [{"items": {}}] * 1000}),
        (json.dumps({"a": [[LONG]]}), {"anyOf": [{"type": "string"}] * 1000}),
        (json.dumps([[{"a": n} for n in range(4000)]]), {"items": {"allOf": [{"uniqueItems": True}] * 1000}}),
        (json.dumps([list(range(9000))]), {"items": {"allOf": [{"enum": [[*range(8999), 0]]}, {"type": "array"}] * 2}}),
        ("[" * 5000 + "]" * 5000, {}),
        ("1" * 4000, {"multipleOf": 0.1}),
        ("1" * 5000, {}),
        ('"\\ud800"', {"pattern": "a"}),
        ("1", {"description": LONG * 3}),
    ],
)
def test_output__hostile_schema_or_output__not_checked_and_soon_over(text: str, schema: Any) -> None:
    began = time.process_time()

    found = is_valid(text, schema)

    assert found is None
    assert time.process_time() - began < 2  # the budget is some 0.2 s; a loaded machine is slower


def test_output__slow_pattern__linear() -> None:
    began = time.process_time()

    assert is_valid(json.dumps("a" * 50_000), {"pattern": "^(a+)+$b"}) is False
    assert time.process_time() - began < 2


def test_outputs__many_hostile_ones__share_a_budget() -> None:
    hostile = (messages("1"), json.dumps({"$ref": "#/$defs/a0", "$defs": DEFS}))
    began = time.process_time()

    found = are_valid([hostile] * 1000 + [(messages("1"), '{"type": "integer"}')])

    assert set(found) == {None}
    assert time.process_time() - began < 20 * MOST_WORK_OF_ALL / 1e6


def test_outputs__one_hostile_among_others__only_that_one_is_not_checked() -> None:
    fine = (messages("1"), '{"type": "integer"}')
    hostile = (messages("1"), json.dumps({"$ref": "#/$defs/a0", "$defs": DEFS}))

    assert are_valid([fine, hostile, fine]) == [True, None, True]
