"""Room for clients that wait for a change: for so many in each process, and for none once the web server is stopping.

Each of them holds one of the web server's threads, which `run_web` has beside those that answer.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from rollout.serving.counts import WAITING

MOST_WAITING = 64
_places = BoundedSemaphore(MOST_WAITING)
_closed = mmap.mmap(-1, 1)  # shared with every process that is forked later


def close() -> None:
    """From now on nobody waits, in this process and in those forked from it. Safe in a signal's handler."""
    _closed[0] = 1


def is_closed() -> bool:
    return bool(_closed[0])


@contextmanager
def a_place() -> Iterator[bool]:
    """Whether there is one; it is given back afterwards."""
    if is_closed() or not _places.acquire(blocking=False):
        yield False
        return
    WAITING.inc()
    try:
        yield True
    finally:
        WAITING.dec()
        _places.release()
