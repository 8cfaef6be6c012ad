"""Does the memory of a process grow? Its resident size without the pages of files, which a forked process gets only as
it first comes by them, every two seconds, and the line that fits it best."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import psutil

from benchmarks.soak.installation import Service

SAMPLE_EVERY_S = 2.0
WARM_UP_S = 60.0  # of a process: what it imports, its connections, its caches, which are bounded and fill
SHORTEST_S = 45.0
MB = 1e6
MOST_RISE = 0.05  # of its mean, over the time that it was watched
MOST_RISE_MB = 5.0  # or this
MOST_RISE_OF_TASKS_MB = 12.0  # or this of a cluster's process: a task that it first runs late is a step of some 6 MB


@dataclass(frozen=True, slots=True)
class Growth:
    """Of one process. rise_mb: by the fitted line, over the seconds that it was watched after its warm-up."""

    role: str
    mean_mb: float
    rise_mb: float
    seconds: float

    @property
    def flat(self) -> bool:
        least_mb = MOST_RISE_OF_TASKS_MB if self.role == "cluster process" else MOST_RISE_MB
        return self.rise_mb <= max(MOST_RISE * self.mean_mb, least_mb)


class Samples:
    def __init__(self) -> None:
        self._of: dict[tuple[str, int, float], list[tuple[float, float]]] = {}

    def take(self, services: Sequence[Service]) -> None:
        for service in services:
            for process in service.tree():
                with suppress(psutil.Error, IndexError, ValueError):  # it is about to begin, or to end
                    key = role(service, process), process.pid, process.create_time()
                    at = time.time() - process.create_time()
                    self._of.setdefault(key, []).append((at, resident_mb(process)))

    def growth(self) -> list[Growth]:
        """Of every process that was watched for long enough."""
        found = []
        for (name, _, _), samples in sorted(self._of.items()):
            warm = np.array([sample for sample in samples if sample[0] > WARM_UP_S])
            if len(warm) > 2 and (seconds := warm[-1, 0] - warm[0, 0]) >= SHORTEST_S:
                slope = np.polyfit(warm[:, 0], warm[:, 1], 1)[0]
                found.append(Growth(name, float(warm[:, 1].mean()), float(slope * seconds), float(seconds)))
        return found


def resident_mb(process: psutil.Process) -> float:
    memory = process.memory_info()
    return float(memory.rss - memory.shared) / MB


def role(service: Service, process: psutil.Process) -> str:
    """`web`, `web process`, `worker`, `cluster`, `cluster process`, `evaluator`, `sender`."""
    if process.pid == service.process.pid:
        return service.name.partition("-")[0]
    command = process.cmdline()
    if service.name == "web":
        return "web process"
    name = command[command.index("config.supervised") + 2]
    parent = process.parent()
    return name if parent and parent.pid == service.process.pid else f"{name} process"


@contextmanager
def sampled(services: Sequence[Service]) -> Iterator[Samples]:
    samples, done = Samples(), threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            samples.take(services)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()
