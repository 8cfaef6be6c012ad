"""The client: prompts from memory, kept up with the server by a thread, and reports that leave by another.

`get` reads one immutable ruleset and asks nobody: it costs microseconds and answers while the server is down. Only
construction may wait, for `start_timeout_s` at most, and only reports may be lost, which `status` counts.
"""

from __future__ import annotations

import asyncio
import atexit
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal, TypeVar
from uuid import UUID

from serinus import bundle as bundles
from serinus.asking import Server
from serinus.disk import Cache, default_folder
from serinus.errors import NotReady
from serinus.following import NOTHING, Follower, Source, State
from serinus.options import FilePath, bundle_key_of, key_of, labels_of, path_of, seconds_of, url_of
from serinus.prompt import Prompt, choose
from serinus.reports import Reports
from serinus.stamping import SpanIds

END_WITHIN_S = 2.0  # of a client, and at Python's exit of all clients together

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Status:
    """How the client stands.

    source: where the ruleset came from. age_s: since when nobody has confirmed it, up to about 25 s when all is well;
    None without one. stale: it may be out of date, since the server cannot be followed or cannot be sure itself.
    last_error: why the last request failed, None if it did not. reports_*: how many scores and calls wait, were taken
    by the server, were lost for want of room or time, or can never be taken; and what went wrong last.
    """

    source: Source
    age_s: float | None
    generation: int | None
    prompts: int
    stale: bool
    last_error: str | None
    reports_queued: int
    reports_sent: int
    reports_dropped: int
    reports_refused: int
    reports_error: str | None


class _Client:
    """What Client and AsyncClient have both: the options, what is read from memory, and what is queued."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        labels: Sequence[str] | None = None,
        cache_dir: FilePath | Literal[False] | None = None,
        bundle: FilePath | None = None,
        bundle_key: str | None = None,
        start_timeout_s: float = 2.0,
    ) -> None:
        url, key, followed = url_of(url), key_of(key), labels_of(labels)
        cache = _cache(cache_dir, url=url, key=key, labels=followed)
        bundle_path = None if bundle is None else path_of(bundle, name="bundle")
        self._known_before = partial(_known_before, cache, bundle_path, bundle_key_of(bundle_key, key))
        self._start_timeout_s = seconds_of(start_timeout_s, name="start_timeout_s")
        server = Server(url)
        self._follower = Follower(server, key, labels=followed, cache=cache)
        self._reports = Reports(server, key)
        self._threads = self._follower, self._reports
        self._forgotten = weakref.finalize(self, _end_beside, self._threads)
        self._forgotten.atexit = False  # that is _end_all's, which waits
        _open.add(self._threads)
        self._begin()

    def get(self, name: str, *, unit: str | int | UUID | None = None, label: str = "production") -> Prompt:
        """The prompt for this unit, from memory. A unit is the id of a user, session or tenant; "" counts as none.

        Raises NotReady, UnknownPrompt, UnknownLabel, PromptArchived; WrongType for a unit that is no id.
        """
        ruleset = self._follower.state.ruleset
        if ruleset is None:
            raise self._not_ready()
        return choose(ruleset, name, label, unit)

    def score(
        self,
        name: str,
        value: float,
        *,
        prompt: Prompt | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        response_id: str | None = None,
        exposure: str | None = None,
        label: str | None = None,
        comment: str | None = None,
        source: str = "user",
        evaluator: str | None = None,
        id: str | None = None,  # noqa: A002 (named as the server names it)
    ) -> None:
        """Send a quality number from 0 to 1 soon, from the background. Never waits or raises.

        docs/reference/scores.md tells the fields. Without an id of what it is about, it is about the newest LLM call
        inside the `with` of the prompt, or else counts for the rollout and arm that the prompt was assigned.
        """
        self._reports.score(
            name,
            value,
            prompt=prompt,
            trace_id=trace_id,
            span_id=span_id,
            response_id=response_id,
            exposure=exposure,
            label=label,
            comment=comment,
            source=source,
            evaluator=evaluator,
            id=id,
        )

    def call(self, /, prompt: Prompt | None = None, **fields: Any) -> SpanIds | None:
        """Send an LLM call soon, from the background, where OpenTelemetry does not. Never waits or raises.

        docs/reference/calls.md tells the fields. prompt: by default that of the `with` around it. Returns how to name
        the call in a score.
        """
        return self._reports.call(prompt, **fields)

    def status(self) -> Status:
        state, reports = self._follower.state, self._reports.counts
        ruleset = state.ruleset
        return Status(
            source=state.source,
            age_s=None if ruleset is None else max(0.0, time.time() - state.confirmed_at),
            generation=None if ruleset is None else ruleset.generation,
            prompts=0 if ruleset is None else len(ruleset.prompts),
            stale=state.stale or state.source != "live" or state.last_error is not None,
            last_error=state.last_error,
            reports_queued=reports.queued,
            reports_sent=reports.sent,
            reports_dropped=reports.dropped,
            reports_refused=reports.refused,
            reports_error=reports.last_error or reports.last_refusal,
        )

    def _not_ready(self) -> NotReady:
        why = self._follower.state.last_error or "it has not answered yet"
        return NotReady(f"There is no ruleset: neither cache nor bundle had one, and of the server: {why}")

    def _begin(self) -> None:
        raise NotImplementedError

    def _start(self) -> None:
        """May wait. Raises BundleRefused."""
        state = self._known_before()
        self._reports.start()
        self._follower.start(self._start_timeout_s, state)

    def _flush(self, timeout_s: float) -> bool:
        return self._reports.flush(seconds_of(timeout_s, name="timeout_s"))

    def _close(self) -> None:
        self._forgotten.detach()
        _end(self._threads)


class Client(_Client):
    """Follows one server with one key. Threads may share it; a forked process goes on with its own thread.

    url, key: by default SERINUS_URL, and SERINUS_KEY or the file that SERINUS_KEY_FILE names. labels: those to follow,
    all by default. cache_dir: for the last known ruleset; by default the user's cache folder, False for none.
    bundle: a file that `serinus bundle` made, checked with bundle_key, by default the key. start_timeout_s: how long to
    wait for the first ruleset; not at all when the server cannot be reached.
    Raises InvalidOption, and BundleRefused when there is a bundle that cannot be used.
    """

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Send what is queued now, and wait for it at most this long. Whether all of it was sent."""
        return self._flush(timeout_s)

    def close(self) -> None:
        """Send what is queued and end both threads, within 2 s; `get` goes on with what is known."""
        self._close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._start()


class AsyncClient(_Client):
    """The same for asyncio: `async with` starts and closes it beside the event loop; all else is as quick as it was.

    Takes the options of Client, and raises InvalidOption as that does; BundleRefused when it is started.
    """

    async def start(self) -> None:
        await _beside_the_loop(self._start_once)

    async def flush(self, timeout_s: float = 2.0) -> bool:
        return await _beside_the_loop(self._flush, timeout_s)

    async def close(self) -> None:
        await _beside_the_loop(self._close_once_started)

    async def __aenter__(self) -> AsyncClient:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _begin(self) -> None:
        """That is for `start`."""
        self._is_started, self._starting = False, Lock()

    def _start_once(self) -> None:
        with self._starting:
            if not self._is_started:
                self._start()
                self._is_started = True

    def _close_once_started(self) -> None:
        """Also where the task that started it was cancelled meanwhile."""
        with self._starting:
            self._close()

    def _not_ready(self) -> NotReady:
        if self._is_started:
            return super()._not_ready()
        return NotReady("The client was not started: use `async with`, or await start()")


async def _beside_the_loop(called: Callable[..., _Result], *args: Any) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(None, called, *args)


def _cache(
    folder: FilePath | Literal[False] | None, *, url: str, key: str, labels: Sequence[str] | None
) -> Cache | None:
    if folder is False:
        return None
    found = default_folder() if folder is None else path_of(folder, name="cache_dir")
    return None if found is None else Cache(found, url=url, key=key, labels=labels)


def _known_before(cache: Cache | None, bundle: Path | None, bundle_key: str) -> State:
    """The newer of cache and bundle, to begin with."""
    state = NOTHING
    if cache is not None and (kept := cache.load()):
        state = State(kept.ruleset, "cache", kept.fetched_at)
    if bundle is not None:
        kept = bundles.load(bundle, key=bundle_key)
        if kept.fetched_at > state.confirmed_at:
            state = State(kept.ruleset, "bundle", kept.fetched_at)
    return state


_Threads = tuple[Follower, Reports]
_open: set[_Threads] = set()


def _end(*many: _Threads) -> None:
    """All at once: the time is that of all together, so none is waited for before all have been told."""
    deadline = time.monotonic() + END_WITHIN_S
    for follower, reports in many:
        follower.stop()
        reports.hurry()
    for threads in many:
        follower, reports = threads
        reports.close(max(0.0, deadline - time.monotonic()))
        follower.wait(max(0.0, deadline - time.monotonic()))
        _open.discard(threads)


def _end_beside(threads: _Threads) -> None:
    """For a client that nobody holds any more: whoever happens to run the garbage collector must not wait."""
    with suppress(RuntimeError):  # Python is ending, and starts no thread: _end_all does it
        Thread(target=_end, args=[threads], name="serinus-end", daemon=True).start()


@atexit.register
def _end_all() -> None:
    _end(*_open)
