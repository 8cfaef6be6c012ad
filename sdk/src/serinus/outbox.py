"""Items on their way to the server: a bounded queue and a thread that empties it.

Who puts one never waits and never gets an error. It is sent until the server has taken it or said that it is wrong;
with an id of its own it counts once there, however often it was sent. What does not fit is dropped, and what can never
be taken is refused: counted both, and told to the log with a reason.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serinus.answers import Failed, pause_after
from serinus.asking import Connection, Server
from serinus.delivery import CONNECT_S, MOST_READ, Delivery, deliver
from serinus.lane import Lane

logger = logging.getLogger("serinus")

GATHERED_FOR_S = 0.5  # from one request to the next, so that a busy app sends batches
MOST_BYTES_OF_ONE = 64 * 1024
MOST_BYTES_QUEUED = 16 * 1024 * 1024
WARNED_EVERY_S = 60.0
MOST_KINDS_TOLD = 100


@dataclass(frozen=True)
class Counts:
    """What became of the items.

    queued: not sent yet, or being sent; sent: taken by the server; dropped: did not fit, or came after the end;
    refused: can never be taken. last_error: why requests fail, None if they do not; last_refusal: of the last item that
    was refused.
    """

    queued: int = 0
    sent: int = 0
    dropped: int = 0
    refused: int = 0
    last_error: str | None = None
    last_refusal: str | None = None


class Outbox:
    """most_queued: items, of all paths together."""

    def __init__(self, server: Server, key: str, *, most_queued: int) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._most_queued = most_queued
        self._closed = False
        self._warned_at = -WARNED_EVERY_S
        self._last_refusal: str | None = None
        self._start_afresh()
        _all.add(self)

    def start(self) -> None:
        """Begin the thread, which the first item does otherwise: at Python's end there may be none any more."""
        with self._changed:
            self._ensure_thread()

    def put(self, path: str, item: bytes) -> bool:
        """Whether it was queued. path: of the address that takes arrays of such items."""
        with self._changed:
            lane = self._lanes.setdefault(path, Lane(path))
            fits = not self._closed and self._queued < self._most_queued
            if fits and self._bytes + len(item) <= MOST_BYTES_QUEUED:
                lane.items.append(item)
                lane.bytes += len(item)
                self._ensure_thread()
                if len(lane.items) == 1 or lane.is_full:
                    self._changed.notify_all()
                return True
            self._dropped += 1
            dropped, is_due = self._dropped, time.monotonic() - self._warned_at >= WARNED_EVERY_S
            if is_due:
                self._warned_at = time.monotonic()
        if is_due:
            why = "the client is closed" if self._closed else f"the queue is full: {self._error or 'too many'}"
            logger.warning("serinus: %d reports were dropped so far; %s", dropped, why)
        return False

    def refuse(self, kind: str, reason: str) -> None:
        """Count an item that can never be taken. kind: what is logged, once; reason: what `counts` tells."""
        with self._changed:
            self._refused += 1
            self._last_refusal = reason
        if self._is_news(kind):
            logger.warning("serinus: a report was refused, %s; others like it will only be counted", kind)

    @property
    def counts(self) -> Counts:
        with self._changed:
            return Counts(self._queued, self._sent, self._dropped, self._refused, self._error, self._last_refusal)

    def hurry(self) -> None:
        """Send without further waiting, from now on."""
        with self._changed:
            self._hurried += 1
            for lane in self._lanes.values():
                lane.ready_at = 0.0
            if self._queued:
                self._ensure_thread()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued now without further waiting; answers whether it is out, after this time at most."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            wanted = [(lane, lane.last_place) for lane in self._lanes.values()]
            self.hurry()
        try:
            return self._are_done(wanted, deadline)
        finally:
            with self._changed:
                self._hurried -= 1

    def close(self, timeout_s: float) -> None:
        """Flush, and take and send nothing more."""
        if not self._closed and not self.flush(timeout_s):
            logger.warning("serinus: %d reports were not sent: %s", self._queued, self._error or "no time left")
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def _queued(self) -> int:
        return sum(len(lane.items) for lane in self._lanes.values())

    @property
    def _error(self) -> str | None:
        return next((lane.error for lane in self._lanes.values() if lane.error), None)

    @property
    def _bytes(self) -> int:
        return sum(lane.bytes for lane in self._lanes.values())

    def _start_afresh(self) -> None:
        """As new, also in a forked child: what was queued is the parent's to send, and its thread is not there."""
        self._connection = Connection(self._server, connect_s=CONNECT_S, body_at_most=MOST_READ)
        self._changed = threading.Condition()  # over a lock that a signal's handler may take again
        self._lanes: dict[str, Lane] = {}
        self._thread: threading.Thread | None = None
        self._sent = self._dropped = self._refused = self._hurried = 0
        self._last_refusal = None
        self._told: set[str] = set()

    def _ensure_thread(self) -> None:
        """None can be started when the process has too many, or is ending: the next item or flush tries again."""
        if self._thread is None:
            self._thread = threading.Thread(  # known before it is started, which a signal's handler may interrupt
                target=self._run, args=[self._changed], name="serinus-reports", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None

    def _are_done(self, wanted: Iterable[tuple[Lane, int]], deadline: float) -> bool:
        """Whether the lanes have come to these places, waited for while the thread is at work on it."""
        with self._changed:
            while any(lane.done < place for lane, place in wanted):
                left = deadline - time.monotonic()
                if left <= 0 or self._closed or self._thread is None:
                    return False
                self._changed.wait(left)
            return True

    def _is_news(self, kind: str) -> bool:
        with self._changed:
            is_new = kind not in self._told and len(self._told) < MOST_KINDS_TOLD
            if is_new:
                self._told.add(kind)
            return is_new

    def _run(self, changed: threading.Condition) -> None:
        while True:
            with changed:
                lane = self._next_lane()
                while lane is None:
                    if self._closed:
                        return
                    changed.wait(self._pause())
                    lane = self._next_lane()
                batch = lane.next_batch()
            self._send(lane, batch)

    def _next_lane(self) -> Lane | None:
        """One whose time has come."""
        if self._closed:
            return None
        now = time.monotonic()
        ready = [lane for lane in self._lanes.values() if lane.items and self._due_at(lane) <= now]
        return min(ready, key=self._due_at, default=None)

    def _pause(self) -> float | None:
        due = [self._due_at(lane) for lane in self._lanes.values() if lane.items]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _due_at(self, lane: Lane) -> float:
        """Its pause after a failure, or else the time for others to gather, is over."""
        return lane.ready_at if lane.failures or lane.is_full or self._hurried else lane.ready_at + GATHERED_FOR_S

    def _send(self, lane: Lane, batch: Sequence[bytes]) -> None:
        """One batch; what remains of it is sent again after a pause."""
        try:
            delivery = deliver(self._connection, self._headers, lane.path, batch)
        except Exception as error:  # nothing else may end the thread
            logger.exception("serinus.sending_failed")
            delivery = Delivery(unsent=list(batch), failed=Failed(0.0, type(error).__name__))
        for kind, reason in delivery.refused:
            self.refuse(kind, reason)
        failed = delivery.failed
        if failed and failed.needs_somebody and self._is_news(failed.reason):
            logger.warning("serinus: reports have to wait: %s", failed.reason)
        with self._changed:
            self._sent += delivery.sent
            lane.settle(batch, delivery.unsent)
            lane.error = failed.reason if failed else None
            lane.failures = lane.failures + 1 if failed else 0
            lane.ready_at = time.monotonic()
            if failed:
                lane.ready_at += max(failed.pause_s, pause_after(lane.failures - 1))
            self._changed.notify_all()


_all: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _in_a_forked_child() -> None:
    for outbox in list(_all):
        outbox._connection.abandon()
        outbox._start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_forked_child)
