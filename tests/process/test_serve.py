"""`manage.py serve`: up in one line, gone without a trace, and nothing that dies stays dead."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.management.commands.serve import Command
from tests import migrated
from tests.process.server import (
    HOST,
    Server,
    serving,
    started,
    wait_until,
    wait_until_gone,
)

GONE_WITHIN_S = 10
"""product.md, section 9: SIGTERM ends everything within 10 s."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For tests that leave it as well as they found it."""
    with serving(migrated.installation(tmp_path_factory.mktemp("serve")), "--workers", "2") as server:
        yield server


def test_serve__empty_folder__ready_said_in_one_line(tmp_path: Path) -> None:
    begun = time.monotonic()

    with serving(tmp_path / "new") as server:
        took_s = time.monotonic() - begun

        assert server.get("/livez") == 200
        assert server.get("/readyz") == 200
        assert server.output.splitlines() == [
            f"Serinus is ready at http://{HOST}:{server.port}, its data in {tmp_path}/new/serinus.sqlite3"
        ]
        assert set(server.children()) == {"web", "cluster", "evaluator", "sender", "judges"}
        assert {os.getpgid(process.pid) for process in server.tree()} == {server.process.pid}
    print(f"`manage.py serve` was ready after {took_s:.1f} s")  # noqa: T201 (pytest -rP shows it)


def test_serve__sigterm__ends_everything_with_status_0(tmp_path: Path) -> None:
    with serving(migrated.installation(tmp_path)) as server, socket.create_connection((HOST, server.port)) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and the connection is kept alive
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        tree = server.tree()

        server.process.terminate()

        assert server.process.wait(GONE_WITHIN_S) == 0
        wait_until_gone(tree, within_s=0.5)
        assert server.log == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "sigterm"])
def test_serve__signal_to_the_whole_group__ends_everything_with_status_0(tmp_path: Path, number: int) -> None:
    with serving(migrated.installation(tmp_path)) as server:
        tree = server.tree()

        os.killpg(server.process.pid, number)

        assert server.process.wait(GONE_WITHIN_S) == 0
        wait_until_gone(tree, within_s=0.5)
        assert "Traceback" not in server.log


def test_serve__sigterm_while_starting__ends_everything(tmp_path: Path) -> None:
    with started(migrated.installation(tmp_path)) as server:
        wait_until(lambda: len(server.tree()) > 1, within_s=30)
        tree = server.tree()

        server.process.terminate()

        assert server.process.wait(GONE_WITHIN_S) == 0
        wait_until_gone(tree, within_s=0.5)


def test_serve__killed__its_processes_end_too(tmp_path: Path) -> None:
    with serving(migrated.installation(tmp_path)) as server:
        tree = server.tree()

        server.process.kill()

        wait_until_gone(tree, within_s=GONE_WITHIN_S)


def test_serve__every_process_killed__all_start_again(server: Server) -> None:
    first = server.children()
    tree = server.tree()[1:]

    for child in first.values():
        child.kill()

    wait_until_gone(tree, within_s=GONE_WITHIN_S)
    wait_until(lambda: set(server.children()) == set(first), within_s=30)
    wait_until(lambda: server.get("/readyz") == 200, within_s=30)
    assert {child.pid for child in server.children().values()}.isdisjoint(child.pid for child in first.values())
    assert server.log.count("serve.process_died") == len(first)


def test_serve__web_worker_killed__replaced_and_the_other_answers(server: Server) -> None:
    web = server.children()["web"]
    wait_until(lambda: len(web.children()) == 2, within_s=30)
    killed, other = web.children()

    killed.kill()
    wait_until_gone([killed], within_s=5)

    # A connection that the kernel had already given to the killed one is reset; the next is answered.
    wait_until(lambda: server.get("/livez") == 200, within_s=5)
    wait_until(lambda: len([child for child in web.children() if child not in {killed, other}]) == 1, within_s=30)


def test_serve__port_taken__says_so(server: Server, tmp_path: Path) -> None:
    with started(tmp_path, port=server.port) as second:
        status = second.process.wait(30)

    assert status == 1
    assert f"Cannot listen at {HOST} port {server.port}: Address already in use; choose another" in second.log
    assert second.output == ""
    assert server.get("/readyz") == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SERINUS_BASE_URL": "example.org"}, "SERINUS_BASE_URL: expected"),
        ({"SERINUS_SECRET_KEY": "short"}, "serinus.E001"),
        ({"DATABASE_URL": f"postgres://nobody@{HOST}:1/serinus?connect_timeout=2"}, "The database does not answer"),
    ],
)
def test_serve__setting_that_cannot_work__named(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    with started(tmp_path, **settings) as server:
        status = server.process.wait(30)

    assert status == 1
    assert message in server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize("arguments", [("--host", "example.org"), ("--port", "0"), ("--workers", "-1")])
def test_serve__argument_that_cannot_work__named(
    arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "serve", *arguments])

    assert ended.value.code == 2
    assert f"argument {arguments[0]}: expected" in capsys.readouterr().err
