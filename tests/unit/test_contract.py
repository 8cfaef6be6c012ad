import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.content import Content
from registry.core.contract import compare, optional_variables, required_variables, smallest_bump
from registry.core.validation import publishable
from registry.core.versions import Bump

TEXT = "Extract the order from: {{ order_text }}"
ORDER = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
BASE = Content(
    "text",
    TEXT + " {{ tone }}",
    {"model": "gpt-4o-mini"},
    {"properties": {"order_text": {"type": "string"}, "tone": {"type": ["string", "null"], "default": "polite"}}},
    ORDER,
)


def declaring(**variables: Any) -> Content:
    """BASE with these variables declared anew; None takes a declaration away."""
    properties = BASE.input_schema["properties"] | variables
    declared = {name: schema for name, schema in properties.items() if schema is not None}
    return replace(BASE, input_schema={"properties": declared})


def answering(schema: Any) -> Content:
    return replace(BASE, response_schema=schema)


CHANGES = [
    # What breaks a caller needs a major version.
    (replace(BASE, template=f"{BASE.template} {{{{ shop }}}}", input_schema=None), "variable_added", Bump.MAJOR),
    (
        replace(BASE, input_schema={"properties": BASE.declared | {"shop": {}}, "required": ["shop"]}),
        "variable_added",
        Bump.MAJOR,
    ),
    (replace(BASE, template="No variable", input_schema=None), "variable_removed", Bump.MAJOR),
    (declaring(tone={"type": ["string", "null"]}), "variable_became_required", Bump.MAJOR),
    (declaring(tone={"type": "string", "default": "polite"}), "variable_type_narrowed", Bump.MAJOR),
    (declaring(order_text={"type": "integer"}), "variable_type_narrowed", Bump.MAJOR),
    (declaring(order_text={"type": "string", "maxLength": 100}), "variable_type_narrowed", Bump.MAJOR),
    (replace(BASE, type="chat", template=[{"role": "user", "content": BASE.template}]), "type_changed", Bump.MAJOR),
    (answering(None), "response_schema_incompatible", Bump.MAJOR),
    (answering(ORDER | {"required": []}), "response_schema_incompatible", Bump.MAJOR),
    (answering(ORDER | {"properties": {"total": {"type": "string"}}}), "response_schema_incompatible", Bump.MAJOR),
    # What a caller need not know needs a minor one.
    (declaring(order_text={"type": "string", "default": ""}), "variable_became_optional", Bump.MINOR),
    (declaring(order_text={"type": ["string", "null"]}), "input_schema_changed", Bump.MINOR),
    (declaring(language={"type": "string", "default": "en"}), "optional_variable_added", Bump.MINOR),
    (replace(BASE, template=TEXT, input_schema=None), "optional_variable_removed", Bump.MINOR),
    (replace(BASE, template=BASE.template + " Be brief."), "template_changed", Bump.MINOR),
    (replace(BASE, template="{{ tone }} " + TEXT), "template_changed", Bump.MINOR),
    (replace(BASE, config={"model": "gpt-5"}), "config_changed", Bump.MINOR),
    (answering(ORDER | {"description": "An order"}), "response_schema_changed", Bump.MINOR),
    (answering(ORDER | {"required": ["total", "items"]}), "response_schema_changed", Bump.MINOR),
    # White space is for the model to see, and for nobody to adapt to.
    (replace(BASE, template=BASE.template.replace(" ", "\n ") + "\n"), "white_space_changed", Bump.PATCH),
    (replace(BASE, template=BASE.template.replace("{{ tone }}", "{{tone}}")), "white_space_changed", Bump.PATCH),
]


@pytest.mark.parametrize(("new", "code", "bump"), CHANGES)
def test_compare__each_kind_of_change__needs_its_bump(new: Content, code: str, bump: Bump) -> None:
    changes = compare(BASE, publishable(new))

    assert (code, bump) in {(change.code, change.bump) for change in changes}
    assert smallest_bump(changes) == bump


def test_compare__several_changes__those_that_break_callers_come_first_and_name_what() -> None:
    new = replace(BASE, template="{{ order_text }} {{ shop }}", input_schema=None, config={})

    changes = compare(BASE, new)

    assert [change.detail for change in changes] == [
        "the required variable shop was added",
        "the optional variable tone was removed",
        "the input schema changed",
        "the config changed",
        "the template's text changed",
    ]


def test_compare__first_input_schema__describes_what_was_there_and_breaks_nobody() -> None:
    base = replace(BASE, template=TEXT, input_schema=None)
    new = replace(base, input_schema={"properties": {"order_text": {"type": "string"}}})

    assert smallest_bump(compare(base, new)) == Bump.MINOR


def test_compare__a_word_cut_in_two__is_more_than_white_space() -> None:
    base, new = Content("text", "You are nowhere"), Content("text", "You are now here")

    assert smallest_bump(compare(base, new)) == Bump.MINOR


def test_compare__chat_roles_and_placeholders__are_words_too() -> None:
    base = Content("chat", [{"role": "system", "content": "Be kind."}, {"type": "placeholder", "name": "history"}])
    louder = replace(base, template=[{"role": "user", "content": "Be kind."}, base.template[1]])
    renamed = replace(base, template=[base.template[0], {"type": "placeholder", "name": "past"}])
    spaced = replace(base, template=[{"role": "system", "content": " Be\nkind. "}, base.template[1]])

    assert smallest_bump(compare(base, louder)) == Bump.MINOR
    assert smallest_bump(compare(base, renamed)) == Bump.MAJOR
    assert smallest_bump(compare(base, spaced)) == Bump.PATCH


def test_required_variables__used_or_listed_without_default() -> None:
    schema = {
        "properties": {"a": {}, "b": {"default": 1}, "c": {}, "d": {"default": 1}, "e": True},
        "required": ["c", "d"],
    }
    content = Content("text", "{{ a }} {{ b }}", {}, schema)

    assert required_variables(content) == {"a", "c"}
    assert optional_variables(content) == {"b", "d", "e"}


def test_reference_page__lists_every_change_with_its_step() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "contract.md").read_text(encoding="utf-8")

    rows = set(re.findall(r"\| `(\w+)` \| (major|minor|patch) \|", page))
    assert rows == {(code, str(bump)) for _, code, bump in CHANGES}


MUTATIONS: list[Callable[[Content], Content]] = [
    lambda content: replace(content, template=content.template + "\n"),
    lambda content: replace(content, template=content.template + " Be brief."),
    lambda content: replace(content, config=content.config | {"temperature": 0}),
    lambda content: _with_variable(content, "language", {"default": "en"}),
    lambda content: _with_variable(content, "shop", {}),
    lambda content: replace(content, response_schema=content.response_schema | {"maxProperties": 9}),
    lambda content: replace(content, response_schema=content.response_schema | {"required": []}),
]


def _with_variable(content: Content, name: str, schema: Any) -> Content:
    properties = content.input_schema["properties"] | {name: schema}
    return replace(content, template=f"{content.template} {{{{ {name} }}}}", input_schema={"properties": properties})


def _mutated(chosen: set[int]) -> Content:
    content = BASE
    for index in sorted(chosen):
        content = MUTATIONS[index](content)
    return publishable(content)


@given(st.sets(st.sampled_from(range(len(MUTATIONS)))), st.sets(st.sampled_from(range(len(MUTATIONS)))))
def test_smallest_bump__more_changes__never_lower(some: set[int], more: set[int]) -> None:
    few, many = (smallest_bump(compare(BASE, _mutated(chosen))) for chosen in (some, some | more))

    assert many.covers(few)


@given(st.sets(st.sampled_from(range(len(MUTATIONS)))))
def test_smallest_bump__same_content__is_a_patch_without_changes(chosen: set[int]) -> None:
    content = _mutated(chosen)

    assert compare(content, content) == ()
    assert smallest_bump(()) == Bump.PATCH
