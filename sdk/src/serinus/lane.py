"""The items that wait for one address, and how many of them make a request. Its owner has the lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

MOST_AT_ONCE = 500  # items in one request; the server takes 1000
MOST_BYTES_AT_ONCE = 1024 * 1024


class Lane:
    """The items for one address, oldest first; each has a place, counted from 1."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.items: deque[bytes] = deque()
        self.bytes = self.done = self.failures = 0
        self.ready_at = 0.0  # when its next request may be made
        self.error: str | None = None  # why its last one failed

    @property
    def is_full(self) -> bool:
        return len(self.items) >= MOST_AT_ONCE or self.bytes >= MOST_BYTES_AT_ONCE

    @property
    def last_place(self) -> int:
        return self.done + len(self.items)

    def next_batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for item in islice(self.items, MOST_AT_ONCE):
            size += len(item) + 1
            if batch and size > MOST_BYTES_AT_ONCE:
                break
            batch.append(item)
        return batch

    def settle(self, batch: Sequence[bytes], unsent: Sequence[bytes]) -> None:
        """The batch is done but for these, which stay first."""
        for _ in batch:
            self.items.popleft()
        self.items.extendleft(reversed(unsent))
        self.bytes += sum(map(len, unsent)) - sum(map(len, batch))
        self.done += len(batch) - len(unsent)
