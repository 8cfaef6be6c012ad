"""The contract in words (registry.core.outline), of finished contents and of drafts."""

from typing import Any

import pytest

from registry.core.content import Content
from registry.core.contract import optional_variables, required_variables
from registry.core.outline import expected_answers, kind_of, variable_rows

SCHEMA = {
    "properties": {"name": {"type": "string"}, "limit": {"type": "integer", "default": 10}, "tone": {}},
    "required": ["tone"],
}


def test_rows__of_a_finished_content__as_the_bump_rule_sees_them() -> None:
    content = Content("text", "{{ name }} {{ limit }}", {}, SCHEMA)

    rows = variable_rows(content)

    assert {row.name for row in rows if row.need == "required"} == required_variables(content)
    assert {row.name for row in rows if row.need == "optional"} == optional_variables(content)
    assert [(row.name, row.kind, row.default, row.is_used) for row in rows] == [
        ("name", "string", "", True),
        ("limit", "integer", "10", True),
        ("tone", "any", "", False),
    ]


def test_rows__compared__what_is_new_otherwise_or_gone() -> None:
    base = Content("text", "{{ name }} {{ limit }} {{ old }}")

    rows = variable_rows(Content("text", "{{ name }} {{ x }}", {}, SCHEMA), base)

    assert [(row.name, row.need, row.what_changed) for row in rows] == [
        ("name", "required", ""),
        ("x", "unknown", "new"),
        ("limit", "optional", "was required"),
        ("tone", "required", "new"),
        ("old", "gone", "was required"),
    ]


@pytest.mark.parametrize("schema", [5, "x", [], {"properties": []}, {"properties": {"a": 7}, "required": "a"}, {}])
def test_rows__of_what_is_no_schema__nothing_raises(schema: Any) -> None:
    assert "a" in {row.name for row in variable_rows(Content("text", "{{ a }} {{", None, schema))}
    expected_answers(schema)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "number"}, "b": {}}, "required": ["a"]},
            ["a: number", "b: any, may be missing"],
        ),
        ({"type": ["string", "null"]}, ["string or null"]),
        ({"enum": ["yes", 1]}, ['one of "yes", 1']),
        ({}, ["any"]),
        (None, []),
    ],
)
def test_answers__what_the_schema_demands(schema: Any, words: list[str]) -> None:
    assert expected_answers(schema) == words


def test_kind__of_many_choices__the_first_of_them() -> None:
    assert kind_of({"enum": list(range(1000))}).count(",") == 19
