"""The demo's server as a process of its own, played by a small script; and the connections to it."""

import json
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from demo import order_app, server
from demo.api import Api, Refused
from demo.crew import Crew
from demo.errors import DemoFailed
from demo.server import HOST, free_port, running

MANAGE = """
import http.server, json, os, sys

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

print("command", sys.argv[1], flush=True)
if sys.argv[1] == "serve":
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[5])), Ready).serve_forever()
elif sys.argv[1] == "environment":
    print(json.dumps(dict(os.environ)))
elif sys.argv[1] == "broken":
    sys.exit("no such table")
"""


@pytest.fixture(autouse=True)
def _manage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "manage.py"
    script.write_text(MANAGE)
    monkeypatch.setattr(server, "MANAGE", script)
    monkeypatch.setattr(server, "PREFERRED_PORT", 0)  # a test of another process may be about to take the usual one


def test_running__end__no_process_and_no_folder_left() -> None:
    with running() as started:
        assert started.folder.is_dir()

    assert not started.folder.exists()
    assert started.process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(started.process.pid, 0)


def test_running__failure__names_the_servers_last_words_and_leaves_nothing() -> None:
    with pytest.raises(DemoFailed) as failure, running() as started:
        raise DemoFailed("something came out wrong")

    assert "command serve" in failure.value.__notes__[0]
    assert not started.folder.exists()


def test_running__server_dies__check_says_so() -> None:
    with running() as started:
        started.process.kill()
        started.process.wait()

        with pytest.raises(DemoFailed, match="ended by itself with status -9"):
            started.check()


def test_manage__settings_of_the_shell__not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/else")
    monkeypatch.setenv("SERINUS_DATA_DIR", "/somewhere/else")

    with running() as started:
        environment = json.loads(started.manage("environment").splitlines()[-1])

    assert "DATABASE_URL" not in environment
    assert environment["SERINUS_DATA_DIR"] == str(started.folder)


def test_manage__command_fails__says_why() -> None:
    with pytest.raises(DemoFailed, match="no such table"), running() as started:
        started.manage("broken")


def test_free_port__preferred_is_free__taken() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        free = probe.getsockname()[1]

    assert free_port(preferred=free) == free


def test_free_port__somebody_listens_there__another() -> None:
    with socket.create_server((HOST, 0)) as listener:
        taken = listener.getsockname()[1]

        assert free_port(preferred=taken) != taken


def test_api__refused__tells_the_problem(httpserver: HTTPServer) -> None:
    problem = {"code": "unknown_prompt", "detail": "There is no prompt x"}
    httpserver.expect_request("/prompts/x").respond_with_json(problem, status=404)

    with pytest.raises(Refused, match=r"GET /prompts/x was answered 404: There is no prompt x \(unknown_prompt\)"):
        Api(httpserver.host, httpserver.port, "key").get("/prompts/x")


def test_api__every_request__carries_the_key(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v1/prompts", "POST", headers={"Authorization": "Bearer key"}).respond_with_json({})

    assert Api(httpserver.host, httpserver.port, "key").post("/api/v1/prompts", {"name": "x"}) == {}


def test_versions_served__customers__each_asked_for_once(httpserver: HTTPServer) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers["Serinus-Unit"])
        return Response(json.dumps({"version": "v2.2" if len(seen) % 10 else "v2.3"}))

    httpserver.expect_request("/prompts/order-extractor").respond_with_handler(answer)
    with running() as started:
        started.port = httpserver.port

        answers = order_app.versions_served(started, 50)

    assert answers == Counter({"v2.2": 45, "v2.3": 5})  # every tenth answer
    assert len(set(seen)) == 50


def test_crew__a_thread_raises__check_raises_it() -> None:
    def fail() -> None:
        raise DemoFailed("in a thread")

    crew = Crew()
    with crew:
        crew.start(fail)

    with pytest.raises(DemoFailed, match="in a thread"):
        crew.check()


def test_crew__end__waits_for_threads() -> None:
    ended: list[bool] = []

    with Crew() as crew:
        crew.start(lambda: ended.append(crew.stopping.wait(5)))

    assert ended == [True]
