"""Clients that send prepared bodies as fast as they are answered, and what that costs the processes that answer."""

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import psutil

CONNECTIONS = 8
SAMPLE_EVERY_S = 0.1
REFUSED = "a request was answered {status}: {body!r}"


@dataclass(frozen=True, slots=True)
class Load:
    """What was sent and answered. latencies_s: of each request."""

    seconds: float
    latencies_s: Sequence[float]

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3


def send(port: int, bodies: Sequence[bytes], headers: dict[str, str]) -> Load:
    """Send the bodies over several connections at once. Raises RuntimeError unless each is answered 200."""
    waiting, latencies, failures = iter(bodies), list[float](), list[str]()
    taking = threading.Lock()

    def client() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            while not failures:
                with taking:
                    body = next(waiting, None)
                if body is None:
                    return
                started = time.perf_counter()
                connection.request("POST", "/v1/traces", body, headers)
                answer = connection.getresponse()
                told = answer.read()
                latencies.append(time.perf_counter() - started)
                if answer.status != 200:
                    failures.append(REFUSED.format(status=answer.status, body=told[:200]))

    clients = [threading.Thread(target=client) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    took = time.perf_counter() - started
    if failures or len(latencies) != len(bodies):
        raise RuntimeError(failures[0] if failures else "a connection broke")
    return Load(took, latencies)


def cpu_s(root: psutil.Process) -> float:
    """User and system time of a process and all below it, those that have ended included."""
    return sum(sum(process.cpu_times()[:4]) for process in tree(root))


def tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


@dataclass(slots=True)
class Peak:
    """The most memory that one of some processes had, in MB."""

    mb: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def peak_memory(processes: Sequence[psutil.Process]) -> Iterator[Peak]:
    peak = Peak()

    def sample() -> None:
        while not peak.done.wait(SAMPLE_EVERY_S):
            peak.mb = max(peak.mb, memory_mb(processes))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peak
    finally:
        peak.done.set()
        sampler.join()
        peak.mb = max(peak.mb, memory_mb(processes))


def memory_mb(processes: Sequence[psutil.Process]) -> float:
    """The resident memory of the one that has most."""
    most = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            most = max(most, process.memory_info().rss / 2**20)
    return most
