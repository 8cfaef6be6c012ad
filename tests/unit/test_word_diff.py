"""What changed between two texts, word by word."""

from itertools import pairwise
from random import Random
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.word_diff import Kind, word_diff

TEXTS = st.text(st.sampled_from("ab ,.\n\N{LATIN SMALL LETTER E WITH ACUTE}{}"), max_size=60)


def written(parts: list[tuple[Kind, str]]) -> str:
    """As [-deleted-] and [+inserted+]."""
    marks = {"same": "{}", "deleted": "[-{}-]", "inserted": "[+{}+]"}
    return "".join(marks[kind].format(text) for kind, text in parts)


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("Greet the customer.", "Greet the customer.", "Greet the customer."),
        ("Greet the customer.", "Greet every customer.", "Greet [-the-][+every+] customer."),
        ("Greet the customer.", "Greet the customer, please.", "Greet the customer[+, please+]."),
        ("one two three", "four five six", "[-one two three-][+four five six+]"),
        ("Say {{ name }}.", "Say {{ title }}.", "Say {{ [-name-][+title+] }}."),
        ("a\nb\n", "a\n\nb\n", "a[-\n-][+\n\n+]b\n"),
        ("", "new", "[+new+]"),
        ("old", "", "[-old-]"),
        ("", "", ""),
    ],
)
def test_change__parted_at_words(old: str, new: str, seen: str) -> None:
    assert written(word_diff(old, new)) == seen


@given(TEXTS, TEXTS)
def test_any_texts__both_can_be_put_together_again(old: str, new: str) -> None:
    parts = word_diff(old, new)

    assert "".join(text for kind, text in parts if kind != "inserted") == old
    assert "".join(text for kind, text in parts if kind != "deleted") == new
    assert all(text for _, text in parts)
    assert all(first != second for (first, _), (second, _) in pairwise(parts))


def test_long_text__lines_that_changed__still_word_by_word() -> None:
    dice = Random(7)
    lines = [" ".join(dice.choice(["the", "a", "of", "and", "to", "you"]) for _ in range(12)) for _ in range(500)]
    edited = [line if number % 50 else line.replace("you", "we") for number, line in enumerate(lines)]

    parts = word_diff("\n".join(lines), "\n".join(edited))

    assert {word for kind, text in parts if kind == "inserted" for word in text.split()} == {"we"}


def test_huge_texts_that_differ_everywhere__told_as_a_whole_in_little_time() -> None:
    old, new = "x y " * 100_000, "y z " * 100_000

    since = perf_counter()
    parts = word_diff(old, new)

    assert [kind for kind, _ in parts] == ["deleted", "inserted", "same"]
    assert perf_counter() - since < 5
