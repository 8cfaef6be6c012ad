"""Items on their way to the server: a bounded queue and a thread that empties it.

Who puts one never waits and never gets an error. It is sent until the server has taken it or said that it is wrong;
with an id of its own it counts once there, however often it was sent. What does not fit is dropped, and what can never
be taken is refused: counted both, and told to the log with a reason.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Union

from serinus.asking import Answer, Connection, Server

logger = logging.getLogger("serinus")
_dice = random.SystemRandom()  # an app may seed the other, and count on what it draws

GATHERED_FOR_S = 0.5  # from one request to the next, so that a busy app sends batches
MOST_AT_ONCE = 500  # items in one request; the server takes 1000
MOST_BYTES_AT_ONCE = 1024 * 1024
MOST_BYTES_OF_ONE = 64 * 1024
MOST_BYTES_QUEUED = 16 * 1024 * 1024
REQUEST_S, CONNECT_S = 10.0, 5.0  # all of a request, and connecting for it
MOST_READ = 4 * 1024 * 1024  # of an answer
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0  # after a failure; doubled with each
LONGEST_RETRY_AFTER_S = 300.0
WARNED_EVERY_S = 60.0
MOST_KINDS_TOLD = 100

ABOUT_ITEMS = (400, 413, 422)  # what a status says of the items; any other failure is of key, address or server
FOR_NOW = (408, 425, 429)  # besides 5xx
INDEX = re.compile(r"\[(\d+)\]\.?(.*)")


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


class Outbox:
    """url, key: of the server. most_queued: items, of all paths together."""

    def __init__(self, url: str, key: str, *, most_queued: int) -> None:
        self._url = url
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
        self._connection: Connection | None = None
        self._changed = threading.Condition()  # over a lock that a signal's handler may take again
        self._lanes: dict[str, Lane] = {}
        self._thread: threading.Thread | None = None
        self._sent = self._dropped = self._refused = self._hurried = 0
        self._last_refusal = None
        self._told: set[str] = set()

    def _ensure_thread(self) -> None:
        """None can be started when the process has too many, or is ending: the next item or flush tries again."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = None
            with suppress(RuntimeError):
                thread = threading.Thread(target=self._run, args=[self._changed], name="serinus-reports", daemon=True)
                thread.start()
                self._thread = thread

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
        """One batch, apart from what is wrong with it; what remains is sent again after a pause."""
        try:
            unsent, failed = self._deliver(lane.path, batch)
        except Exception as error:  # nothing else may end the thread
            logger.exception("serinus.sending_failed")
            unsent, failed = list(batch), Failed(0.0, type(error).__name__)
        with self._changed:
            lane.settle(batch, unsent)
            lane.error = failed.reason if failed else None
            lane.failures = lane.failures + 1 if failed else 0
            lane.ready_at = time.monotonic()
            if failed:
                lane.ready_at += max(failed.pause_s, _pause_after(lane.failures - 1))
            self._changed.notify_all()
        if failed and failed.needs_somebody and self._is_news(failed.reason):
            logger.warning("serinus: reports have to wait: %s", failed.reason)

    def _deliver(self, path: str, batch: Sequence[bytes]) -> tuple[list[bytes], Failed | None]:
        """What could not be sent, and why."""
        groups = [list(batch)]
        while groups:
            group = groups.pop()
            outcome = self._post(path, group)
            if isinstance(outcome, Failed):
                return [item for part in [group, *reversed(groups)] for item in part], outcome
            if isinstance(outcome, Taken):
                with self._changed:
                    self._sent += len(group)
            elif outcome.items:
                for kind, reason in outcome.items.values():
                    self.refuse(kind, reason)
                groups.append([item for index, item in enumerate(group) if index not in outcome.items])
            elif len(group) == 1:
                self.refuse(f"{path}: {outcome.kind}", outcome.reason)
            else:
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
            groups = [part for part in groups if part]
        return [], None

    def _post(self, path: str, items: Sequence[bytes]) -> Outcome:
        body = b"[" + b",".join(items) + b"]"
        try:
            return outcome_of(path, len(items), self._ask(path, body))
        except (OSError, http.client.HTTPException) as error:
            return Failed(0.0, f"{type(error).__name__}: {error}"[:200])
        except ValueError as error:
            reason = f"{type(error).__name__} of url or key"  # without its text, which may quote the key
            return Failed(LONGEST_PAUSE_S, reason, needs_somebody=True)

    def _ask(self, path: str, body: bytes) -> Answer:
        """Over a connection of its own, so that no request meets one that was closed in the meantime."""
        if self._connection is None:
            self._connection = Connection(Server(self._url), connect_s=CONNECT_S, body_at_most=MOST_READ)
        with closing(self._connection) as connection:
            return connection.request(
                "POST", path, self._headers, body, answer_s=REQUEST_S, body_s=REQUEST_S, within_s=REQUEST_S
            )


@dataclass(frozen=True)
class Taken:
    """All items count."""


@dataclass(frozen=True)
class Wrong:
    """Some items are. items: index → kind and reason, as in Outbox.refuse; empty where the server names none."""

    items: Mapping[int, tuple[str, str]]
    kind: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """No fault of the items: later again, after this pause at least. needs_somebody: it will not pass by itself."""

    pause_s: float
    reason: str
    needs_somebody: bool = False


Outcome = Union[Taken, Wrong, Failed]


def outcome_of(path: str, count: int, answer: Answer) -> Outcome:
    """What an answer says of the items that were sent, so many."""
    problem, status = _problem(answer), answer.status
    if 200 <= status < 300 and answer.headers.get("content-type", "").startswith("application/json"):
        return Taken()
    kind = f"{status} {problem.get('code', 'not an answer of Serinus')}"
    reason = f"{kind}: {problem.get('detail', '')}"[:300] if problem else kind
    if status == 413 or (status in ABOUT_ITEMS and problem):
        named = {index: why for index, why in _named(path, problem) if index < count}
        return Wrong(named, kind, reason)
    if status >= 500 or status in FOR_NOW:
        return Failed(_retry_after(answer.headers), reason)
    return Failed(LONGEST_PAUSE_S * _jitter(), reason, needs_somebody=True)


def _problem(answer: Answer) -> dict[str, Any]:
    """The server's own words on it; nothing where a proxy answered in its place."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return {}
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _named(path: str, problem: Mapping[str, Any]) -> Iterable[tuple[int, tuple[str, str]]]:
    """Index of each item that is named, with a kind, which never quotes it, and the reason."""
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else []:
        found = INDEX.match(str(error.get("field"))) if isinstance(error, dict) else None
        if found:
            name = found[2] or "as a whole"
            yield int(found[1]), (f"{path}: {name} ({error.get('code')})", f"{name}: {error.get('message')}"[:300])


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks for, 0 if it does not."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked), LONGEST_RETRY_AFTER_S)
    with suppress(TypeError, ValueError, IndexError):
        return min(max(0.0, parsedate_to_datetime(asked).timestamp() - time.time()), LONGEST_RETRY_AFTER_S)
    return 0.0


def _pause_after(failures: int) -> float:
    return min(FIRST_PAUSE_S * 2.0 ** min(failures, 20), LONGEST_PAUSE_S) * _jitter()


def _jitter() -> float:
    return _dice.uniform(0.5, 1.0)


_all: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _in_a_forked_child() -> None:
    for outbox in list(_all):
        if outbox._connection is not None:
            outbox._connection.abandon()
        outbox._start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_forked_child)
