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
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
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

DEFAULT_LABEL = "production"

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


class Client:
    """Follows one server with one key. Threads may share it; a forked process goes on with its own thread.

    url, key: by default SERINUS_URL, and SERINUS_KEY or the file that SERINUS_KEY_FILE names. labels: those to follow,
    all by default. cache_dir: for the last known ruleset; by default the user's cache folder, False for none.
    bundle: a file that `serinus bundle` made, checked with bundle_key, by default the key. start_timeout_s: how long to
    wait for the first ruleset; not at all when the server cannot be reached.
    Raises InvalidOption, and BundleRefused when there is a bundle that cannot be used.
    """

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
        server = Server(url)
        cache = _cache(cache_dir, url=url, key=key, labels=followed)
        within_s = seconds_of(start_timeout_s, name="start_timeout_s")
        bundle_path = None if bundle is None else path_of(bundle, name="bundle")
        state = _known_before(cache, bundle_path, bundle_key_of(bundle_key, key))
        self._follower = Follower(server, key, labels=followed, state=state, cache=cache)
        self._reports = Reports(url, key)
        self._forgotten = weakref.finalize(self, _end_beside, self._follower, self._reports)
        self._forgotten.atexit = False  # that is _close_all's, which waits
        _open.add(self)
        self._reports.start()
        self._follower.start(within_s)

    def get(self, name: str, *, unit: str | int | UUID | None = None, label: str = DEFAULT_LABEL) -> Prompt:
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

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Send what is queued now, and wait for it at most this long. Whether all of it was sent."""
        return self._reports.flush(seconds_of(timeout_s, name="timeout_s"))

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

    def close(self) -> None:
        """Send what is queued and end both threads, in a few seconds at most; `get` goes on with what is known."""
        _open.discard(self)
        self._forgotten.detach()
        _end(self._follower, self._reports)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _not_ready(self) -> NotReady:
        why = self._follower.state.last_error or "it has not answered yet"
        return NotReady(f"There is no ruleset: neither cache nor bundle had one, and of the server: {why}")


class AsyncClient:
    """The same for asyncio: `async with` starts and closes it beside the event loop; all else is as quick as it was.

    Takes the options of Client, and raises what that raises when it is entered.
    """

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
        self._options: dict[str, Any] = {
            "url": url,
            "key": key,
            "labels": labels,
            "cache_dir": cache_dir,
            "bundle": bundle,
            "bundle_key": bundle_key,
            "start_timeout_s": start_timeout_s,
        }
        self._client: Client | None = None

    def get(self, name: str, *, unit: str | int | UUID | None = None, label: str = DEFAULT_LABEL) -> Prompt:
        return self._started().get(name, unit=unit, label=label)

    def score(self, name: str, value: float, **about: Any) -> None:
        self._started().score(name, value, **about)

    def call(self, /, prompt: Prompt | None = None, **fields: Any) -> SpanIds | None:
        return self._started().call(prompt, **fields)

    def status(self) -> Status:
        return self._started().status()

    async def flush(self, timeout_s: float = 2.0) -> bool:
        return await _beside_the_loop(self._started().flush, timeout_s)

    async def start(self) -> None:
        if self._client is None:
            self._client = await _beside_the_loop(lambda: Client(**self._options))

    async def close(self) -> None:
        if self._client is not None:
            await _beside_the_loop(self._client.close)

    async def __aenter__(self) -> AsyncClient:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _started(self) -> Client:
        if self._client is None:
            raise NotReady("The client was not started: use `async with`, or await start()")
        return self._client


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


def _end(follower: Follower, reports: Reports) -> None:
    follower.stop()
    reports.close()


def _end_beside(follower: Follower, reports: Reports) -> None:
    """For a client that nobody holds any more: whoever happens to run the garbage collector must not wait."""
    Thread(target=_end, args=(follower, reports), name="serinus-end", daemon=True).start()


_open: weakref.WeakSet[Client] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for client in list(_open):
        client.close()
