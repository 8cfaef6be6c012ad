"""`manage.py serve`, or the web server alone, as users start it: a process tree and a folder of its own."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.leaks import leaks

HOST = "127.0.0.1"
MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
KEY = "key"
"""The file of a folder that came with one (tests.migrated)."""

READY_WITHIN_S = 60
"""Generous, for a machine that runs other tests; on an idle one it is 2 s."""


@dataclass(frozen=True, slots=True)
class Server:
    """A started server, leader of its process group. folder: its data and its output. settings: from outside of it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    settings: Mapping[str, str]

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def get(self, path: str) -> int:
        """The status of the answer, 0 without one."""
        with suppress(OSError, http.client.HTTPException):
            return self.request("GET", path)[0]
        return 0

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of the answer. body: bytes, or an iterable of bytes that is sent in chunks."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        with closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def manage(self, *command: str) -> str:
        """What another management command prints, run on this server's data."""
        return manage(self.folder, *command, **self.settings)

    def key(self) -> str:
        """Of all scopes: the one that its folder came with, else a new one."""
        if (self.folder / KEY).exists():
            return (self.folder / KEY).read_text()
        return self.manage("create_key", "tests", "--scopes", "read,write,ingest,admin")

    def tree(self) -> list[psutil.Process]:
        """The server's process and all below it."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def children(self) -> dict[str, psutil.Process]:
        """The supervised processes, by name: `python -m config.supervised PARENT_PID NAME COMMAND…`."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has ended
                found[child.cmdline()[4]] = child
        return found

    def kill(self) -> None:
        """SIGKILL to every process at once, as a machine that fails ends them."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def started(
    folder: Path, *arguments: str, command: str = "serve", port: int | None = None, **settings: str
) -> Iterator[Server]:
    """A server that has begun to start; afterwards nothing of it is left but its folder."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    with (folder / "output").open("wb") as output, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, MANAGE, command, "--port", str(port), *arguments],
            env=environment(folder) | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
    server = Server(folder, port, process, settings)
    try:
        yield server
    finally:
        server.kill()
    assert not leaks(server.log)


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[Server]:
    """A server that has said that it is ready."""
    with started(folder, *arguments, **settings) as server:
        wait_until(lambda: "ready" in server.output or server.process.poll() is not None, READY_WITHIN_S)
        assert server.process.poll() is None, server.log
        yield server


@contextmanager
def serving_web_alone(folder: Path, *arguments: str, port: int | None = None, **settings: str) -> Iterator[Server]:
    """`run_web` that answers: all that most requests need, for a third of the processes. The folder is migrated."""
    with started(folder, *arguments, command="run_web", port=port, **settings) as server:
        wait_until(lambda: server.get("/readyz") == 200 or server.process.poll() is not None, READY_WITHIN_S)
        assert server.process.poll() is None, server.log
        yield server


def manage(folder: Path, *command: str, **settings: str) -> str:
    """What the management command prints."""
    env = environment(folder) | settings
    return subprocess.run(
        [sys.executable, MANAGE, *command], env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def environment(folder: Path) -> dict[str, str]:
    """The embedded default, whatever the test run itself uses."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SERINUS_", "DATABASE_URL"))}
    return inherited | {"SERINUS_DATA_DIR": str(folder)}


def new_database(address: str, name: str) -> str:
    """A database beside the one at the address; returns its own address."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    head, _, tail = address.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{'?' + tail if tail else ''}"


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], object], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.05)


def wait_until_gone(processes: list[psutil.Process], within_s: float) -> None:
    """Ended, or ended and waiting for their new parent to notice."""
    wait_until(lambda: not [process for process in processes if is_alive(process)], within_s)


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
