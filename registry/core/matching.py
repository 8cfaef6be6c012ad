"""What do two sequences have in common? Found as difflib does, but never at a cost that nobody waits for.

Its steps grow with the square of what is compared, or faster, and how many they are shows only on the way. They are
therefore counted before they are taken, and none is taken that the budget has no room for.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from difflib import Match, SequenceMatcher
from itertools import accumulate
from typing import TypeVar

Piece = TypeVar("Piece", bound=Hashable)

MOST_STEPS = 5_000_000
"""Some tenths of a second."""


class TooMuch(Exception):
    """The comparison would take more steps than are left."""


class Budget:
    """The steps that are left for one or for several comparisons."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises TooMuch, and then nothing is spent."""
        if steps > self.left:
            raise TooMuch
        self.left -= steps

    @contextmanager
    def half(self) -> Iterator["Budget"]:
        """Half of what is left, for an attempt after which another may be made; what it leaves over comes back."""
        given = self.left // 2
        share = Budget(given)
        try:
            yield share
        finally:
            self.left -= given - share.left


class Matcher(SequenceMatcher[Piece]):
    """A SequenceMatcher that raises TooMuch in the place of its result. ignored: pieces that alone match nothing."""

    def __init__(
        self,
        old: Sequence[Piece],
        new: Sequence[Piece],
        budget: Budget,
        *,
        ignored: Callable[[Piece], bool] = lambda _: False,
    ) -> None:
        super().__init__(ignored, old, new, autojunk=False)
        self._budget = budget
        self._steps = _steps(old, [piece for piece in new if not ignored(piece)])

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        until = len(self._steps) - 1 if ahi is None else ahi
        self._budget.spend(self._steps[until] - self._steps[alo])
        return super().find_longest_match(alo, ahi, blo, bhi)


def _steps(old: Sequence[Piece], new: Sequence[Piece]) -> list[int]:
    """Up to each place of the old: one for each piece, and one for each of its places in the new."""
    times = Counter(new)
    return [0, *accumulate(1 + times[piece] for piece in old)]
