"""The supervisor with programs that misbehave."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.server import MANAGE, environment

SCRIPT = """
import logging, os, sys, threading
from config import supervisor
from config.supervisor import Program, Supervisor

logging.basicConfig(format="%(message)s")
supervisor.GRACE_S = 0.5
Supervisor([Program("odd", tuple(sys.argv[1:]))], os.environ).run(
    prepared=PREPARED, answers=lambda: True, on_ready=lambda: print("ready", flush=True)
)
"""
HANGING = "lambda: print('trying', flush=True) or threading.Event().wait()"
STUBBORN = """
import signal, time
from django.db import connection
signal.signal(signal.SIGTERM, signal.SIG_IGN)
connection.ensure_connection()
time.sleep(60)
"""


@pytest.fixture
def supervise(tmp_path: Path) -> list[str]:
    """The command line of a supervisor of one program; the program's management command comes after it."""
    return supervisor_that_is(tmp_path, "lambda: True")


def supervisor_that_is(folder: Path, prepared: str) -> list[str]:
    script = folder / "supervise.py"
    script.write_text(SCRIPT.replace("PREPARED", prepared))
    return [sys.executable, str(script)]


def run_in(folder: Path) -> dict[str, str]:
    return environment(folder) | {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(MANAGE.parent)}


def test_run__program_ends_before_it_is_up__fails_with_its_name(supervise: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*supervise, "no_such_command"], env=run_in(tmp_path), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "NotStarted: The odd process ended with status 1 while starting" in done.stderr
    assert "ready" not in done.stdout


def test_run__program_ignores_sigterm__killed_after_the_grace(supervise: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*supervise, "shell", "--no-imports", "-c", STUBBORN],
        env=run_in(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"

            process.terminate()
            _, log = process.communicate(timeout=10)

            assert process.returncode == 0
            assert "serve.process_killed" in log
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_run__sigterm_while_the_database_hangs__ends_all_the_same(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*supervisor_that_is(tmp_path, HANGING), "shell"], env=run_in(tmp_path), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "trying\n"

            process.terminate()

            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
