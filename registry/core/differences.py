"""What would another template say otherwise? Message by message, and in each word by word.

Both may be unfinished, as drafts are (core.reading). All messages share one budget of steps (core.matching): those
that are compared after it is spent are shown whole, as deleted and inserted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from registry.core.matching import Budget, Matcher, TooMuch
from registry.core.reading import texts
from registry.core.word_diff import word_diff

Kind = Literal["same", "deleted", "inserted", "left out"]
Text = tuple[str, str]
"""A message's role and its words."""

MOST_MESSAGES = 1000
"""More are not compared."""
MOST_CHARACTERS = 20_000
"""Of what was deleted or inserted in one place."""
MOST_SHOWN = 200_000
"""Characters after which no further piece and no further message is shown."""
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
    found = _compared(before[:MOST_MESSAGES], after[:MOST_MESSAGES], Budget())
    return list(_shown(found, beyond=max(len(before), len(after), MOST_MESSAGES) - MOST_MESSAGES))


def _shown(found: Iterator[MessageDifference], *, beyond: int) -> Iterator[MessageDifference]:
    """Until so much is shown; of the others, with those beyond that were not even compared, only their number."""
    shown = 0
    for message in found:
        yield message
        shown += sum(len(text) for _, text in message.pieces)
        if shown >= MOST_SHOWN:
            break
    if left_out := sum(1 for _ in found) + beyond:
        yield MessageDifference("", "same", (("left out", f"{left_out} more messages"),))


def _compared(before: list[Text], after: list[Text], budget: Budget) -> Iterator[MessageDifference]:
    for stayed, olds, news in _aligned(before, after, budget):
        if stayed:
            yield from (_whole("same", text) for text in olds)
        else:
            yield from _replaced(olds, news, budget)


def _aligned(before: list[Text], after: list[Text], budget: Budget) -> Iterator[tuple[bool, list[Text], list[Text]]]:
    """Runs of messages that stayed, and what stood and stands between them."""
    try:
        with budget.half() as share:
            codes = Matcher(before, after, share).get_opcodes()
    except TooMuch:
        yield False, before, after
        return
    for tag, start, end, start_new, end_new in codes:
        yield tag == "equal", before[start:end], after[start_new:end_new]


def _replaced(before: Sequence[Text], after: Sequence[Text], budget: Budget) -> Iterator[MessageDifference]:
    """In their order, one for one where the roles are the same."""
    for old, new in zip_longest(before, after):
        if old and new and old[0] == new[0]:
            pieces = tuple(_shortened(word_diff(old[1], new[1], budget)))
            yield MessageDifference(old[0], "same" if old == new else "changed", pieces)
            continue
        if old:
            yield _whole("deleted", old)
        if new:
            yield _whole("inserted", new)


def _whole(kind: Literal["same", "deleted", "inserted"], text: Text) -> MessageDifference:
    role, words = text
    return MessageDifference(role, kind, tuple(_shortened([(kind, words)])))


def _shortened(pieces: Sequence[tuple[Kind, str]]) -> Iterator[tuple[Kind, str]]:
    shown = 0
    for kind, text in pieces:
        if shown >= MOST_SHOWN:
            yield "left out", "the rest is not shown"
            return
        for part in _shortened_piece(kind, text):
            shown += len(part[1])
            yield part


def _shortened_piece(kind: Kind, text: str) -> Iterator[tuple[Kind, str]]:
    if kind == "same" and len(text) > 3 * AROUND:
        yield kind, text[:AROUND]
        yield "left out", f"{len(text) - 2 * AROUND:,} characters are the same".replace(",", " ")
        yield kind, text[-AROUND:]
    elif kind != "same" and len(text) > MOST_CHARACTERS:
        yield kind, text[:MOST_CHARACTERS]
        yield "left out", f"{len(text) - MOST_CHARACTERS:,} more characters".replace(",", " ")
    else:
        yield kind, text
