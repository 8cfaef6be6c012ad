"""SIGKILL to the server's processes while traces arrive: what was acknowledged is there once, and counted once.

Of a request all spans are there or none, whether it was acknowledged or its client never heard. Then all of it is sent
again, as exporters do that heard nothing, and each request is there once.
"""

import http.client
import json
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests import migrated, traces
from tests.process.server import Server, new_database, serving, wait_until

pytestmark = pytest.mark.xdist_group("process")

CLIENTS = 4
SPANS_A_REQUEST = 10
CALLS_A_REQUEST = 5
KILLS = ["a web process", "cluster", "web", "evaluator"]
PLAN = {
    "steps": [{"weight": "50%", "hold": "1h"}],
    "metrics": [{"name": "error_rate", "kind": "rate", "direction": "lower", "margin": {"ratio": 2}}],
    "look_every": "1s",
}


class Database:
    """What another connection sees of it."""

    def __init__(self, folder: Path, address: str | None) -> None:
        self._path, self._address = folder / "serinus.sqlite3", address

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self._address) if self._address else sqlite3.connect(self._path)) as asked:
            return list(asked.execute(sql).fetchall())  # type: ignore[arg-type, call-overload, union-attr]

    def wait_until_quiet(self) -> None:
        """Until PostgreSQL has noticed that its clients are gone, and does no more for them."""
        others = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        if self._address:
            wait_until(lambda: not self.rows(others), within_s=30)

    def spans_of_requests(self) -> Counter[int]:
        """Request → how many spans of it are stored. Each request is a trace of its own."""
        zero = int.from_bytes(traces.TRACE_ID)
        return Counter(
            int.from_bytes(trace) - zero for (trace,) in self.rows("SELECT trace_id FROM observability_span")
        )

    def calls(self) -> int:
        return int(self.rows("SELECT count(*) FROM observability_call")[0][0])

    def calls_in_evidence(self) -> int:
        """Those that the evaluator has taken, and those that it has not."""
        open_ = self.rows("SELECT coalesce(sum(n), 0) FROM observability_evidence WHERE metric = 'error_rate'")[0][0]
        taken = self.rows("SELECT control, canary FROM rollout_batch")
        arms = [json.loads(arm) if isinstance(arm, str) else arm for batch in taken for arm in batch]
        return int(open_) + sum(sum(arm.values()) for arm in arms)

    def calls_in_unit_buckets(self) -> int:
        return int(
            self.rows("SELECT coalesce(sum(n), 0) FROM observability_unitbucket WHERE metric = 'error_rate'")[0][0]
        )


class Exporters:
    """Clients that send new requests whether they are answered or not. sent, acknowledged: numbers of requests."""

    def __init__(self, key: str, rollout: str) -> None:
        self.key, self.rollout = key, rollout
        self.numbers = count()
        self.sent: list[int] = []
        self.acknowledged: list[int] = []
        self.stop = threading.Event()

    def run(self, server: Server) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._send_on, args=[server]) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _send_on(self, server: Server) -> None:
        while not self.stop.is_set():
            number = next(self.numbers)
            self.sent.append(number)
            if self.send(server, number) == 200:
                self.acknowledged.append(number)
            else:
                time.sleep(0.05)

    def send(self, server: Server, number: int) -> int:
        """The status, 0 when there was no answer."""
        with suppress(OSError, http.client.HTTPException):
            status, _ = server.request(
                "POST",
                "/v1/traces",
                self.body(number),
                Authorization=f"Bearer {self.key}",
                Content_Type="application/x-protobuf",
            )
            return status
        return 0

    def body(self, number: int) -> bytes:
        stamp = {
            "gen_ai.prompt.name": "greeter",
            "gen_ai.prompt.version": "1.1",
            "serinus.exposure": f"{self.rollout}:0:canary:{number % 256}",
        }
        return traces.body(
            *(
                traces.span(
                    traces.CHAT | stamp if n < CALLS_A_REQUEST else {"db.system.name": "postgresql"},
                    number=number * SPANS_A_REQUEST + n,
                    trace=number,
                )
                for n in range(SPANS_A_REQUEST)
            )
        )


@pytest.fixture
def address() -> str | None:
    """Of a PostgreSQL database for the server, when the tests run on one."""
    if url := os.environ.get("DATABASE_URL"):
        return new_database(url, f"killed_{time.monotonic_ns()}")
    return None


def test_traces__processes_killed_while_they_arrive__each_acknowledged_request_whole_and_once(
    tmp_path: Path, address: str | None
) -> None:
    settings = {"DATABASE_URL": address} if address else {}
    database = Database(tmp_path, address)
    with serving(tmp_path if address else migrated.installation(tmp_path), **settings) as server:
        exporters = Exporters(server.key(), "")
        exporters.rollout = start_rollout(server, exporters.key)
        clients = exporters.run(server)

        killed = list(kill_at_random(server))
        server.kill()

        exporters.stop.set()
        for client in clients:
            client.join()
    assert killed == KILLS
    assert len(exporters.acknowledged) > 50
    assert_whole_and_once(database, exporters)

    with serving(tmp_path, **settings) as server:
        assert [number for number in exporters.sent if exporters.send(server, number) != 200] == []
        server.kill()
    assert_whole_and_once(database, exporters)
    assert database.spans_of_requests().keys() == set(exporters.sent)


def assert_whole_and_once(database: Database, exporters: Exporters) -> None:
    database.wait_until_quiet()
    stored = database.spans_of_requests()
    assert set(exporters.acknowledged) <= stored.keys()
    assert set(stored.values()) == {SPANS_A_REQUEST}
    calls = len(stored) * CALLS_A_REQUEST
    assert (database.calls(), database.calls_in_evidence(), database.calls_in_unit_buckets()) == (calls, calls, calls)


def kill_at_random(server: Server) -> Iterator[str]:
    """The names of what was killed, one after the other."""
    for name in KILLS:
        time.sleep(random.uniform(0.3, 1.2))
        for process in processes(server, name):
            process.kill()
            yield name


def processes(server: Server, name: str) -> list[psutil.Process]:
    """The process of the name, or one of the web server's that take requests; waits until it has been started again."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(KeyError, psutil.NoSuchProcess):
            children = server.children()
            if name != "a web process":
                return [children[name]]
            if workers := children["web"].children():
                return [random.choice(workers)]
        time.sleep(0.05)
    return []


def start_rollout(server: Server, key: str) -> str:
    """Of v1.1 over v1.0; returns its id."""

    def call(method: str, path: str, body: dict[str, Any]) -> Any:
        status, answer = server.request(
            method, path, json.dumps(body).encode(), Authorization=f"Bearer {key}", Content_Type="application/json"
        )
        assert status < 300, answer
        return json.loads(answer)

    call("POST", "/api/v1/prompts", {"name": "greeter"})
    for template in ("Greet {{ name }}.", "Greet {{ name }} warmly."):
        version = {"type": "text", "template": template, "notes": "why not"}
        call("POST", "/api/v1/prompts/greeter/versions", version)
    call("PUT", "/api/v1/prompts/greeter/labels/production", {"version": "1.0", "reason": "go live"})
    return str(call("POST", "/api/v1/rollouts", {"prompt": "greeter", "canary": "1.1", "plan": PLAN})["id"])
