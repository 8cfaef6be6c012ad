"""Requests by wrk, as fast as they are answered, and what came of them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "units.lua"
INSTALL = ("apt-get", "install", "--yes", "--quiet", "wrk")


@dataclass(frozen=True, slots=True)
class Load:
    """What was answered. bytes: of all answers, headers included."""

    requests: int
    took_us: int
    bytes: int
    p50_us: int
    p99_us: int
    refused: int
    broken: int
    late: int

    @property
    def failures(self) -> int:
        """Answers of 400 and above, connections that broke, answers that took over two seconds."""
        return self.refused + self.broken + self.late

    @property
    def per_s(self) -> float:
        return self.requests / self.took_us * 1e6


def require_wrk() -> None:
    """Install wrk when it is missing and may be installed; else end with what to do."""
    if shutil.which("wrk"):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        sys.exit(f"This benchmark needs wrk. On Debian, as root: {' '.join(INSTALL)}")
    subprocess.run(INSTALL, check=True, stdout=subprocess.DEVNULL)


def send(url: str, headers: Mapping[str, str], *, connections: int, seconds: int) -> Load:
    """Keep that many connections busy for that long, with one thread."""
    given = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--latency"]
    told = subprocess.run([*command, *given, "--script", SCRIPT, url], check=True, capture_output=True, text=True)
    return read(told.stdout)


def read(output: str) -> Load:
    """What the script has told, on the last line."""
    return Load(**json.loads(output.splitlines()[-1]))
