"""How many requests of this process are at work at once; who cannot get a turn soon is told to come back.

Without it a database that is locked would take every thread of the web server, one after the other for as long as it
waits for a lock: exporters, who give up after 10 s, would hear nothing in time, and prompts would not be served. And
SQLite lets one write at a time; who waits for it asks again at growing intervals, and may starve beside others, while
here the turn is handed over.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from common.errors import Unavailable

AT_WORK = {"sqlite": 1, "postgresql": 4}
MOST_WAITING = 11  # with the one at work 12 of the web server's 16 threads; the others are for prompts and pages
PATIENCE_S = 4.0  # then at most 5 s for the lock of SQLite: an exporter gives up after 10


class Gate:
    """at_work: turns at the same time. most_waiting: for a turn; one more is refused at once."""

    def __init__(self, *, at_work: int, most_waiting: int, patience_s: float) -> None:
        self._turns = threading.Semaphore(at_work)
        self._places = threading.Semaphore(at_work + most_waiting)
        self._patience_s = patience_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises Unavailable when there are too many before, or it takes too long."""
        with self._held(self._places, 0), self._held(self._turns, self._patience_s):
            yield

    @contextmanager
    def _held(self, what: threading.Semaphore, timeout_s: float) -> Iterator[None]:
        if not what.acquire(timeout=timeout_s):
            raise Unavailable("busy", "The server is behind; send this again in a moment")
        try:
            yield
        finally:
            what.release()


gate = Gate(at_work=AT_WORK[connection.vendor], most_waiting=MOST_WAITING, patience_s=PATIENCE_S)
