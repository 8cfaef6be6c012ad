"""What would another template say otherwise? Message by message, and in each word by word.

Both may be unfinished, as drafts are (core.reading).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Literal

from registry.core.reading import texts
from registry.core.word_diff import word_diff

Kind = Literal["same", "deleted", "inserted", "left out"]
Text = tuple[str, str]
"""A message's role and its words."""

MOST_COMPARED = 10
"""So many messages are compared word by word, since each may take a while; others that differ are shown whole."""
MOST_MESSAGES = 1000
"""More are not compared."""
MOST_CHARACTERS = 20_000
"""Of what was deleted or inserted in one place."""
AROUND = 400
"""Characters of what is the same that are shown before and after a difference."""


@dataclass(frozen=True, slots=True)
class MessageDifference:
    """role: empty for a text. kind: of the whole message; `changed` in part, with the pieces of both."""

    role: str
    kind: Literal["same", "deleted", "inserted", "changed"]
    pieces: tuple[tuple[Kind, str], ...]


def template_differences(old: Any, new: Any) -> list[MessageDifference]:
    """Empty where both say the same."""
    before, after = texts(old), texts(new)
    if before == after:
        return []
    compared: list[MessageDifference] = []
    for stayed, olds, news in _aligned(before[:MOST_MESSAGES], after[:MOST_MESSAGES]):
        if stayed:
            compared += [_whole("same", text) for text in olds]
        else:
            left = MOST_COMPARED - sum(message.kind == "changed" for message in compared)
            compared += _replaced(olds, news, left)
    return compared


def text_difference(old: str, new: str) -> tuple[tuple[Kind, str], ...]:
    """Word by word, long stretches of what is the same left out."""
    return tuple(_shortened(word_diff(old, new)))


def _aligned(before: list[Text], after: list[Text]) -> Iterator[tuple[bool, list[Text], list[Text]]]:
    """Runs of messages that stayed, and what stood and stands between them."""
    for tag, start, end, start_new, end_new in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        yield tag == "equal", before[start:end], after[start_new:end_new]


def _replaced(before: Sequence[Text], after: Sequence[Text], left: int) -> Iterator[MessageDifference]:
    """In their order, one for one where the roles are the same."""
    for index, (old, new) in enumerate(zip_longest(before, after)):
        if old and new and old[0] == new[0] and index < left:
            yield MessageDifference(old[0], "changed", text_difference(old[1], new[1]))
            continue
        if old:
            yield _whole("deleted", old)
        if new:
            yield _whole("inserted", new)


def _whole(kind: Literal["same", "deleted", "inserted"], text: Text) -> MessageDifference:
    role, words = text
    return MessageDifference(role, kind, tuple(_shortened([(kind, words)])))


def _shortened(pieces: Sequence[tuple[Kind, str]]) -> Iterator[tuple[Kind, str]]:
    for kind, text in pieces:
        if kind == "same" and len(text) > 3 * AROUND:
            yield kind, text[:AROUND]
            yield "left out", f"{len(text) - 2 * AROUND:,} characters are the same".replace(",", " ")
            yield kind, text[-AROUND:]
        elif kind != "same" and len(text) > MOST_CHARACTERS:
            yield kind, text[:MOST_CHARACTERS]
            yield "left out", f"{len(text) - MOST_CHARACTERS:,} more characters".replace(",", " ")
        else:
            yield kind, text
