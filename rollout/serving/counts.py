"""What serving counts, exactly: over all threads, and over all processes of a data folder, the dead included.

Each process counts in a file of its own in the folder PROMETHEUS_MULTIPROC_DIR (config.settings), mapped into memory;
whoever is asked for /metrics adds the files up (config.metrics). The Prometheus library's counters for several
processes work alike, but two of them were a third of the time that an answer takes (docs/decisions/0023). Its gauges,
which are not on that path, are used.
"""

import itertools
import json
import logging
import mmap
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from prometheus_client import Gauge

SUFFIX = ".counts"
NUMBER, RECORD = 8, 256  # bytes: a record is a number, then the series' name as JSON, then zeros
MOST_SERIES = 4096  # of a process; what is beyond them is not counted, and logged

logger = logging.getLogger(__name__)
_lock = Lock()
_numbers: "memoryview[int]"


@dataclass(frozen=True, slots=True)
class Cell:
    """One series, as this process counts it."""

    at: int

    def inc(self) -> None:
        with _lock:
            _numbers[self.at] += 1


def count(cell: Cell, other: Cell | None) -> None:
    """One more of each, in one step."""
    with _lock:
        _numbers[cell.at] += 1
        if other is not None:
            _numbers[other.at] += 1


@dataclass(frozen=True)
class Counter:
    """A counter as Prometheus knows it, whose series differ in the values of its labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    cells: dict[tuple[str, ...], Cell] = field(default_factory=dict)

    def of(self, *values: str) -> Cell:
        """The series with these values of the labels, in their order; it is told as 0 from now on."""
        with _lock:
            if values not in self.cells:
                self.cells[values] = Cell(_place(json.dumps([self.name, *values]).encode()))
            return self.cells[values]


PROMPT_REQUESTS: Final = Counter(
    "serinus_prompt_requests",
    "Answers to GET /prompts/{name} and OFREP. reason: why this version was served, all_flags, or a refusal's code.",
    ("status", "reason"),
)
ASSIGNMENTS: Final = Counter(
    "serinus_assignments",
    "Answers that a rollout assigned, those without a body included.",
    ("rollout", "arm"),
)
RULESET_REQUESTS: Final = Counter(
    "serinus_ruleset_requests",
    "Answers to GET /ruleset. reason: complete, changes, unchanged, or a refusal's code.",
    ("status", "reason"),
)
COUNTERS = (PROMPT_REQUESTS, ASSIGNMENTS, RULESET_REQUESTS)

WAITING = Gauge(
    "serinus_ruleset_waiting",
    "Clients that wait for a change of the ruleset now.",
    multiprocess_mode="livesum",
)
STATE_AGE = Gauge(
    "serinus_serving_state_age_seconds",
    "For how long the database has not confirmed the state that is served; the greatest of the web processes.",
    multiprocess_mode="livemax",
)


@cache
def requests(status: int, reason: str) -> Cell:
    """Of `GET /prompts/{name}` and of flag evaluation. Both values come from closed sets, so that few are kept."""
    return PROMPT_REQUESTS.of(str(status), reason)


def totals(folder: Path) -> Mapping[Sequence[str], int]:
    """What all processes have counted in the folder, by the counter's name and the values of its labels."""
    found: dict[Sequence[str], int] = defaultdict(int)
    for file in folder.glob(f"*{SUFFIX}"):
        for name, number in _records(file.read_bytes()):
            found[tuple(json.loads(name))] += number
    return found


def _records(content: bytes) -> Iterator[tuple[bytes, int]]:
    for at in range(0, len(content), RECORD):
        name = content[at + NUMBER : at + RECORD].rstrip(b"\0")
        if not name:
            return
        yield name, int.from_bytes(content[at : at + NUMBER], sys.byteorder)


_names: list[bytes] = []
_file: mmap.mmap | None = None


def _place(name: bytes) -> int:
    """Where the numbers hold this series' one. Needs the lock."""
    file = _file or _begin()
    if len(_names) == MOST_SERIES - 1:
        logger.error("serving.too_many_series", extra={"series": name.decode()})
        return len(_names) * RECORD // NUMBER  # the last record, which has no name
    _write(file, len(_names), name)
    _names.append(name)
    return (len(_names) - 1) * RECORD // NUMBER


def _begin() -> mmap.mmap:
    """Count in a file of this process; in a fork, all series that its parent had, from 0 on."""
    global _file, _numbers
    try:
        _file = _new_file(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    except OSError as error:  # such as a full disk: serving goes on, and is not told by /metrics
        logger.error("serving.not_counted", extra={"error": repr(error)})
        _file = mmap.mmap(-1, MOST_SERIES * RECORD)
    _numbers = memoryview(_file).cast("Q")
    for index, name in enumerate(_names):
        _write(_file, index, name)
    return _file


def _write(file: mmap.mmap, index: int, name: bytes) -> None:
    start = index * RECORD + NUMBER
    file[start : start + len(name)] = name


def _new_file(folder: Path) -> mmap.mmap:
    """Named by the process; when one that is dead had the same id, its counts stay beside."""
    size = MOST_SERIES * RECORD
    for number in itertools.count():
        try:
            file = os.open(folder / f"{os.getpid()}_{number}{SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        try:
            os.posix_fallocate(file, 0, size)  # a full disk is told here, not by a signal later
            return mmap.mmap(file, size)
        finally:
            os.close(file)
    raise AssertionError("itertools.count has no end")


def _begin_in_fork() -> None:
    global _lock
    _lock = Lock()
    if _file is not None:
        _begin()


os.register_at_fork(after_in_child=_begin_in_fork)
