"""The state that this process serves from, kept fresh by a thread of its own; serving never waits for the database.

Guarantee: a change is served within a second of its commit while the database can be reached. When it cannot, the last
known state goes on being served, from the data folder if the process has started since, and `current` tells for how
long nobody has confirmed it.
"""

import logging
import os
import time
from collections.abc import Callable
from threading import Condition, Event, Lock, Thread
from typing import Any

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import connection

from common.errors import NotFound, Unavailable
from registry.models import PromptVersion
from registry.sequences import wait_for_generation
from rollout.serving import waiting
from rollout.serving.answers import Answer
from rollout.serving.counts import STATE_AGE
from rollout.serving.documents import NEVER, changes_since
from rollout.serving.pinned import PinnedAnswers
from rollout.serving.snapshot import NOTHING, ServedPrompt, Snapshot, after
from rollout.serving.state_file import StateFile

RETRY_S = 0.1
GIVE_WAY_S = 0.002
STALE_AFTER_S = 2.0
FIRST_LOAD_S = 5.0

logger = logging.getLogger(__name__)


class SnapshotCache:
    """Read by any thread, refreshed by one: the state is immutable and replaced in one assignment."""

    def __init__(self, file: StateFile, clock: Callable[[], float] = time.monotonic) -> None:
        self.loaded = Event()
        self._changed = Condition()
        self._file = file
        self._clock = clock
        self._snapshot = NOTHING
        self._known = NEVER  # the generation that this process has read; of a state from the file none
        self._confirmed_at = clock()
        self._file_tried = False
        self._telling = Lock()
        self._told_stale = False
        self._pinned = PinnedAnswers()

    def current(self) -> tuple[Snapshot, int | None]:
        """The last known state; its age in seconds when it is stale, else None. Raises Unavailable without a state."""
        snapshot = self._snapshot
        if snapshot is NOTHING:
            raise Unavailable("no_state_yet", "This process has not reached the database since its start")
        age_s = self._clock() - self._confirmed_at
        if age_s <= STALE_AFTER_S:
            return snapshot, None
        self._tell_stale(age_s)  # here too: while the database hangs, the thread that would tell it hangs with it
        return snapshot, int(age_s)

    def wait_for_change(self, seen: Snapshot, timeout_s: float) -> bool:
        """Whether there is another state than the one seen, as soon as there is; False when nobody may wait longer."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot is not seen or waiting.is_closed(), timeout_s)
            return self._snapshot is not seen

    def pinned(self, prompt: ServedPrompt, version_id: int) -> Answer:
        """A version asked for by number: held when a label serves it, else read once and kept while it is in use."""
        if answer := prompt.pinned.get(version_id):
            return answer
        try:
            return self._pinned.get(version_id)
        except PromptVersion.DoesNotExist as error:  # of a backup's database, which is about to be noticed
            raise NotFound("unknown_version", f"{prompt.name} has this version no longer") from error
        except AnyDatabaseError as error:
            raise Unavailable("database_away", "This version is not in memory and the database is away") from error

    def refresh(self) -> None:
        """Take over what has changed since the last time. Raises what the database raises; the state then stays."""
        asked_at = self._clock()
        if changes := changes_since(self._known):
            if changes.since == NEVER:  # a restored backup may give a row's id to another version
                self._pinned.clear()
            self._take(after(self._snapshot, changes), asked_at)
            self._known = changes.generation
            self._file.keep(changes)
        self._confirmed_at = asked_at
        self._file.confirm()
        self.loaded.set()

    def take_from_file(self) -> None:
        """Serve the last state that a process of this data folder has kept, until the database answers."""
        if self._snapshot is not NOTHING or self._file_tried:
            return
        self._file_tried = True
        if found := self._file.load():
            snapshot, age_s = found
            self._take(snapshot, self._clock() - age_s, unless_there=True)
            self.loaded.set()
            logger.warning("serving.from_file", extra={"generation": snapshot.generation, "age_s": int(age_s)})

    def poll(self) -> bool:
        """Refresh without ever raising: whether it succeeded. One log event when the state gets stale, one after."""
        try:
            self.refresh()
        except Exception as error:
            self.take_from_file()
            self._tell_stale(self._clock() - self._confirmed_at, error)
            return False
        STATE_AGE.set(0)
        if self._told_stale:
            logger.info("serving.fresh", extra={"generation": self._snapshot.generation})
            self._told_stale = False
        return True

    def _tell_stale(self, age_s: float, error: Exception | None = None) -> None:
        """error: why, when the database has answered at all."""
        STATE_AGE.set(age_s)
        with self._telling:
            if age_s <= STALE_AFTER_S or self._told_stale:
                return
            self._told_stale = True
        logger.error("serving.stale", extra={"age_s": int(age_s)}, exc_info=error)

    def keep_fresh(self, stop: Event) -> None:
        """Poll until told to stop, on this thread's own database connection."""
        try:
            with connection.execute_wrapper(_give_way):
                self._poll_until(stop)
        finally:
            connection.close()

    def _poll_until(self, stop: Event) -> None:
        while not stop.is_set():
            if waiting.is_closed():
                self._send_away()
            if self.poll():
                wait_for_generation(stop)
            else:
                connection.close()  # a broken connection would fail for ever; the next poll opens another
                stop.wait(RETRY_S)

    def _send_away(self) -> None:
        """Wake those who wait: the web server is stopping."""
        with self._changed:
            self._changed.notify_all()

    def _take(self, snapshot: Snapshot, confirmed_at: float, *, unless_there: bool = False) -> None:
        with self._changed:
            if unless_there and self._snapshot is not NOTHING:
                return
            self._snapshot = snapshot
            self._confirmed_at = confirmed_at
            self._changed.notify_all()


def _give_way(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Before each statement let the requests through that wait for this thread, whose work is no hurry."""
    time.sleep(GIVE_WAY_S)
    return execute(sql, params, many, context)


cache = SnapshotCache(StateFile(settings.SERVING_STATE))


def start() -> None:
    """Keep this process's cache fresh until it ends. Returns when there is a state, or it is long in coming."""
    _start_thread()
    os.register_at_fork(after_in_child=_start_thread)  # a fork copies the state, but not the thread
    if not cache.loaded.wait(FIRST_LOAD_S):
        cache.take_from_file()


def _start_thread() -> None:
    Thread(target=cache.keep_fresh, args=[Event()], name="serving-refresher", daemon=True).start()
