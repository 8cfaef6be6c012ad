"""The servers that are compared, the processes beside them, and a single request to any of them."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bare_server import WORKERS
from benchmarks.ingestion.servers import is_listening
from benchmarks.serve.answer import FILE, Answer
from tests.process.server import HOST, MANAGE, environment, free_port, serving, wait_until

QUIET = {"SERINUS_LOG_LEVEL": "WARNING"}
ADDED = {"server", "date"}
"""Headers of the HTTP server's own."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. web: its process that takes requests, or the parent of those."""

    port: int
    web: psutil.Process

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=30)) as connection:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            kept = {name: value for name, value in told.items() if name not in ADDED}
            return Answer(answer.status, kept, answer.read().decode())

    def served_version(self, prompt: str, headers: Mapping[str, str]) -> str:
        return str(json.loads(self.ask(f"/prompts/{prompt}", headers).body)["version"])


@contextmanager
def serinus(folder: Path) -> Iterator[Running]:
    """`manage.py serve` as users start it. Its background work is not counted."""
    with serving(folder, "--workers", str(WORKERS)) as server:
        yield Running(server.port, server.children()["web"])


@contextmanager
def constant(kind: str, answer: Path) -> Iterator[Running]:
    """benchmarks/serve/bare_<kind>.py, giving back the answer in the file."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_server", f"benchmarks.serve.bare_{kind}:application"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=MANAGE.parent,
        env=environment(answer.parent / f"bare-{kind}") | {FILE: str(answer)},
    )
    try:
        wait_until(lambda: is_listening(port), within_s=30)
        yield Running(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def filled(folder: Path) -> str:
    """Make the folder a server's with all the prompts; returns a key."""
    env = environment(folder) | QUIET
    folder.mkdir()
    subprocess.run([sys.executable, MANAGE, "migrate", "-v0"], env=env, check=True)
    return run_inside(folder, "prompts.fill").split()[-1]


def state(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_inside(folder, "state.measure"))
    return found


def run_inside(folder: Path, function: str) -> str:
    """What one of these modules' functions prints, run on the data in the folder."""
    env = environment(folder) | QUIET
    return subprocess.run(
        shell(function), env=env, cwd=MANAGE.parent, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def shell(function: str) -> list[str]:
    module, _, name = function.partition(".")
    code = f"from benchmarks.serve.{module} import {name}; {name}()"
    return [sys.executable, str(MANAGE), "shell", "-v0", "-c", code]


class Mover:
    """A process that moves labels by the service that the API calls, when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, seconds: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def told(self) -> dict[str, Any]:
        """How it went: took_s, and the last move's prompt `name` and `version`. Waits until it is done."""
        assert self._process.stdout
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def mover(folder: Path) -> Iterator[Mover]:
    process = subprocess.Popen(
        shell("prompts.move_labels"),
        env=environment(folder) | QUIET,
        cwd=MANAGE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # which closes its input, and so ends it
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield Mover(process)
