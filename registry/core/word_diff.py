"""What changed between two texts, word by word: how people read a changed prompt."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby, takewhile
from operator import eq
from typing import Literal

from registry.core.matching import Budget, Matcher, TooMuch

Kind = Literal["same", "deleted", "inserted"]
Span = tuple[str, str]
"""What stands in the old and in the new text between two places that correspond."""

WORDS = re.compile(r"\w+|\s+|[^\w\s]")
LINES = re.compile(r"[^\n]*\n|[^\n]+")


WAYS = ((WORDS,), (LINES, WORDS), (LINES,))
"""Ways to part two texts, the finest first: by words, by lines and those that differ by words, by lines alone."""


def word_diff(old: str, new: str, budget: Budget | None = None) -> list[tuple[Kind, str]]:
    """The pieces in order. Same and deleted ones make up the old text, same and inserted ones the new text.

    Of texts that are too much for the budget only the lines that differ are compared word by word, or, if these are
    still too much, not at all.
    """
    budget, spans = budget or Budget(), _trimmed(old, new)
    for ways in WAYS:
        with suppress(TooMuch), budget.half() as share:
            return _joined(_parted(spans, ways, share))
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


def _parted(spans: Iterable[Span], ways: Iterable[re.Pattern[str]], budget: Budget) -> Iterable[Span]:
    for pieces in ways:
        spans = list(_finer(spans, pieces, budget))
    return spans


def _finer(spans: Iterable[Span], pieces: re.Pattern[str], budget: Budget) -> Iterator[Span]:
    """Spans that differ, parted by the pieces that both have, of which white space alone is none."""
    for old, new in spans:
        if old == new:
            yield old, new
            continue
        before, after = pieces.findall(old), pieces.findall(new)
        matcher = Matcher(before, after, budget, ignored=str.isspace)
        for _, start, end, start_new, end_new in matcher.get_opcodes():
            yield "".join(before[start:end]), "".join(after[start_new:end_new])


def _joined(spans: Iterable[Span]) -> list[tuple[Kind, str]]:
    """Neighbours of one kind as one piece, without empty ones."""
    parts: list[tuple[Kind, str]] = []
    for old, new in spans:
        parts += [("same", old)] if old == new else [("deleted", old), ("inserted", new)]
    filled = groupby((part for part in parts if part[1]), key=lambda part: part[0])
    return [(kind, "".join(text for _, text in group)) for kind, group in filled]
