"""The state that this process serves from, kept fresh by a thread of its own; serving never waits for the database.

Guarantee: a change is served within a second of its commit while the database can be reached. When it cannot, the last
known state goes on being served, and `current` tells for how long nobody has confirmed it.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from threading import Event, Thread

from django.db import Error as AnyDatabaseError
from django.db import connection

from common.errors import Unavailable
from rollout.serving.answers import Answer
from rollout.serving.snapshot import NOTHING, ServedPrompt, Snapshot, load_pinned, newer

POLL_S = 0.1
STALE_AFTER_S = 2.0
FIRST_LOAD_S = 5.0
PINNED_KEPT = 1024

logger = logging.getLogger(__name__)


class SnapshotCache:
    """Read by any thread, refreshed by one: the state is immutable and replaced in one assignment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.loaded = Event()
        self._clock = clock
        self._snapshot = NOTHING
        self._confirmed_at = clock()
        self._told_stale = False
        self._load_pinned = lru_cache(PINNED_KEPT)(load_pinned)

    def current(self) -> tuple[Snapshot, int | None]:
        """The last known state; its age in seconds when it is stale, else None. Raises Unavailable without a state."""
        if self._snapshot is NOTHING:
            raise Unavailable("no_state_yet", "This process has not reached the database since its start")
        return self._snapshot, self._stale_s()

    def pinned(self, prompt: ServedPrompt, version_id: int) -> Answer:
        """A version asked for by number: held when a label serves it, else read once and kept while it is in use."""
        if answer := prompt.pinned.get(version_id):
            return answer
        try:
            return self._load_pinned(version_id)
        except AnyDatabaseError as error:
            raise Unavailable("database_away", "This version is not in memory and the database is away") from error

    def refresh(self) -> None:
        """Take over what has changed since the last time. Raises what the database raises; the state then stays."""
        asked_at = self._clock()
        snapshot = newer(self._snapshot)
        if snapshot.generation < self._snapshot.generation:  # a restored backup may give a row's id to another version
            self._load_pinned.cache_clear()
        self._snapshot = snapshot
        self._confirmed_at = asked_at
        self.loaded.set()

    def poll(self) -> bool:
        """Refresh without ever raising: whether it succeeded. One log event when the state gets stale, one after."""
        try:
            self.refresh()
        except Exception:
            stale_s = self._stale_s()
            if stale_s is not None and not self._told_stale:
                logger.exception("serving.stale", extra={"age_s": stale_s})
                self._told_stale = True
            return False
        if self._told_stale:
            logger.info("serving.fresh", extra={"generation": self._snapshot.generation})
            self._told_stale = False
        return True

    def keep_fresh(self, stop: Event) -> None:
        """Poll until told to stop, on this thread's own database connection."""
        try:
            while not stop.is_set():
                if not self.poll():
                    connection.close()  # a broken connection would fail for ever; the next poll opens another
                stop.wait(POLL_S)
        finally:
            connection.close()

    def _stale_s(self) -> int | None:
        age_s = self._clock() - self._confirmed_at
        return int(age_s) if age_s > STALE_AFTER_S else None


cache = SnapshotCache()


def start() -> None:
    """Keep this process's cache fresh until it ends. Returns when the state is there, or is long in coming."""
    _start_thread()
    os.register_at_fork(after_in_child=_start_thread)  # a fork copies the state, but not the thread
    cache.loaded.wait(FIRST_LOAD_S)


def _start_thread() -> None:
    Thread(target=cache.keep_fresh, args=[Event()], name="serving-refresher", daemon=True).start()
