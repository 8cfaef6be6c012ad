"""The processes of Serinus under one roof: started together, started again when one dies, ended together.

All stay in the supervisor's process group, so that Ctrl-C, and whoever kills the group, reaches every one of them; when
the supervisor itself is killed, they end with it (config.supervised).
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from types import FrameType

import psutil

from config.supervised import READY_FD

logger = logging.getLogger(__name__)

TICK_S = 0.1
PREPARE_EVERY_S = 1.0
GRACE_S = 6.0  # from SIGTERM to SIGKILL; `serve` promises to be gone within 10 s
SHORTEST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0  # a process that lived this long starts again after the shortest pause


class NotStarted(Exception):
    """A process ended before everything was up."""


@dataclass(frozen=True, slots=True)
class Program:
    """name: in logs and in the list of processes. command: the management command with its arguments.

    at_once: runs also before everything is prepared.
    """

    name: str
    command: tuple[str, ...]
    at_once: bool = False


class Supervisor:
    def __init__(self, programs: Sequence[Program], environment: Mapping[str, str]) -> None:
        self._announcements, ready_fd = os.pipe()
        os.set_blocking(self._announcements, False)
        self._children = [Child(program, environment, ready_fd) for program in programs]
        self._stopping = False
        self._patient = False  # the database was away: what dies before all is up is started again

    def run(self, *, prepared: Callable[[], bool], answers: Callable[[], bool], on_ready: Callable[[], None]) -> None:
        """Run everything until SIGTERM or SIGINT, then end it, within GRACE_S and a moment.

        Until prepared() is true, which is tried again and again and may hang, only what runs at once. on_ready is
        called once, as soon as every process has announced itself and answers() is true. Raises NotStarted when a
        process ends before that.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            self._wait_until_prepared(prepared)
            for child in self._children:
                child.start_first()
            if self._wait_until_up(answers):
                on_ready()
            while not self._stopping:
                for child in self._children:
                    child.keep_running()
                self._announced()  # also of those that were started again: the pipe must not fill
                time.sleep(TICK_S)
        finally:
            end_all_below()

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _wait_until_prepared(self, prepared: Callable[[], bool]) -> None:
        at_once = [child for child in self._children if child.program.at_once]
        attempt, tried_at = in_a_thread(prepared), time.monotonic()
        while not self._stopping:
            wait([attempt], TICK_S)
            if attempt.done():
                if attempt.result():
                    return
                self._patient = True
                if time.monotonic() - tried_at > PREPARE_EVERY_S:
                    attempt, tried_at = in_a_thread(prepared), time.monotonic()
                else:
                    time.sleep(TICK_S)
            for child in at_once:
                child.start_first()
                child.keep_running()

    def _wait_until_up(self, answers: Callable[[], bool]) -> bool:
        """True when everything is up, False when it was asked to stop before."""
        awaited = {child.program.name for child in self._children}
        while not self._stopping:
            for child in self._children:
                if self._patient:
                    child.keep_running()
                else:
                    child.check_alive()
            answering = answers()  # asked first: an idle web process first needs the database to answer this
            awaited -= self._announced()
            if answering and not awaited:
                return True
            time.sleep(TICK_S)
        return False

    def _announced(self) -> set[str]:
        """The names of the processes that came up since the last call."""
        try:
            return set(os.read(self._announcements, 65536).decode().split())
        except BlockingIOError:
            return set()


class Child:
    """A program's process, and when to start it again."""

    def __init__(self, program: Program, environment: Mapping[str, str], ready_fd: int) -> None:
        self.program = program
        self._environment = {**environment, READY_FD: str(ready_fd)}
        self._ready_fd = ready_fd
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_s = 0.0
        self._start_again_at: float | None = None

    def start_first(self) -> None:
        if self._process is None:
            self.start()

    def start(self) -> None:
        supervised = [sys.executable, "-m", "config.supervised", str(os.getpid()), self.program.name]
        self._process = subprocess.Popen(  # noqa: S603 (our own program, without a shell)
            [*supervised, *self.program.command], env=self._environment, pass_fds=[self._ready_fd]
        )
        self._started_at = time.monotonic()
        self._start_again_at = None

    def check_alive(self) -> None:
        if self._process and (status := self._process.poll()) is not None:
            raise NotStarted(f"The {self.program.name} process ended with status {status} while starting")

    def keep_running(self) -> None:
        """Start the process again when it has died, after a pause that doubles from death to death."""
        if self._process is None or self._process.poll() is None:
            return
        if self._start_again_at is None:
            self._start_again_at = time.monotonic() + self._next_pause_s()
            fields = {"child": self.program.name, "status": self._process.returncode, "again_in_s": self._pause_s}
            logger.error("serve.process_died", extra=fields)
        if time.monotonic() >= self._start_again_at:
            self.start()

    def _next_pause_s(self) -> float:
        steady = time.monotonic() - self._started_at > STEADY_AFTER_S
        self._pause_s = SHORTEST_PAUSE_S if steady else min(max(SHORTEST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        return self._pause_s


def in_a_thread(function: Callable[[], bool]) -> Future[bool]:
    """What the function will return or raise. Whoever waits for it can stop waiting, and the process can end."""
    future: Future[bool] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def end_all_below() -> None:
    """End every process below this one: its children by SIGTERM, whose children they end; after GRACE_S by SIGKILL."""
    everyone = psutil.Process().children(recursive=True)
    for child in psutil.Process().children():
        child.terminate()
    _, alive = psutil.wait_procs(everyone, timeout=GRACE_S)
    stragglers = {*alive, *psutil.Process().children(recursive=True)}
    for process in stragglers:
        logger.warning("serve.process_killed", extra={"pid": process.pid})
        with suppress(psutil.NoSuchProcess):  # it has ended since
            process.kill()
    psutil.wait_procs(stragglers, timeout=1)
