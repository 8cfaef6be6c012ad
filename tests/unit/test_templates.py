from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.problems import ProblemsFound
from registry.core.templates import TemplateSyntaxError, Variable, parse, render, variables

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
BRACES = st.text(st.sampled_from('{}\\ \nab_"é'))  # dense in what the syntax is made of
TEXTS = st.text() | BRACES
CHAT = [
    {"role": "system", "content": "You serve {{ shop }}."},
    {"type": "placeholder", "name": "history"},
    {"role": "user", "content": "{{ question }}, says {{ shop }}"},
]


def escaped(text: str) -> str:
    return text.replace("{{", "\\{{")


@given(TEXTS)
def test_render__escaped_text__comes_out_as_it_was(text: str) -> None:
    assert render(escaped(text), {}) == text


@given(st.lists(st.tuples(TEXTS, NAMES, st.text(" \t\n", max_size=3))), TEXTS, st.text())
def test_render__every_variable__is_replaced_by_its_value_verbatim(
    pieces: list[tuple[str, str, str]], last: str, value: str
) -> None:
    # A brace or backslash before a variable would belong to its braces, so the pieces end in a space.
    template = "".join(f"{escaped(text)} {{{{{space}{name}{space}}}}}" for text, name, space in pieces) + escaped(last)

    rendered = render(template, {name: value for _, name, _ in pieces})

    assert rendered == "".join(f"{text} {value}" for text, _, _ in pieces) + last


@given(BRACES)
def test_parse__any_text__is_read_whole_or_refused_with_a_place(text: str) -> None:
    try:
        parts = parse(text)
    except TemplateSyntaxError as error:
        assert str(error).startswith("line ")  # noqa: PT017 (either outcome is right)
    else:
        written = "".join(part if isinstance(part, str) else part.name for part in parts)
        assert len(written) <= len(text)
        assert "" not in parts


def test_parse__text_and_variables_in_order() -> None:
    assert parse("Dear {{name}},\n{{ order_text }}!") == ("Dear ", Variable("name"), ",\n", Variable("order_text"), "!")


@pytest.mark.parametrize("lonely", ["}}", "{ {", "{", "a } b }} c", "\\", "\\\\", "{ {x}"])
def test_parse__braces_that_open_nothing__are_text(lonely: str) -> None:
    assert parse(lonely) == (lonely,)


def test_variables__each_once_in_order_of_first_appearance() -> None:
    assert variables("{{ b }} {{ a }} {{ b }}") == ("b", "a")
    assert variables(CHAT) == ("shop", "history", "question")


def test_parse__json_with_doubled_braces__tells_where_and_to_write_a_backslash() -> None:
    template = 'Answer in JSON:\n  {{"order": {"id": 1}}}'

    with pytest.raises(TemplateSyntaxError) as refused:
        parse(template)

    assert str(refused.value) == (
        'line 2, column 3: expected a variable such as {{ name }}, got \'{{"order": {"id": 1}}}\'; '
        "write \\{{ for two literal braces, as in JSON"
    )


@pytest.mark.parametrize(
    "template", ["{{ a.b }}", "{{ }}", "{{ 1a }}", "{{ a b }}", "{{#if a}}", "{{ ä }}", "{{ a }", "{{"]
)
def test_parse__logic_or_half_a_variable__refused(template: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="line 1, column 1: expected a variable"):
        parse(template)


def test_parse__three_braces__tells_to_put_a_space() -> None:
    with pytest.raises(TemplateSyntaxError, match="a brace before a variable needs a space between"):
        parse("{{{ a }}}")


def test_render__nothing_is_escaped_or_rendered_again() -> None:
    assert render("{{ a }}", {"a": "<b>&{{ a }}"}) == "<b>&{{ a }}"


@pytest.mark.parametrize(
    ("value", "written"), [(3, "3"), (0.5, "0.5"), (True, "true"), (None, "null"), (["é", 1], '["é", 1]')]
)
def test_render__other_values_than_strings__as_json(value: Any, written: str) -> None:
    assert render("{{ a }}", {"a": value}) == written


def test_render__chat__placeholder_becomes_the_messages_given() -> None:
    history = [{"role": "user", "content": "{{ shop }}?"}, {"role": "assistant", "content": None, "tool_calls": []}]

    rendered = render(CHAT, {"shop": "Serinus", "history": history, "question": "When"})

    assert rendered == [
        {"role": "system", "content": "You serve Serinus."},
        *history,
        {"role": "user", "content": "When, says Serinus"},
    ]


def test_render__values_missing__all_named() -> None:
    with pytest.raises(ProblemsFound) as refused:
        render(CHAT, {"question": "When", "unknown": "is ignored"})

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [
        ("variables.shop", "required"),
        ("variables.history", "required"),
    ]


@pytest.mark.parametrize("history", ["hello", [1], [{"content": "no role"}], {"role": "user"}, None])
def test_render__placeholder_without_messages__refused(history: Any) -> None:
    with pytest.raises(ProblemsFound, match=r"variables\.history: expected a list of messages"):
        render(CHAT, {"shop": "Serinus", "history": history, "question": "When"})
