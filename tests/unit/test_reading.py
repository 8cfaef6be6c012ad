"""How a template reads (registry.core.reading), and what it says otherwise than another (registry.core.differences)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core import differences, reading, templates
from registry.core.differences import template_differences
from registry.core.matching import Budget
from registry.core.reading import as_rendered, as_written

TEXT = st.text(alphabet="ab{}\\ \n_é")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.fixed_dictionaries({"role": inner, "content": inner})
        | st.fixed_dictionaries({"type": st.just("placeholder") | inner, "name": inner})
    ),
    max_leaves=12,
)


def text_of(messages: list[reading.Message]) -> list[tuple[str, str]]:
    return [(message.role, "".join(piece.text for piece in message.pieces)) for message in messages]


@given(TEXT)
def test_written__any_text__every_character_in_its_place(text: str) -> None:
    assert text_of(as_written(text)) == [("", text)]


@given(JSON, st.dictionaries(st.sampled_from("ab"), JSON))
def test_read__anything_that_json_holds__nothing_raises(template: Any, values: dict[str, Any]) -> None:
    as_written(template)
    as_rendered(template, values)
    reading.names(template)
    reading.texts(template)


@given(TEXT)
def test_rendered__whatever_renders__the_same_words(text: str) -> None:
    values = {"a": "x {{ b }}", "b": [1, "é"], "ab": None}
    try:
        expected = templates.render(text, values)
    except ValueError:  # no template, or one with other variables
        return

    assert text_of(as_rendered(text, values)) == [("", expected)]
    assert set(reading.names(text)) == set(templates.variables(text))


@given(st.lists(st.sampled_from(["{{ a }}", "{{ b }}", "é", "\\{{", "\n"]), min_size=1))
def test_length__of_what_rendering_makes(parts: list[str]) -> None:
    text, values = "".join(parts), {"a": "x {{ b }}", "b": [1, "é"]}
    chat = [{"role": "user", "content": text}, {"type": "placeholder", "name": "c"}, {"role": "user", "content": text}]

    assert templates.length(text, values) == len(templates.render(text, values))
    assert templates.length(chat, values | {"c": []}) == 2 * templates.length(text, values)


def test_rendered__no_template_yet__its_words_with_the_variables_that_can_be_made_out() -> None:
    (message,) = as_rendered("{{ a }} and {{", {"a": "x"})

    assert [(piece.text, piece.variable) for piece in message.pieces] == [("{{ a }}", "a"), (" and {{", None)]


@pytest.mark.parametrize(
    "template",
    [
        "x" * (reading.MOST_CHARACTERS + 1),
        "{{ a }}" * (reading.MOST_PIECES + 1),
        [{"role": "user", "content": "x"}] * (reading.MOST_MESSAGES + 1),
    ],
)
def test_read__more_than_is_shown__cut_and_said(template: Any) -> None:
    for messages in (as_written(template), as_rendered(template, {"a": "y"})):
        assert messages[-1].is_cut
        assert sum(len(text) for _, text in text_of(messages)) <= reading.MOST_CHARACTERS


def test_rendered__a_large_value_in_many_places__never_held_whole() -> None:
    (message,) = as_rendered("{{ a }}" * 100_000, {"a": "x" * 1_000_000})

    assert text_of([message]) == [("", "x" * reading.MOST_CHARACTERS)]


def sides(found: list[differences.MessageDifference]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What was said and what is said now."""
    old = [(m.role, "".join(t for kind, t in m.pieces if kind != "inserted")) for m in found if m.kind != "inserted"]
    new = [(m.role, "".join(t for kind, t in m.pieces if kind != "deleted")) for m in found if m.kind != "deleted"]
    return old, new


@given(JSON, JSON)
def test_differences__of_anything__hold_both_sides_whole(old: Any, new: Any) -> None:
    before, after = reading.texts(old), reading.texts(new)

    found = template_differences(old, new)

    assert sides(found) == (([], []) if before == after else (before, after))


def test_differences__of_chat__by_message_and_in_each_by_word() -> None:
    system = {"role": "system", "content": "Read the order"}
    user = {"role": "user", "content": "{{ order }}"}
    history = {"type": "placeholder", "name": "history"}

    found = template_differences([system, user], [{**system, "content": "Read every order"}, history, user])

    assert [(message.role, message.kind) for message in found] == [
        ("system", "changed"),
        ("placeholder", "inserted"),
        ("user", "same"),
    ]
    assert found[0].pieces == (("same", "Read "), ("deleted", "the"), ("inserted", "every"), ("same", " order"))


def test_differences__many_messages_that_all_changed__each_by_word() -> None:
    old = [{"role": "user", "content": f"a {number}"} for number in range(100)]
    new = [{"role": "user", "content": f"b {number}"} for number in range(100)]

    found = template_differences(old, new)

    assert {message.kind for message in found} == {"changed"}
    assert sides(found) == (reading.texts(old), reading.texts(new))
    assert found[7].pieces == (("deleted", "a"), ("inserted", "b"), ("same", " 7"))


def test_differences__messages_that_take_long__share_what_one_text_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(100_000)
    monkeypatch.setattr(differences, "Budget", lambda: budget)
    contents = [[" ".join(f"name{n} {value}{n}" for n in range(100)) for _ in range(20)] for value in "ab"]
    old, new = ([{"role": "user", "content": content} for content in side] for side in contents)

    found = template_differences(old, new)

    assert sides(found) == (reading.texts(old), reading.texts(new))
    assert len(found[0].pieces) > 100 > len(found[-1].pieces)


def test_differences__alternating_messages_beyond_the_budget__all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "Budget", lambda: Budget(1000))
    old = [{"role": "user", "content": "x"}, {"role": "tool", "content": "a"}] * 50
    new = [{"role": "user", "content": "x"}, {"role": "tool", "content": "b"}] * 50

    found = template_differences(old, new)

    assert sides(found) == (reading.texts(old), reading.texts(new))


def test_differences__of_more_messages_than_are_shown__their_number() -> None:
    long = [
        {"role": "user", "content": "x" * differences.MOST_CHARACTERS} for _ in range(differences.MOST_MESSAGES + 5)
    ]

    found = template_differences([], long)

    shown = differences.MOST_SHOWN // differences.MOST_CHARACTERS
    assert len(found) == shown + 1
    assert found[-1].pieces == (("left out", f"{len(long) - shown} more messages"),)


def test_differences__of_one_text_in_very_many_places__cut() -> None:
    old = "".join(f"{'same' * 200}{number} old{number}\n" for number in range(500))

    (found,) = template_differences(old, old.replace("old", "new"))

    assert found.pieces[-1] == ("left out", "the rest is not shown")
    assert sum(len(text) for _, text in found.pieces) < differences.MOST_SHOWN + 2000


def test_differences__long_stretches__left_out_with_their_length() -> None:
    around = differences.AROUND
    (found,) = template_differences("x " * 5000 + "old", "x " * 5000 + "new" + "y" * 30_000)

    assert found.pieces[1] == ("left out", f"{10_000 - 2 * around:,} characters are the same".replace(",", " "))
    assert found.pieces[-1][0] == "left out"
    assert sum(len(text) for _, text in found.pieces) < 2 * around + differences.MOST_CHARACTERS + 200
