"""How the SDK keeps up with the server: one thread that asks `GET /ruleset`, and waits there for the next change.

Guarantees: what is known is replaced in one assignment, by a complete ruleset with the digest that the server told, and
by nothing else; an answer that is late, cut short, refused or wrong leaves it as it is. No request outlives its
deadline. The thread ends only when it is told to, and a forked process gets one of its own.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from dataclasses import dataclass
from http.client import HTTPException
from threading import Event, Thread
from typing import Literal, NamedTuple
from urllib.parse import urlencode
from weakref import WeakSet

from serinus.asking import Answer, Connection, Server
from serinus.disk import Cache
from serinus.errors import Error
from serinus.ruleset import DigestMismatch, Ruleset, read
from serinus.sealed import Kept

USER_AGENT = "serinus-python/0.1.0"

logger = logging.getLogger("serinus")
_dice = random.SystemRandom()  # an app may seed the other, and count on what it draws


@dataclass(frozen=True)
class Pace:
    """All in seconds. Those with two values are drawn between them, so that many clients do not act as one."""

    wait: tuple[int, int] = (20, 25)  # for a change, held by the server
    early: tuple[float, float] = (0.3, 0.7)  # after an answer that should have waited and did not
    between: float = 0.1  # the start of a request and that of the next
    backoff: tuple[float, float] = (0.5, 10.0)  # the longest pause after the first failure, and after many
    refused: tuple[float, float] = (25.0, 35.0)  # after 401 and 403
    retry_after_at_most: float = 60.0
    older_for: float = 3.0  # how long a lower generation is taken for that of a process that lags
    connect: float = 5.0
    answer: float = 5.0  # to begin the answer, beyond the wait
    body: float = 30.0  # to end it
    between_saves: float = 30.0


Source = Literal["live", "cache", "bundle", "none"]


class State(NamedTuple):
    """source: live, cache, bundle or none. confirmed_at: when the server last said so (seconds since 1970).

    last_error: why the last request failed, None if it did not. stale: the server said that it cannot be sure.
    """

    ruleset: Ruleset | None = None
    source: Source = "none"
    confirmed_at: float = 0.0
    last_error: str | None = None
    stale: bool = False


DEFAULT_PACE, NOTHING = Pace(), State()


class Failed(Exception):
    """The server's answer cannot be used. pause_s: how long it wants to be left alone."""

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class Follower:
    """`state` is read by any thread, and written by the one that `start` begins."""

    def __init__(
        self,
        server: Server,
        key: str,
        *,
        labels: tuple[str, ...] | None = None,
        cache: Cache | None = None,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self.state = NOTHING
        self._server, self._key, self._labels, self._cache, self._pace = server, key, labels, cache, pace
        self._failures, self._told_of_failures = 0, False
        self._everything = False  # to be asked for, not only what changed
        self._older_since: float | None = None
        self._saved: Ruleset | None = None
        self._saved_at = -pace.between_saves
        self._prepare()

    def start(self, timeout_s: float, known: State = NOTHING) -> None:
        """Follow from this state on. Returns after the first answer, the first failure, or this time. Raises Error."""
        self.state = known
        self._saved = known.ruleset if known.source == "cache" else None
        try:
            self._thread.start()
        except RuntimeError as error:
            raise Error(f"The thread that follows the server could not be started: {error}") from error
        _started.add(self)
        self._attempted.wait(timeout_s)

    def stop(self) -> None:
        """Tell the thread to end, which it does at once unless it is connecting; what is known stays readable."""
        _started.discard(self)
        self._stopping.set()
        self._connection.break_off()

    def wait(self, within_s: float) -> None:
        """For the thread to have ended."""
        if self._thread.is_alive():
            self._thread.join(within_s)

    def restart_in_child(self) -> None:
        """After a fork, which copies the state but neither the thread nor any right to the parent's connection."""
        self._connection.abandon()
        self._prepare()
        self._thread.start()

    def _prepare(self) -> None:
        self._stopping, self._attempted = Event(), Event()
        self._connection = Connection(self._server, connect_s=self._pace.connect)
        self._thread = Thread(target=self._follow, name="serinus-follower", daemon=True)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            pause_s = self._ask_once()
            self._attempted.set()
            if self._save_due_in() <= 0:
                self._save()
            if pause_s > 1:
                self._connection.close()  # rather than let the server, or a proxy, close it unseen
            self._stopping.wait(max(pause_s, began + self._pace.between - time.monotonic()))
        self._connection.close()
        self._save()

    def _ask_once(self) -> float:
        """Returns how long to pause. Raises nothing, whatever came: the thread would end, and nobody would notice."""
        try:
            pause_s = self._exchange()
        except Failed as error:
            return self._failed(str(error), error.pause_s)
        except (OSError, HTTPException, ValueError) as error:
            return self._failed(f"{type(error).__name__}: {error}")
        except Exception as error:
            logger.exception("serinus: following the server failed in a way that was not foreseen")
            return self._failed(f"{type(error).__name__}: {error}")
        if self._told_of_failures:
            logger.info("serinus: the server can be followed again")
        self._failures, self._told_of_failures = 0, False
        return pause_s

    def _exchange(self) -> float:
        """Ask once and take over what is new. Returns how long to pause. Raises Failed and what asking raises."""
        known, wait_s = self.state.ruleset, self._wait_s()
        since = known if known is not None and not self._everything else None
        asked_at = time.monotonic()
        answer = self._connection.request(
            "GET",
            self._path(since, wait_s),
            self._headers(known),
            answer_s=wait_s + self._pace.answer,
            body_s=self._pace.body,
        )
        did_wait = not wait_s or time.monotonic() - asked_at > wait_s - 1
        if answer.status == 304 and known is not None:
            self._confirm(known, answer)
            return 0 if did_wait else _dice.uniform(*self._pace.early)
        if answer.status != 200:
            raise self._refusal(answer)
        return self._take(answer, known, since)

    def _take(self, answer: Answer, known: Ruleset | None, since: Ruleset | None) -> float:
        try:
            ruleset = read(answer.body, since)
        except DigestMismatch:
            if since is None:
                raise
            self._everything = True
            return 0
        if known is not None and self._lags(ruleset, known):
            return _dice.uniform(*self._pace.early)
        self._confirm(ruleset, answer)
        return _dice.uniform(*self._pace.early) if known is not None and ruleset.digest == known.digest else 0

    def _lags(self, ruleset: Ruleset, known: Ruleset) -> bool:
        """Whether this comes from a process of the server that has yet to learn what another one told already.

        A lower generation that is told on and on is true: the server's database was restored from a backup.
        """
        if ruleset.generation >= known.generation or self.state.source != "live":
            return False
        now = time.monotonic()
        if self._older_since is None:
            self._older_since = now
        return now - self._older_since < self._pace.older_for

    def _confirm(self, ruleset: Ruleset, answer: Answer) -> None:
        stale = answer.headers.get("serinus-stale") == "true"
        age_s = _whole(answer.headers.get("age")) or 0 if stale else 0
        self.state = State(ruleset, "live", time.time() - age_s, None, stale)
        self._everything, self._older_since = False, None

    def _refusal(self, answer: Answer) -> Failed:
        message = f"the server answered {answer.status}{_detail(answer.body)}"
        if answer.status in (401, 403):
            return Failed(message, _dice.uniform(*self._pace.refused))
        retry_after = _whole(answer.headers.get("retry-after"))
        if retry_after is None:
            return Failed(message)
        return Failed(message, min(retry_after, self._pace.retry_after_at_most) + _dice.uniform(0, 1))

    def _failed(self, message: str, pause_s: float | None = None) -> float:
        if self._stopping.is_set():
            return 0
        self.state = self.state._replace(last_error=message)
        self._failures += 1
        if not self._told_of_failures and (pause_s is not None or self._failures > 1):  # one alone may be a restart
            logger.warning("serinus: the server cannot be followed; what is known is served on: %s", message)
            self._told_of_failures = True
        first, longest = self._pace.backoff
        return _dice.uniform(0, min(longest, first * 2 ** min(self._failures - 1, 16))) if pause_s is None else pause_s

    def _wait_s(self) -> int:
        """How long the server is to hold the request: not before it has said once that what is known is right."""
        if self.state.source != "live" or self.state.last_error is not None:
            return 0
        wait_s = _dice.randint(*self._pace.wait)
        return min(wait_s, max(1, int(self._save_due_in()))) if self._has_unsaved() else wait_s

    def _path(self, since: Ruleset | None, wait_s: int) -> str:
        query = [("label", label) for label in self._labels or ()]
        if since is not None:
            query.append(("since", str(since.generation)))
        if wait_s:
            query.append(("wait", str(wait_s)))
        return f"/ruleset?{urlencode(query)}" if query else "/ruleset"

    def _headers(self, known: Ruleset | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", "User-Agent": USER_AGENT}
        if known is not None:
            headers["If-None-Match"] = f'"{known.digest}"'
        return headers

    def _has_unsaved(self) -> bool:
        return self._cache is not None and self.state.source == "live" and self.state.ruleset is not self._saved

    def _save_due_in(self) -> float:
        return self._saved_at + self._pace.between_saves - time.monotonic()

    def _save(self) -> None:
        ruleset = self.state.ruleset
        if self._cache is not None and ruleset is not None and self._has_unsaved():
            self._saved, self._saved_at = ruleset, time.monotonic()  # also if it fails: nobody needs this one
            try:
                self._cache.save(Kept(ruleset, self.state.confirmed_at))
            except Exception:  # the thread would end, and nobody would notice
                logger.exception("serinus: keeping the ruleset on disk failed in a way that was not foreseen")


def _detail(body: bytes) -> str:
    """What a problem document says is wrong, if this is one."""
    try:
        detail = json.loads(body[:10_000])["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {str(detail)[:200]}"


def _whole(header: str | None) -> int | None:
    return int(header) if header and header.isascii() and header.isdigit() and len(header) < 10 else None


_started: WeakSet[Follower] = WeakSet()


def _restart_all() -> None:
    for follower in list(_started):
        follower.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
