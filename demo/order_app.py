"""The app that uses the prompt: takes orders in several threads, each with the version that Serinus serves it."""

import random
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from demo import llm, prompts
from demo.api import Api
from demo.crew import Crew
from demo.judge import Judge
from demo.server import Server
from demo.telemetry import Telemetry

THREADS = 6
BUSY = 800.0
QUIET = 20.0
"""Orders a second, as many as this machine manages at the most: while the acts are on, and after them."""

RETURNING = 0.2
FINEST_WAIT_S = 0.01
SPEED_READINGS = 12


class OrderApp:
    """Takes `rate` orders a second until the crew stops."""

    def __init__(self, server: Server, telemetry: Telemetry, judge: Judge, crew: Crew, *, rate: float = BUSY) -> None:
        self.rate = rate
        self.orders = 0
        self._speed = Speed()
        self._server = server
        self._telemetry = telemetry
        self._judge = judge
        self._crew = crew
        self._counting = Lock()
        for _ in range(THREADS):
            crew.start(self._take_orders)
        crew.start(self._have_answers_judged)

    @property
    def orders_per_s(self) -> float:
        return self._speed.read(self.orders)

    def check(self) -> None:
        """Raises what went wrong in a thread, or DemoFailed when the server refused spans."""
        self._crew.check()
        self._telemetry.check()

    def _take_orders(self) -> None:
        api, rng = self._server.api(), random.Random()
        due = time.monotonic() + rng.random() * THREADS / self.rate  # else all threads order at once, and then none
        recent: deque[str] = deque(maxlen=1000)
        while not self._crew.stopping.is_set():
            if self._telemetry.behind:
                self._crew.stopping.wait(0.05)
                continue
            self._take_order(api, next_customer(recent, rng), rng)
            now = time.monotonic()
            due = max(due, now - 1) + THREADS / self.rate
            if due - now > FINEST_WAIT_S:
                self._crew.stopping.wait(due - now)

    def _take_order(self, api: Api, customer: str, rng: random.Random) -> None:
        prompt = fetch_prompt(api, customer)
        model = prompt["config"]["model"]
        answer = llm.complete(model, rng)
        call = self._telemetry.report(model=model, trace=prompt["trace"], answer=answer)
        if answer.error is None:
            rollout = prompt["rollout"]
            self._judge.look(call, version=prompt["version"], arm=rollout and rollout["arm"], rng=rng)
        with self._counting:
            self.orders += 1

    def _have_answers_judged(self) -> None:
        self._judge.work(self._server.api(), self._crew.stopping)


class Speed:
    """Orders a second over the last few seconds in which it was read."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=SPEED_READINGS)

    def read(self, orders: int) -> float:
        then, before = self._readings[0]
        now = time.monotonic()
        self._readings.append((now, orders))
        return (orders - before) / max(now - then, 1e-3)


def fetch_prompt(api: Api, customer: str, name: str = prompts.NAME) -> dict[str, Any]:
    """What to ask the model for this customer's order. The customer travels in a header, so that no log shows it."""
    prompt: dict[str, Any] = api.get(f"/prompts/{name}", {"Serinus-Unit": customer})
    return prompt


def next_customer(recent: deque[str], rng: random.Random) -> str:
    """Mostly a new one; one order in five comes from somebody who has ordered a moment ago."""
    if recent and rng.random() < RETURNING:
        return rng.choice(recent)
    customer = f"customer-{rng.getrandbits(48):012x}"
    recent.append(customer)
    return customer


def versions_served(server: Server, customers: int) -> Counter[str]:
    """Which version how many different, new customers get, asked for one by one over several connections."""

    def ask(first: int) -> Counter[str]:
        api = server.api()
        return Counter(
            fetch_prompt(api, f"newcomer-{run}-{number}")["version"] for number in range(first, customers, THREADS)
        )

    run = f"{random.getrandbits(48):012x}"
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(ask, range(THREADS)), Counter())
