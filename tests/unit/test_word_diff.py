"""What changed between two texts, word by word."""

from contextlib import suppress
from difflib import Match, SequenceMatcher
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.matching import MOST_STEPS, Budget, TooMuch
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


def test_prose__a_word_in_ten_changed__word_by_word() -> None:
    dice = Random(7)
    words = [dice.choice(["the", "of", "to", "and", *[f"word{number}"] * 20]) for number in range(1200)]
    edited = [word if number % 10 else f"word{number}ly" for number, word in enumerate(words)]

    parts = word_diff(" ".join(words), " ".join(edited))

    assert len(parts) > 100


def pairs(count: int, value: str, between: str = " ") -> str:
    """A name that stays before a value that does not."""
    return between.join(f"name{number}{between}{value}{number}" for number in range(count))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x y " * 100_000, "y z " * 100_000),
        (pairs(4000, "a"), pairs(4000, "b")),
        (pairs(4000, "a", "\n"), pairs(4000, "b", "\n")),
        (pairs(4000, "a"), pairs(4000, "a ") + "b"),
    ],
    ids=["few words often", "many words once", "many lines once", "white space"],
)
def test_texts_that_take_long__given_up_after_so_many_steps(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0

    def counted(matcher: Any, alo: int, ahi: int, blo: int, bhi: int) -> Match:
        nonlocal taken
        taken += sum(1 + len(matcher.b2j.get(piece, ())) for piece in matcher.a[alo:ahi])
        return find(matcher, alo, ahi, blo, bhi)

    find = SequenceMatcher.find_longest_match
    monkeypatch.setattr(SequenceMatcher, "find_longest_match", counted)

    parts = word_diff(old, new)

    assert taken <= MOST_STEPS
    assert "".join(text for kind, text in parts if kind != "deleted") == new


def test_several_texts__share_one_budget() -> None:
    budget = Budget(100_000)

    found = [word_diff(pairs(100, "a"), pairs(100, "b"), budget) for _ in range(10)]

    assert 0 <= budget.left < 10_000
    assert (len(found[0]), len(found[-1])) == (300, 3)


def test_budget__half_of_it_spent_in_vain__the_other_is_left() -> None:
    budget = Budget(100)

    with suppress(TooMuch), budget.half() as share:
        share.spend(20)
        share.spend(31)

    assert budget.left == 80
