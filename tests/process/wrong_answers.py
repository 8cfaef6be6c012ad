"""How long after a rollback a unit still gets the canary: over HTTP from any of the processes, and from SDK clients."""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import serinus
from tests.process.server import HOST

ASKERS = 8
"""Over HTTP, each on a new connection for each request, so that every process is asked again and again."""


@dataclass(frozen=True, slots=True)
class LastWrong:
    """Seconds from just before the rollback was asked for, thus from before its commit; 0 when none was wrong."""

    http_s: float
    sdk_s: float


def last_wrong(
    port: int,
    key: str,
    clients: Sequence[serinus.Client],
    *,
    name: str,
    unit: str,
    canary: str,
    roll_back: Callable[[], object],
) -> LastWrong:
    """Roll back, and watch for two seconds. The unit is one of the canary's, and everybody knows it."""
    began = time.monotonic()
    until = began + 2
    with ThreadPoolExecutor(ASKERS + 1) as threads:
        asked = [threads.submit(_watch, partial(_served, port, key, name, unit), canary, until) for _ in range(ASKERS)]
        sdk = threads.submit(_watch_all, clients, name, unit, canary, until)
        roll_back()
    last_asked = max(future.result() for future in asked)
    assert last_asked > 0, "no process has served the canary: nothing was measured"
    return LastWrong(max(0.0, last_asked - began), max(0.0, sdk.result() - began))


def _watch(served: Callable[[], str], canary: str, until: float) -> float:
    """When an answer last was the canary, as of its end; 0 for never."""
    last = 0.0
    while time.monotonic() < until:
        if served() == canary:
            last = time.monotonic()
    return last


def _watch_all(clients: Sequence[serinus.Client], name: str, unit: str, canary: str, until: float) -> float:
    last = 0.0
    while time.monotonic() < until:
        if any(client.get(name, unit=unit).version == canary for client in clients):
            last = time.monotonic()
        time.sleep(0.002)
    return last


def _served(port: int, key: str, name: str, unit: str) -> str:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", f"/prompts/{name}?unit={unit}", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200, body
        return str(body["version"])
