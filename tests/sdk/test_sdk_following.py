"""Following a real server over HTTP that restarts, fails, drips, lags (fault 32) and lies: only better replaces it."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serinus.asking import Server
from serinus.disk import Cache
from serinus.following import Follower, Pace
from serinus.sealed import Kept
from tests.rulesets import KEY, QUICK, Handler, RulesetServer, encoded, prompt, serving, until

BEFORE, AFTER = prompt("greeting"), prompt("greeting", production="v2.3")


@pytest.fixture
def server() -> Iterator[RulesetServer]:
    with serving({"greeting": BEFORE, "order": prompt("order")}) as running:
        yield running


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    """Starts followers, and ends them after the test."""
    started: list[Follower] = []

    def start(server: RulesetServer, *, key: str = KEY, pace: Pace = QUICK, **options: Any) -> Follower:
        follower = Follower(Server(server.url), key, pace=pace, **options)
        started.append(follower)
        follower.start(timeout_s=10)
        return follower

    yield start
    for follower in started:
        end(follower)


def end(follower: Follower) -> None:
    follower.stop()
    follower.wait(5)


def served(follower: Follower, name: str = "greeting") -> str | None:
    ruleset = follower.state.ruleset
    return None if ruleset is None else ruleset.prompts[name].labels["production"].version.version


def test_start__server_up__live_when_it_returns(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server, labels=("production", "a b&c"))

    assert (served(follower), follower.state.source, follower.state.last_error) == ("v2.2", "live", None)
    assert server.queries[0] == {"label": ["production", "a b&c"]}
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_change__while_waiting__seen_at_once_as_a_change_only(
    server: RulesetServer, follow: Callable[..., Follower]
) -> None:
    follower = follow(server)
    order = follower.state.ruleset.prompts["order"]  # type: ignore[union-attr]
    until(lambda: len(server.queries) == 2)

    changed_at = time.monotonic()
    server.change(greeting=AFTER)
    until(lambda: served(follower) == "v2.3", within_s=1)

    assert time.monotonic() - changed_at < 1
    assert server.queries[1]["since"] == ["40"]
    assert 20 <= int(server.queries[1]["wait"][0]) <= 25
    assert follower.state.ruleset.prompts["order"] is order  # type: ignore[union-attr]


def test_nothing_changes__304__confirmed_and_asked_again(
    server: RulesetServer, follow: Callable[..., Follower]
) -> None:
    follower = follow(server, pace=replace(QUICK, wait=(1, 1)))
    first = follower.state

    until(lambda: follower.state.confirmed_at > first.confirmed_at)
    until(lambda: len(server.queries) > 3)

    assert follower.state.ruleset is first.ruleset
    assert server.headers[1]["If-None-Match"] == f'"{server.digest}"'


def test_no_place_to_wait__pauses_between_requests(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    server.waits = False
    follower = follow(server, pace=replace(QUICK, early=(0.2, 0.3)))

    began = time.monotonic()
    until(lambda: len(server.queries) >= 5)
    server.change(greeting=AFTER)
    until(lambda: served(follower) == "v2.3")

    assert time.monotonic() - began > 0.2 * 3


def test_same_answer_over_and_over__pauses_between_requests(
    server: RulesetServer, follow: Callable[..., Follower]
) -> None:
    server.misbehave = lambda request: request.tell(200, server.answer({}, None)[1])
    follow(server, pace=replace(QUICK, early=(0.2, 0.3)))

    began = time.monotonic()
    until(lambda: len(server.queries) >= 4)

    assert time.monotonic() - began > 0.2 * 2


def test_server_down_at_the_start__found_when_it_comes(follow: Callable[..., Follower]) -> None:
    server = RulesetServer({"greeting": BEFORE})
    server.start()
    server.stop()  # the port is known now

    began = time.monotonic()
    follower = follow(server)
    took_s = time.monotonic() - began
    until(lambda: "ConnectionRefusedError" in (follower.state.last_error or ""))
    server.start()
    until(lambda: served(follower) == "v2.2")
    server.stop()

    assert took_s < 5  # start does not use up its 10 s


def test_server_restarts__served_on_and_followed_again(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server)
    until(lambda: len(server.queries) == 2)

    server.stop()
    until(lambda: follower.state.last_error is not None)
    while_down = served(follower)
    server.change(greeting=AFTER)
    server.start()
    until(lambda: served(follower) == "v2.3")

    assert while_down == "v2.2"
    assert follower.state.last_error is None


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_refusals__known_state_stays_until_it_answers_again(
    server: RulesetServer, follow: Callable[..., Follower], status: int
) -> None:
    follower = follow(server)
    elsewhere = f"{server.url}/elsewhere"
    server.misbehave = lambda request: request.tell(status, b'{"detail": "not today"}', Location=elsewhere)
    server.change(greeting=AFTER)

    until(lambda: follower.state.last_error == f"the server answered {status}: not today")
    while_failing = served(follower)
    server.misbehave = None
    until(lambda: served(follower) == "v2.3")

    assert while_failing == "v2.2"
    assert set(server.paths) == {"/ruleset"}


def test_retry_after__kept_to_up_to_a_bound(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server, pace=replace(QUICK, retry_after_at_most=1.0))
    server.misbehave = lambda request: request.tell(503, b"", Retry_After="86400")
    server.change(greeting=AFTER)
    until(lambda: follower.state.last_error is not None)

    failed_at = time.monotonic()
    server.misbehave = None
    until(lambda: served(follower) == "v2.3")

    assert time.monotonic() - failed_at > 0.9


@pytest.mark.parametrize("status", [401, 403])
def test_key_refused__told_once_and_known_state_stays(
    server: RulesetServer, follow: Callable[..., Follower], caplog: pytest.LogCaptureFixture, status: int
) -> None:
    follower = follow(server)
    with caplog.at_level(logging.INFO, "serinus"):
        server.misbehave = lambda request: request.tell(status, b'{"detail": "This key is revoked"}')
        server.change(greeting=AFTER)
        asked = len(server.queries)
        until(lambda: len(server.queries) > asked + 3)
        while_refused = served(follower)
        server.misbehave = None
        until(lambda: len(caplog.messages) == 2)

    assert (while_refused, served(follower)) == ("v2.2", "v2.3")
    assert caplog.messages == [
        "serinus: the server cannot be followed; what is known is served on: "
        f"the server answered {status}: This key is revoked",
        "serinus: the server can be followed again",
    ]
    assert KEY not in caplog.text


def drip(request: Handler, head: bytes) -> None:
    """Sends a byte every so often, far longer than any test lasts."""
    request.wfile.write(head)
    while True:
        request.wfile.write(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_slow_drip__given_up_at_the_deadline(
    server: RulesetServer, follow: Callable[..., Follower], head: bytes
) -> None:
    follower = follow(server, pace=replace(QUICK, wait=(1, 1), answer=0.5, body=0.5))
    server.misbehave = lambda request: drip(request, head)
    server.change(greeting=AFTER)

    until(lambda: "TooSlow" in (follower.state.last_error or ""), within_s=5)
    while_dripping = served(follower)
    server.misbehave = None
    until(lambda: served(follower) == "v2.3", within_s=5)

    assert while_dripping == "v2.2"


def test_silence__given_up_at_the_deadline(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    over = threading.Event()
    follower = follow(server, pace=replace(QUICK, wait=(1, 1), answer=0.3))
    server.misbehave = lambda request: over.wait(30)
    server.change(greeting=AFTER)

    until(lambda: "TooSlow" in (follower.state.last_error or ""), within_s=10)
    over.set()
    server.misbehave = None
    until(lambda: served(follower) == "v2.3")


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"generation": 41}',
        b'{"generation": 41, "digest": "0123", "since": null, "prompts": {}}',
        encoded({"greeting": AFTER})[:-20],
        encoded({"greeting": {**AFTER, "versions": {}}}, generation=41),
    ],
)
def test_body_that_is_wrong__known_state_stays(
    server: RulesetServer, follow: Callable[..., Follower], told: bytes
) -> None:
    follower = follow(server)
    known = follower.state.ruleset
    server.misbehave = lambda request: request.tell(200, told)
    server.change(greeting=AFTER)

    until(lambda: follower.state.last_error is not None)
    while_wrong = follower.state.ruleset
    server.misbehave = None
    until(lambda: served(follower) == "v2.3")

    assert while_wrong is known


def test_body_cut_short__known_state_stays(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    def cut_short(request: Handler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
        request.connection.shutdown(socket.SHUT_RDWR)

    follower = follow(server)
    server.misbehave = cut_short
    server.change(greeting=AFTER)

    until(lambda: "IncompleteRead" in (follower.state.last_error or ""))

    assert served(follower) == "v2.2"


def test_body_beyond_all_bounds__given_up(
    server: RulesetServer, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = follow(server)
    monkeypatch.setattr(follower._connection, "_body_at_most", 100_000)
    server.misbehave = lambda request: request.tell(200, b" " * 2_000_000)
    server.change(greeting=AFTER)

    until(lambda: "TooLarge" in (follower.state.last_error or ""))

    assert served(follower) == "v2.2"


def test_changes_that_do_not_add_up__everything_is_asked_for(
    server: RulesetServer, follow: Callable[..., Follower]
) -> None:
    follower = follow(server)
    until(lambda: len(server.queries) == 2)
    server.prompts["order"] = prompt("order", production="v2.3")  # a change that no generation tells of

    server.change(greeting=AFTER)
    until(lambda: served(follower) == "v2.3")

    assert served(follower, "order") == "v2.3"
    assert "since" not in server.queries[2]
    assert follower.state.last_error is None


def test_lower_generation__of_a_process_that_lags__not_believed(
    server: RulesetServer, follow: Callable[..., Follower]
) -> None:
    follower = follow(server, pace=replace(QUICK, older_for=60))
    until(lambda: len(server.queries) == 2)
    server.misbehave = lambda request: request.tell(200, encoded({"greeting": AFTER}, generation=39))
    server.change(greeting=AFTER)

    until(lambda: len(server.queries) >= 5)
    while_lagging = served(follower)
    server.misbehave = None
    until(lambda: served(follower) == "v2.3")

    assert while_lagging == "v2.2"


def test_lower_generation__told_on_and_on__believed(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server)
    until(lambda: len(server.queries) == 2)
    server.misbehave = lambda request: request.tell(200, encoded({"greeting": AFTER}, generation=3))
    server.change(greeting=AFTER)

    until(lambda: served(follower) == "v2.3")

    assert follower.state.ruleset.generation == 3  # type: ignore[union-attr]


def test_server_is_stale__said_with_its_age(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    server.misbehave = lambda request: request.tell(*server.answer({}, None), Serinus_Stale="true", Age="100")

    follower = follow(server)

    assert follower.state.stale
    assert 100 <= time.time() - follower.state.confirmed_at < 160


def test_surprise__thread_lives_on(
    server: RulesetServer,
    follow: Callable[..., Follower],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("serinus.following.read", lambda *_: 1 / 0)
        follower = follow(server)
        until(lambda: "ZeroDivisionError" in (follower.state.last_error or ""))
    until(lambda: served(follower) == "v2.2")

    assert "in a way that was not foreseen" in caplog.text


def test_save__fails_in_any_way__thread_lives_on(
    server: RulesetServer, follow: Callable[..., Follower], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Cache):
        def save(self, kept: Kept) -> None:
            raise MemoryError

    cache = Full(tmp_path, url=server.url, key=KEY, labels=None)
    follower = follow(server, cache=cache, pace=replace(QUICK, between_saves=0.0))

    for served_next in ("v2.3", "v2.2"):
        server.change(greeting=prompt("greeting", production=served_next))
        until(lambda: served(follower) == served_next)  # noqa: B023  # until it is seen, and no longer

    assert "keeping the ruleset on disk failed" in caplog.text


def test_stop__during_a_long_poll__within_a_second(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server)
    until(lambda: len(server.queries) == 2)

    began = time.monotonic()
    end(follower)
    end(follower)

    assert time.monotonic() - began < 1
    assert not follower._thread.is_alive()
    assert follower.state.last_error is None
    assert served(follower) == "v2.2"


def test_stop__during_a_pause__within_a_second(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server, key="ser_other", pace=replace(QUICK, refused=(30, 30)))

    began = time.monotonic()
    end(follower)

    assert time.monotonic() - began < 1
    assert not follower._thread.is_alive()


def test_fork__both_processes_go_on(server: RulesetServer, follow: Callable[..., Follower]) -> None:
    follower = follow(server)
    until(lambda: len(server.queries) == 2)
    told, tell = os.pipe()
    connection = follower._connection._socket
    assert connection is not None
    parents = (connection.fileno(), os.fstat(connection.fileno()).st_ino)

    child = fork()
    if child == 0:
        os._exit(tell_when_changed(follower, tell, parents))
    os.close(tell)
    with os.fdopen(told) as pipe:
        assert pipe.readline() == "v2.2\n"
        until(lambda: len(server.queries) == 3)  # the child's first, on a connection of its own
        server.change(greeting=AFTER)
        until(lambda: served(follower) == "v2.3")
        assert pipe.readline() == "v2.3\n"

    assert os.waitpid(child, 0)[1] == 0


def fork() -> int:
    import warnings

    with warnings.catch_warnings():  # from 3.12 on Python warns that other threads are not there in the child
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def tell_when_changed(follower: Follower, pipe: int, parents: tuple[int, int]) -> int:
    """Returns an exit code: an assertion's traceback of a child would be pytest's of another process."""
    try:
        with suppress(OSError):  # the number may stand for another file by now, or for none
            assert os.fstat(parents[0]).st_ino != parents[1]
        os.write(pipe, f"{served(follower)}\n".encode())
        until(lambda: served(follower) == "v2.3")
        os.write(pipe, f"{served(follower)}\n".encode())
    except BaseException:
        return 1
    end(follower)
    return 0
