"""What may be published and what may be stored (registry.core.validation), and how the same content is recognised."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.content import Content, canonical, normalised
from registry.core.diffs import config_diff, template_diff
from registry.core.problems import Problem, ProblemsFound
from registry.core.validation import MAX_DEPTH, MOST_NAMED, MOST_TOLD, publishable, storable

NESTED: Any = "x"
for _ in range(MAX_DEPTH):
    NESTED = {"a": NESTED}

REFUSED = [
    (Content("poem", "Hi"), "type", "invalid"),
    (Content("text", ""), "template", "invalid"),
    (Content("text", " \n"), "template", "invalid"),
    (Content("text", [{"role": "user", "content": "Hi"}]), "template", "invalid"),
    (Content("text", 'As {{"json": 1}}'), "template", "template_syntax"),
    (Content("chat", "Hi"), "template", "invalid"),
    (Content("chat", []), "template", "invalid"),
    (Content("chat", ["Hi"]), "template[0]", "invalid"),
    (Content("chat", [{"role": "user"}]), "template[0]", "invalid"),
    (Content("chat", [{"role": "user", "content": "Hi", "name": "x"}]), "template[0]", "invalid"),
    (Content("chat", [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]), "template[0]", "invalid"),
    (Content("chat", [{"role": " ", "content": "Hi"}]), "template[0].role", "invalid"),
    (Content("chat", [{"role": "user", "content": "{{ a.b }}"}]), "template[0].content", "template_syntax"),
    (Content("chat", [{"type": "placeholder", "name": "a b"}]), "template[0].name", "invalid"),
    (Content("chat", [{"type": "placeholder", "name": "a"}] * 2), "template[1].name", "duplicate"),
    (
        Content("chat", [{"type": "placeholder", "name": "a"}, {"role": "user", "content": "{{ a }}"}]),
        "template[0].name",
        "duplicate",
    ),
    (Content("text", "Hi", []), "config", "invalid"),
    (Content("text", "Hi", None), "config", "invalid"),
    (Content("text", "Hi", {"a": [float("nan")]}), "config.a[0]", "invalid_number"),
    (Content("text", "Hi", {"a": float("inf")}), "config.a", "invalid_number"),
    (Content("text", "Hi\0"), "template", "invalid_text"),
    (Content("text", "Hi", {"\ud800": "\0"}), "config", "invalid_text"),
    (Content("text", "Hi", NESTED), "config" + ".a" * MAX_DEPTH, "too_deep"),
    (Content("text", "Hi", {}, "string"), "input_schema", "invalid"),
    (Content("text", "Hi", {}, {"type": "array"}), "input_schema.type", "invalid"),
    (
        Content("text", "Hi", {}, {"properties": {"a": {"type": "text"}}}),
        "input_schema.properties.a.type",
        "invalid_schema",
    ),
    (Content("text", "Hi", {}, {"properties": {"a b": {}}}), "input_schema.properties", "invalid"),
    (Content("text", "Hi", {}, {"required": ["a"]}), "input_schema.required", "unknown_variable"),
    (Content("text", "Hi {{ a }} {{ b }}", {}, {"properties": {"a": {}}}), "template", "unknown_variable"),
    (Content("text", "Hi", {}, None, True), "response_schema", "invalid"),
    (Content("text", "Hi", {}, None, {"pattern": "("}), "response_schema.pattern", "invalid_schema"),
    (
        Content("text", "Hi", {}, None, {"$schema": "http://json-schema.org/draft-03/schema"}),
        "response_schema.$schema",
        "invalid_schema",
    ),
    (Content("text", "Hi", {}, None, {"$schema": 7}), "response_schema.$schema", "invalid_schema"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("content", "field", "code"), REFUSED)
def test_publishable__wrong_content__names_the_field(content: Content, field: str, code: str) -> None:
    with pytest.raises(ProblemsFound) as refused:
        publishable(content)

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [(field, code)]


def test_publishable__several_problems__all_told_at_once() -> None:
    content = Content("chat", [{"role": "user", "content": "{{"}, 5], [], {"type": 1}, {"type": 1})

    with pytest.raises(ProblemsFound) as refused:
        publishable(content)

    assert [problem.field for problem in refused.value.problems] == [
        "template[0].content",
        "template[1]",
        "config",
        "input_schema.type",
        "response_schema.type",
    ]


@pytest.mark.parametrize(
    "dialect", ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"]
)
def test_publishable__everything_right__is_the_content(dialect: str) -> None:
    schema = {"$schema": dialect, "type": "object", "properties": {"a": {"type": "string"}, "history": {}}}
    template = [{"role": "system", "content": "{{ a }}"}, {"type": "placeholder", "name": "history"}]

    content = Content("chat", template, {"model": "m"}, schema, schema)

    assert publishable(content) == content


@pytest.mark.parametrize("unfinished", ["", "Answer as {{", "{{ unknown }}", [{"role": "user"}]])
def test_storable__unfinished_content__may_be_a_draft(unfinished: Any) -> None:
    content = Content("text", unfinished, {}, {"type": "nonsense"}, [])

    assert storable(content) == content


def test_sha256__is_that_of_the_documented_form() -> None:
    content = Content("text", "Grüße, {{ name }}\r\n", {"temperature": 1.0, "model": "m"})

    canonical_form = (
        '{"config":{"model":"m","temperature":1},"input_schema":null,"response_schema":null,'
        '"template":"Grüße, {{ name }}\\n","type":"text"}'
    )
    assert content.sha256 == hashlib.sha256(canonical_form.encode()).hexdigest()


@given(JSON, JSON)
def test_sha256__order_of_keys_line_ends_and_a_database_between__change_nothing(config: Any, schema: Any) -> None:
    content = normalised(Content("text", "a\nb", {"config": config, "more": 1}, schema))

    stored = Content(**json.loads(json.dumps(asdict(content))))
    other = Content("text", "a\r\nb", {"more": 1.0, "config": config}, schema)

    assert stored == content
    assert stored.sha256 == content.sha256 == other.sha256


@given(JSON, JSON)
def test_canonical__different_content__differs(config: Any, other: Any) -> None:
    one, two = Content("text", "a", {"config": config}), Content("text", "a", {"config": other})

    # Compared as JSON text, where 1 and true are two things and the order of keys is none.
    same = json.dumps(normalised(one).config, sort_keys=True) == json.dumps(normalised(two).config, sort_keys=True)
    assert (canonical(one) == canonical(two)) == same


def test_template_diff__text__is_unified_and_empty_without_changes() -> None:
    before, after = Content("text", "Be kind.\nBe brief."), Content("text", "Be kind.\nBe exact.")

    assert template_diff(before, after, names=("v1.0", "v1.1")) == (
        "--- v1.0\n+++ v1.1\n@@ -1,2 +1,2 @@\n Be kind.\n-Be brief.\n+Be exact."
    )
    assert template_diff(before, before, names=("v1.0", "v1.0")) == ""


def test_template_diff__chat__shows_roles_and_placeholders() -> None:
    before = Content("chat", [{"role": "system", "content": "Be kind."}])
    after = Content("chat", [{"role": "user", "content": "Be kind."}, {"type": "placeholder", "name": "history"}])

    diff = template_diff(before, after, names=("v1.0", "v2.0"))

    assert diff.splitlines()[3:] == ["-[system]", "+[user]", " Be kind.", "+", "+[placeholder history]"]


def test_config_diff__shows_config_and_schemas() -> None:
    before, after = Content("text", "a", {"model": "small"}), Content("text", "a", {"model": "large"}, {})

    diff = config_diff(before, after, names=("v1.0", "v1.1"))

    assert '-    "model": "small"' in diff
    assert '+    "model": "large"' in diff
    assert '+  "input_schema": {},' in diff


def problems_of(content: Content) -> tuple[Problem, ...]:
    with pytest.raises(ProblemsFound) as found:
        publishable(content)
    return found.value.problems


def test_publishable__thousands_of_unknown_variables__the_first_told_and_the_number_of_the_others() -> None:
    written = "".join(f"{{{{ used_{number} }}}}" for number in range(2000))
    schema = {"properties": {f"declared_{number}": {} for number in range(2000)}}

    problems = problems_of(Content("text", written, input_schema=schema))

    assert len(problems) == MOST_TOLD + 1
    assert "declared_0, declared_1," in problems[0].message
    assert f"declared_{MOST_NAMED - 1} and {2000 - MOST_NAMED} more" in problems[0].message
    assert problems[-1] == Problem("template", "unknown_variable", f"and {2000 - MOST_TOLD} more unknown variables")
    assert sum(len(problem.message) for problem in problems) < 50_000


def test_publishable__longest_names__cut_where_they_are_told() -> None:
    schema = {"properties": {"a" * 100_000: {}}}

    (problem,) = problems_of(Content("text", "{{ " + "b" * 100_000 + " }}", input_schema=schema))

    assert len(problem.message) < 500


@pytest.mark.parametrize(
    ("content", "last"),
    [
        (Content("chat", [{}] * 1000), Problem("template", "invalid", f"and {1000 - MOST_TOLD} more")),
        (
            Content("text", "Hi", input_schema={"required": [f"a{number}" for number in range(1000)]}),
            Problem("input_schema", "unknown_variable", f"and {1000 - MOST_TOLD} more"),
        ),
        (
            Content("text", "Hi", {"a": ["\0"] * 1000}),
            Problem("config", "invalid_text", f"and {1000 - MOST_TOLD} more"),
        ),
    ],
)
def test_publishable__thousands_of_problems__the_first_told_and_the_number_of_the_others(
    content: Content, last: Problem
) -> None:
    problems = problems_of(content)

    assert len(problems) == MOST_TOLD + 1
    assert problems[-1] == last
