"""What changed between two texts, word by word: how people read a changed prompt."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, takewhile
from operator import eq
from typing import Literal

Kind = Literal["same", "deleted", "inserted"]
Span = tuple[str, str]
"""What stands in the old and in the new text between two places that correspond."""

MOST_PAIRS = 50_000
"""So many pairs of equal pieces are looked at, at most, which is what comparing costs: some tenths of a second."""

WORDS = re.compile(r"\w+|\s+|[^\w\s]")
LINES = re.compile(r"[^\n]*\n|[^\n]+")


def word_diff(old: str, new: str) -> list[tuple[Kind, str]]:
    """The pieces in order. Same and deleted ones make up the old text, same and inserted ones the new text.

    Of texts that are too long for it only the lines that differ are compared word by word, or, if these are still too
    much, not at all.
    """
    spans = _trimmed(old, new)
    if _cost(spans, WORDS) > MOST_PAIRS >= _cost(spans, LINES):
        spans = list(_finer(spans, LINES))
    if _cost(spans, WORDS) <= MOST_PAIRS:
        spans = list(_finer(spans, WORDS))
    return _joined(spans)


def _trimmed(old: str, new: str) -> list[Span]:
    """Three spans: the words that both begin with, all that lies between, the words that both end with."""
    before, after = WORDS.findall(old), WORDS.findall(new)
    start = _in_common(before, after)
    end = _in_common(before[start:][::-1], after[start:][::-1])
    until, until_new = len(before) - end, len(after) - end
    return [
        ("".join(before[:start]), "".join(after[:start])),
        ("".join(before[start:until]), "".join(after[start:until_new])),
        ("".join(before[until:]), "".join(after[until_new:])),
    ]


def _in_common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many pieces both begin with."""
    return sum(takewhile(bool, map(eq, first, second)))


def _cost(spans: Iterable[Span], pieces: re.Pattern[str]) -> int:
    total = 0
    for old, new in spans:
        if old != new:
            times = Counter(pieces.findall(new))
            total += sum(times[piece] for piece in pieces.findall(old) if not piece.isspace())
    return total


def _finer(spans: Iterable[Span], pieces: re.Pattern[str]) -> Iterator[Span]:
    """Spans that differ, parted by the pieces that both have, of which white space alone is none."""
    for old, new in spans:
        if old == new:
            yield old, new
            continue
        before, after = pieces.findall(old), pieces.findall(new)
        for _, start, end, start_new, end_new in SequenceMatcher(
            str.isspace, before, after, autojunk=False
        ).get_opcodes():
            yield "".join(before[start:end]), "".join(after[start_new:end_new])


def _joined(spans: Iterable[Span]) -> list[tuple[Kind, str]]:
    """Neighbours of one kind as one piece, without empty ones."""
    parts: list[tuple[Kind, str]] = []
    for old, new in spans:
        parts += [("same", old)] if old == new else [("deleted", old), ("inserted", new)]
    filled = groupby((part for part in parts if part[1]), key=lambda part: part[0])
    return [(kind, "".join(text for _, text in group)) for kind, group in filled]
