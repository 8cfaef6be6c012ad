"""The server under demonstration: `manage.py serve` as its own process, in a temporary data folder."""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from demo.api import Api
from demo.errors import DemoFailed

HOST = "127.0.0.1"
MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
PREFERRED_PORT = 8000
READY_WITHIN_S = 60
ENDS_WITHIN_S = 15
"""The server promises 10 s after SIGTERM."""

NOT_HANDED_ON = ("SERINUS_", "DJANGO_", "DATABASE_URL")


@dataclass(slots=True)
class Server:
    """A running server. password: of the admin user `demo`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    key: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def api(self) -> Api:
        """A connection of its own, with the demo's key."""
        return Api(HOST, self.port, self.key)

    def check(self) -> None:
        if self.process.poll() is not None:
            raise DemoFailed(f"The server ended by itself with status {self.process.returncode}")

    def last_words(self) -> str:
        log = (self.folder / "server.log").read_text(errors="replace")
        return "The end of the server's log:\n" + "\n".join(log.splitlines()[-15:])

    def manage(self, *command: str, **environment: str) -> str:
        """What one of the management commands prints, run on this server's data."""
        done = subprocess.run(
            [sys.executable, MANAGE, *command],
            env=_environment(self.folder) | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoFailed(f"manage.py {command[0]} failed:\n{done.stderr.strip()}")
        return done.stdout.strip()


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """A ready server with a key of all scopes and an admin user; afterwards no process and no folder is left.

    settings: its environment variables, beside those of every demo.
    """
    with tempfile.TemporaryDirectory(prefix="serinus-demo-") as folder:
        server = _start(Path(folder), free_port(PREFERRED_PORT), settings)
        try:
            _wait_until_ready(server)
            server.key = server.manage("create_key", "demo", "--scopes", "read,ingest,write,admin")
            server.password = secrets.token_urlsafe(12)
            server.manage(
                "createsuperuser",
                "--noinput",
                "--username=demo",
                "--email=demo@example.com",
                DJANGO_SUPERUSER_PASSWORD=server.password,
            )
            yield server
        except Exception as error:
            error.add_note(server.last_words())
            raise
        finally:
            _end(server.process)


def free_port(preferred: int) -> int:
    """The preferred port when nobody listens there, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise DemoFailed("No port of this machine is free")


def _start(folder: Path, port: int, settings: Mapping[str, str]) -> Server:
    # In a session of its own, so that Ctrl-C reaches the demo alone, which then ends the server in order.
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, MANAGE, "serve", "--host", HOST, "--port", str(port)],
            env={**_environment(folder), **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(folder, port, process)


def _environment(folder: Path) -> dict[str, str]:
    """The embedded default whatever the shell has set, in the demo's own folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_HANDED_ON)}
    # Webhooks go to public addresses, unless this says otherwise: the demo's receiver listens on this machine.
    return inherited | {"SERINUS_DATA_DIR": str(folder), "SERINUS_WEBHOOK_ALLOW": HOST}


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not _is_ready(server.port):
        server.check()
        if time.monotonic() > deadline:
            raise DemoFailed(f"The server was not ready within {READY_WITHIN_S} s")
        time.sleep(0.1)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM and, for whatever is left when its time is over, SIGKILL to the whole group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_WITHIN_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
