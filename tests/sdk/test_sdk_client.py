"""The client as an app has it: from its options to its end, with cache, threads and asyncio."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import random
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import serinus
from serinus import AsyncClient, BundleRefused, Client, Error, InvalidOption, NotReady, WrongType
from tests.rulesets import KEY, RulesetServer, prompt, rollout, until

BEFORE, AFTER = prompt("greeting"), prompt("greeting", production="v2.3")


def version_of(client: Any, name: str = "greeting") -> str:
    return str(client.get(name).version)


def cache_files(tmp_path: Path) -> list[Path]:
    return list(tmp_path.rglob("*.ruleset"))


def test_get__as_soon_as_it_is_made__without_a_request(server: RulesetServer, connect: Callable[..., Client]) -> None:
    client = connect()
    until(lambda: len(server.queries) == 2)  # the one it waits in

    for i in range(1000):
        client.get("order", unit=f"user-{i}")

    assert len(server.queries) == 2
    assert client.get("greeting").render(order="x") == "Extract x"
    assert client.get("greeting", label="latest").version == "v2.3"


def test_get__once_it_is_made__neither_network_nor_files(server: RulesetServer) -> None:
    server.change(order=prompt("order", split=rollout(5000)))

    run = run_app(
        server.url,
        """
        import sys, threading, serinus

        client = serinus.Client(start_timeout_s=10)
        main, seen = threading.get_ident(), []

        def hook(event, _):
            if event.partition(".")[0] in ("open", "socket", "os", "import", "subprocess"):
                if watching and threading.get_ident() == main:
                    seen.append(event)

        watching = False
        sys.addaudithook(hook)
        watching = True
        open("/dev/null").close()
        for i in range(1000):
            client.get("order", unit=f"user-{i}").render(order="x")
            client.get("order").trace
            client.get("greeting", label="latest").config
        watching = False
        print(seen)
        """,
    )

    assert run == "['open']\n"  # its own, which shows that it would see one


def test_random__seeded_by_the_app__its_draws_are_the_apps(
    connect: Callable[..., Client], server: RulesetServer
) -> None:
    server.stop()
    client = connect()
    random.seed(1)

    client.score("helpfulness", 1, response_id="chatcmpl-1")
    client.close()  # which tries to send it, and draws how long to pause

    assert client.status().reports_error is not None
    assert [random.random() for _ in range(10)] == draws_of(seed=1)


def draws_of(seed: int) -> list[float]:
    own = random.Random(seed)
    return [own.random() for _ in range(10)]


def run_app(url: str, code: str) -> str:
    """What an app prints that has this client in its environment; nothing else may be on standard error."""
    environment = {**os.environ, "SERINUS_URL": url, "SERINUS_KEY": KEY, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def test_options__from_the_environment(
    server: RulesetServer, connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("SERINUS_URL", f"{server.url}/")
    monkeypatch.setenv("SERINUS_KEY_FILE", str(tmp_path / "key"))

    with Client() as client:
        assert client.status().source == "live"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": None}, "url: give one, or set SERINUS_URL"),
        ({"url": "prompts.example.com"}, "url: expected one such as https://"),
        ({"url": "ftp://prompts.example.com"}, "url: expected one such as https://"),
        ({"url": "https://prompts.example.com:port"}, "url: "),
        ({"url": "https://user:word@prompts.example.com"}, "url: expected one without a user"),
        ({"url": "https://prompts.example.com?key=1"}, "url: expected one without a user, a query"),
        ({"key": None}, "key: give one, or set SERINUS_KEY or SERINUS_KEY_FILE"),
        ({"key": "ser_secret\n"}, "key: expected ASCII"),
        ({"key": "ser_secrét"}, "key: expected ASCII"),
        ({"labels": "production"}, "labels: expected a list"),
        ({"labels": []}, "labels: expected a list"),
        ({"labels": [1]}, "labels: expected a list"),
        ({"labels": 1}, "labels: expected a list"),
        ({"labels": ["\ud800"]}, "labels: expected a list"),
        ({"url": b"https://prompts.example.com"}, "url: expected one such as https://"),
        ({"url": "https://prompts.example.com/\ud800"}, "url: expected one such as https://"),
        ({"key": b"ser_secret"}, "key: expected ASCII"),
        ({"cache_dir": 1}, "cache_dir: expected a path, got int"),
        ({"cache_dir": True}, "cache_dir: expected a path, got bool"),
        ({"bundle": b"file"}, "bundle: expected a path, got bytes"),
        ({"bundle": "file", "bundle_key": b"secret"}, "bundle_key: expected text, got bytes"),
        ({"start_timeout_s": "2"}, "start_timeout_s: expected seconds, 0 or more, got '2'"),
        ({"start_timeout_s": math.nan}, "start_timeout_s: expected seconds"),
    ],
)
def test_options__that_cannot_be__refused_without_the_key(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as refused:
        Client(**{"url": "https://prompts.example.com", "key": KEY, **options})

    assert "secr" not in str(refused.value)


def test_key_file__missing__refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERINUS_KEY_FILE", "/nowhere/key")

    with pytest.raises(InvalidOption, match="SERINUS_KEY_FILE: cannot read '/nowhere/key'"):
        Client("https://prompts.example.com")


def test_nothing_known__not_ready_and_told_why(server: RulesetServer, connect: Callable[..., Client]) -> None:
    server.stop()

    client = connect()

    with pytest.raises(NotReady, match="neither cache nor bundle had one, and of the server: ConnectionRefusedError"):
        client.get("greeting")
    assert (client.status().source, client.status().age_s, client.status().stale) == ("none", None, True)


def test_status__live(connect: Callable[..., Client]) -> None:
    status = connect().status()

    assert (status.source, status.generation, status.prompts, status.stale) == ("live", 40, 2, False)
    assert status.age_s is not None
    assert 0 <= status.age_s < 60
    assert (status.last_error, status.reports_error) == (None, None)
    assert (status.reports_queued, status.reports_sent, status.reports_dropped, status.reports_refused) == (0, 0, 0, 0)


def test_cache__server_down_at_the_next_start__last_known_served_until_it_comes(
    server: RulesetServer, connect: Callable[..., Client]
) -> None:
    connect().close()
    server.stop()

    client = connect()
    from_cache = (version_of(client), client.status())
    server.change(greeting=AFTER)
    server.start()
    until(lambda: version_of(client) == "v2.3")

    assert from_cache[0] == "v2.2"
    assert (from_cache[1].source, from_cache[1].stale, from_cache[1].generation) == ("cache", True, 40)
    until(lambda: client.status().source == "live")


def test_cache__server_up_and_nothing_new__confirmed_by_304(
    server: RulesetServer, connect: Callable[..., Client]
) -> None:
    connect().close()
    asked = len(server.queries)

    client = connect()

    assert client.status().source == "live"
    assert server.queries[asked] == {"since": ["40"]}
    assert server.headers[asked]["If-None-Match"] == f'"{server.digest}"'


def test_cache__private_whole_and_without_the_key(
    server: RulesetServer, connect: Callable[..., Client], tmp_path: Path
) -> None:
    client = connect()
    until(lambda: cache_files(tmp_path))
    client.close()

    (file,) = cache_files(tmp_path)
    assert file.parent == tmp_path / "cache" / "serinus"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert KEY.encode() not in file.read_bytes()
    assert list(file.parent.iterdir()) == [file]


def test_cache__ten_changes__written_at_the_first_and_at_the_end(
    server: RulesetServer, connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr("serinus.disk.Cache.save", lambda _, kept: saved.append(kept.ruleset.generation))
    client = connect()

    for i in range(10):
        server.change(greeting=prompt("greeting", production=("v2.3", "v2.2")[i % 2]))
        until(lambda: client.status().generation == server.generation)
    client.close()

    assert saved == [40, 50]


@pytest.mark.parametrize("others", [{"key": "ser_another"}, {"labels": ["production"]}])
def test_cache__of_another_key_or_choice__not_used(
    server: RulesetServer, connect: Callable[..., Client], others: dict[str, Any]
) -> None:
    connect().close()
    server.stop()

    assert connect(**others).status().source == "none"


def test_cache_dir__given_or_false(server: RulesetServer, connect: Callable[..., Client], tmp_path: Path) -> None:
    connect(cache_dir=False).close()
    assert cache_files(tmp_path) == []

    connect(cache_dir=tmp_path / "own" / "folder").close()
    assert [file.parent for file in cache_files(tmp_path)] == [tmp_path / "own" / "folder"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"Extract", b"Swallow"),
        lambda content: content.replace(b" 1 ", b" 2 ", 1),
        lambda content: b"\x00" * len(content),
        lambda content: content.replace(b"serinus-cache", b"serinus-bundle"),
    ],
)
def test_cache__spoilt__ignored_with_one_warning_and_replaced(
    server: RulesetServer,
    connect: Callable[..., Client],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[bytes], bytes],
) -> None:
    connect().close()
    (file,) = cache_files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(spoil(whole))
    server.stop()

    with caplog.at_level(logging.WARNING, "serinus"):
        client = connect()
    found = (client.status().source, [message for message in caplog.messages if "is ignored" in message])
    server.start()
    until(lambda: client.status().source == "live")
    client.close()
    server.stop()

    assert found == ("none", [caplog.messages[0]])
    assert connect().status().source == "cache"


@pytest.mark.parametrize("folder", ["file", "file/cache", "nul\0"], ids=["file", "in a file", "NUL"])
def test_cache__folder_that_cannot_be_written__one_warning_and_no_harm(
    server: RulesetServer, connect: Callable[..., Client], tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    (tmp_path / "file").write_text("in the way")

    with caplog.at_level(logging.WARNING, "serinus"):
        client = connect(cache_dir=tmp_path / folder)
        server.change(greeting=AFTER)
        until(lambda: version_of(client) == "v2.3")
        client.close()

    (told,) = caplog.messages
    assert str(tmp_path / folder) in told


@pytest.mark.parametrize("error", [RuntimeError, KeyError])  # of Python from 3.10 on, and before
def test_cache__user_without_a_home__none(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def home() -> Path:
        raise error

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("serinus.disk.Path.home", home)

    assert connect().status().source == "live"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": ["greeting"]}, "name: expected text, got list"),
        ({"name": None}, "name: expected text, got NoneType"),
        ({"label": ["production"]}, "label: expected text, got list"),
        ({"label": None}, "label: expected text, got NoneType"),
        ({"unit": 10**5000}, "unit: expected text, a whole number of at most 4300 digits"),
        ({"unit": ["user-1"]}, "unit: expected text, .* or None, got list"),
    ],
    ids=lambda value: str(list(value)) if isinstance(value, dict) else value,
)
def test_get__of_another_type__named_and_told_what_is_expected(
    connect: Callable[..., Client], asked: dict[str, Any], message: str
) -> None:
    client = connect()

    with pytest.raises(WrongType, match=message):
        client.get(**{"name": "greeting", **asked})


def test_score_and_call__what_they_cannot_be__counted_and_not_raised(connect: Callable[..., Client]) -> None:
    client = connect()

    client.score("helpfulness", 10**5000, exposure="rol_1:0:canary:182")
    client.score(["helpfulness"], {1}, prompt=object(), label=range(3))  # type: ignore[arg-type]
    client.call(object())  # type: ignore[arg-type]
    client.call("greeting", self=object(), messages=nested(100_000))  # type: ignore[arg-type]

    assert (client.status().reports_refused, client.status().reports_queued) == (4, 0)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("timeout_s", [math.inf, 1e12, 0])
def test_flush__any_time__kept_to(connect: Callable[..., Client], timeout_s: float) -> None:
    client = connect()
    client.call("greeting")

    flushed = client.flush(timeout_s)

    assert flushed or timeout_s == 0


def test_flush__no_time__named(connect: Callable[..., Client]) -> None:
    with pytest.raises(InvalidOption, match="timeout_s: expected seconds, 0 or more, got nan"):
        connect().flush(math.nan)


def test_threads__fifty_while_labels_change__always_a_whole_answer(
    server: RulesetServer, connect: Callable[..., Client]
) -> None:
    server.change(order=prompt("order", split=rollout(5000)))
    client, wrong, done = connect(), [], threading.Event()

    def get_until_done(unit: str) -> None:
        while not done.wait(0.001):  # or else none of fifty would leave the follower its turn
            found = client.get("order", unit=unit)
            arm = (found.rollout or {"arm": "label"})["arm"]
            number = {"canary": "v2.3", "control": "v2.2", "label": "v2.2"}[arm]
            if (found.version, found.reason, found.trace["gen_ai.prompt.version"]) != (number, arm, number):
                wrong.append(found)

    threads = [threading.Thread(target=get_until_done, args=[f"user-{i}"]) for i in range(50)]
    for thread in threads:
        thread.start()
    for i in range(20):
        server.change(order=prompt("order", split=rollout(500 * i) if i % 2 else None))
        until(lambda: client.status().generation == server.generation)
    done.set()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_close__twice__threads_gone_and_get_goes_on(connect: Callable[..., Client]) -> None:
    client = connect()

    client.close()
    client.close()

    assert "serinus-follower" not in {thread.name for thread in threading.enumerate()}
    assert version_of(client) == "v2.2"


def test_client__forgotten__its_threads_end_without_holding_up_anybody(
    server: RulesetServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr("serinus.client.Reports.close", lambda *_: ended.wait(10))
    client = Client(server.url, key=KEY, start_timeout_s=10)

    began = time.monotonic()
    del client
    gc.collect()
    took_s = time.monotonic() - began
    ended.set()

    assert took_s < 5  # and not the 10 s of closing
    until(lambda: not {"serinus-follower", "serinus-end"} & {thread.name for thread in threading.enumerate()})


def test_python_exits__without_close__at_once_and_quietly(server: RulesetServer) -> None:
    began = time.monotonic()
    printed = run_app(server.url, "import serinus; print(serinus.Client(start_timeout_s=10).get('greeting').version)")

    assert printed == "v2.2\n"
    assert time.monotonic() - began < 20  # and not the 20 to 25 s of a request that waits


def test_start__no_thread_can_be_started__named(server: RulesetServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot)
        with pytest.raises(Error, match="could not be started: can't start new thread"):
            Client(server.url, key=KEY)


def test_start__server_that_never_answers__in_its_time(server: RulesetServer, connect: Callable[..., Client]) -> None:
    over = threading.Event()
    server.misbehave = lambda request: over.wait(10)

    began = time.monotonic()
    client = connect(start_timeout_s=0.2)
    took_s = time.monotonic() - began
    over.set()
    server.misbehave = None

    assert 0.2 <= took_s < 5
    until(lambda: client.status().source == "live")


def test_score_and_call__reach_the_server_with_what_the_prompt_was_assigned(
    server: RulesetServer, connect: Callable[..., Client]
) -> None:
    server.change(order=prompt("order", split=rollout(0)))
    client = connect()
    found = client.get("order", unit="user-2")

    client.score("helpfulness", 0.9, prompt=found, comment="quick")
    ids = client.call(found, input_tokens=812)
    flushed = client.flush(timeout_s=10)

    (score,), (call,) = server.reports["/api/v1/scores"], server.reports["/api/v1/calls"]
    assert flushed
    assert client.status().reports_sent == 2
    assert (score["name"], score["value"], score["comment"], score["source"]) == ("helpfulness", 0.9, "quick", "user")
    assert score["exposure"] == call["exposure"] == "rol_06b3t2k9w0x4y8z1c5d7:1:control:187"
    assert (call["prompt"], call["version"], call["label"]) == ("order", "v2.2", "production")
    assert (call["input_tokens"], call["span_id"]) == (812, ids.span_id if ids else None)


def test_async_client__starts_and_closes_beside_the_loop(server: RulesetServer) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def use() -> str:
        ticking = asyncio.create_task(tick())
        async with AsyncClient(server.url, key=KEY, start_timeout_s=10) as client:
            async with client.get("greeting") as found:
                rendered = found.render(order="x")
            assert client.status().source == "live"
        ticking.cancel()
        return rendered

    assert asyncio.run(use()) == "Extract x"
    assert ticks > 10
    assert "serinus-follower" not in {thread.name for thread in threading.enumerate()}


def test_async_client__started_and_closed_twice_at_once__one_client(server: RulesetServer) -> None:
    async def use() -> tuple[str, int]:
        client = AsyncClient(server.url, key=KEY, start_timeout_s=10)
        await asyncio.gather(client.start(), client.start(), client.start())
        followers = [thread for thread in threading.enumerate() if thread.name == "serinus-follower"]
        await asyncio.gather(client.close(), client.close())
        return version_of(client), len(followers)

    assert asyncio.run(use()) == ("v2.2", 1)


def test_async_client__score_before_the_start__sent(server: RulesetServer) -> None:
    async def use() -> bool:
        client = AsyncClient(server.url, key=KEY, start_timeout_s=10)
        client.score("helpfulness", 1, response_id="chatcmpl-1")
        async with client:
            return await client.flush(10)

    assert asyncio.run(use())
    assert [score["name"] for score in server.reports["/api/v1/scores"]] == ["helpfulness"]


def test_async_client__bundle_that_is_none__refused_at_the_start_and_again(tmp_path: Path) -> None:
    client = AsyncClient("http://127.0.0.1:9", key=KEY, bundle=tmp_path / "none")

    for _ in range(2):
        with pytest.raises(BundleRefused):
            asyncio.run(client.start())
    asyncio.run(client.close())


def test_async_client__not_started__told_how() -> None:
    with pytest.raises(NotReady, match="use `async with`"):
        AsyncClient("https://prompts.example.com", key=KEY).get("greeting")


def test_package__says_what_it_offers() -> None:
    assert all(hasattr(serinus, name) for name in serinus.__all__)
