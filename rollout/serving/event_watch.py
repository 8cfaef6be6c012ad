"""Waiting for the next event: one thread of the process asks for all that wait, and only while any does."""

import logging
import time
from threading import Condition, Event, Thread

from django.db import Error as AnyDatabaseError
from django.db import connection

from registry.events import newest_sequence
from registry.sequences import wait_for_generation
from rollout.serving import waiting

RETRY_S = 0.1

logger = logging.getLogger(__name__)


class EventWatch:
    """Those who wait hold no connection to the database meanwhile: the thread has one for them all."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._newest = 0
        self._waiting = 0
        self._watched = False

    def wait_beyond(self, sequence: int, timeout_s: float) -> bool:
        """Whether there is an event with a higher number, as soon as there is; False when nobody may wait longer."""
        with self._changed:
            self._waiting += 1
            self._start()
            try:
                self._changed.wait_for(lambda: self._newest > sequence or waiting.is_closed(), timeout_s)
                return self._newest > sequence
            finally:
                self._waiting -= 1

    def _start(self) -> None:
        if not self._watched:
            self._watched, self._newest = True, 0  # what the last thread knew may be of another backup
            Thread(target=self._watch, name="event-watch", daemon=True).start()

    def _watch(self) -> None:
        try:
            while self._tell():
                wait_for_generation(Event())
        except BaseException:
            with self._changed:
                self._watched = False  # whoever waits next starts another thread
            raise
        finally:
            connection.close()

    def _tell(self) -> bool:
        """Wake those who wait for what there is; whether anybody still does."""
        newest = self._ask()
        with self._changed:
            self._newest = newest
            self._changed.notify_all()
            self._watched = self._waiting > 0
            return self._watched

    def _ask(self) -> int:
        try:
            return newest_sequence()
        except AnyDatabaseError:
            logger.warning("events.database_away", exc_info=True)
            connection.close()  # a broken connection would fail for ever; the next time opens another
            time.sleep(RETRY_S)
            return self._newest


watch = EventWatch()
