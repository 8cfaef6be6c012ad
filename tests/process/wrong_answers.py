"""How long after a rollback a unit still gets the canary: over HTTP from any of the processes, and from SDK clients."""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import serinus
from tests.process.operators import Operator
from tests.process.server import wait_until

NAME, CONTROL, CANARY = "changing", "v1.0", "v1.1"
ROLLOUT = {
    "prompt": NAME,
    "canary": CANARY,
    "plan": {"steps": [{"weight": "50%", "hold": "10m"}]},
    "force_reason": "rolled back again and again",
}
WITHIN_S = 10
ASKERS = 8
"""Over HTTP, each on a new connection for each request, so that every process is asked again and again."""


@dataclass(frozen=True, slots=True)
class LastWrong:
    """Seconds from just before the rollback was asked for, thus from before its commit; 0 when none was wrong."""

    http_s: float
    sdk_s: float


def last_wrong_answers(operator: Operator, clients: Sequence[serinus.Client], *, rollbacks: int) -> list[LastWrong]:
    """Start a rollout, wait until everybody gives a unit of its canary that, roll back; so often."""
    operator.publish(NAME)
    return [_one(operator, clients) for _ in range(rollbacks)]


def _one(operator: Operator, clients: Sequence[serinus.Client]) -> LastWrong:
    wait_until(lambda: all(_version(client) == CONTROL for client in clients), WITHIN_S)
    rollout = operator.call("POST", "/api/v1/rollouts", ROLLOUT)["id"]
    unit = next(unit for unit in map(str, itertools.count()) if _served(operator, unit) == CANARY)
    wait_until(lambda: all(_version(client, unit) == CANARY for client in clients), WITHIN_S)
    return _last_wrong(operator, clients, rollout, unit)


def _last_wrong(operator: Operator, clients: Sequence[serinus.Client], rollout: str, unit: str) -> LastWrong:
    """Roll back, and watch for two seconds."""
    began = time.monotonic()
    until = began + 2
    with ThreadPoolExecutor(ASKERS + 1) as threads:
        asked = [threads.submit(_watch, partial(_served, operator, unit), until) for _ in range(ASKERS)]
        sdk = threads.submit(_watch_all, clients, unit, until)
        operator.call("POST", f"/api/v1/rollouts/{rollout}/rollback", {"reason": "to see how long it takes"})
    last_asked = max(future.result() for future in asked)
    assert last_asked > 0, "no process has served the canary: nothing was measured"
    return LastWrong(max(0.0, last_asked - began), max(0.0, sdk.result() - began))


def _watch(served: Callable[[], str], until: float) -> float:
    """When an answer last was the canary, as of its end; 0 for never."""
    last = 0.0
    while time.monotonic() < until:
        if served() == CANARY:
            last = time.monotonic()
    return last


def _watch_all(clients: Sequence[serinus.Client], unit: str, until: float) -> float:
    last = 0.0
    while time.monotonic() < until:
        if any(_version(client, unit) == CANARY for client in clients):
            last = time.monotonic()
        time.sleep(0.002)
    return last


def _served(operator: Operator, unit: str) -> str:
    return str(operator.call("GET", f"/prompts/{NAME}?unit={unit}")["version"])


def _version(client: serinus.Client, unit: str = "") -> str | None:
    try:
        return client.get(NAME, unit=unit).version
    except serinus.Error:
        return None
