"""A server whose database is held by another: exporters hear 503 in time, and prompts are served all the while."""

import http.client
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests import migrated, traces
from tests.parallel import start
from tests.process.server import HOST, Server, serving_web_alone

EXPORTERS_GIVE_UP_AFTER_S = 10
EXPORTERS = 48  # more than the threads of both web processes


class Answer(NamedTuple):
    status: int
    retry_after: str | None
    took_s: float


def test_traces__database_locked_by_another__503_in_time_for_all_and_prompts_are_served(tmp_path: Path) -> None:
    with serving_web_alone(migrated.installation(tmp_path)) as server:
        key = server.key()
        with closing(sqlite3.connect(tmp_path / "serinus.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            exporters = [start(lambda n=n: export(server, key, n)) for n in range(EXPORTERS)]
            time.sleep(2)
            asked = time.monotonic()
            server.request("GET", "/prompts/nothing", Authorization=f"Bearer {key}")
            served_within_s = time.monotonic() - asked
            answers = [exporter.result(timeout=60) for exporter in exporters]
            other.execute("ROLLBACK")

        assert {answer.status for answer in answers} == {503}
        assert {answer.retry_after for answer in answers} <= {"1", "2", "3"}
        assert max(answer.took_s for answer in answers) < EXPORTERS_GIVE_UP_AFTER_S
        assert served_within_s < 1
        assert export(server, key, 0).status == 200


def export(server: Server, key: str, number: int) -> Answer:
    asked = time.monotonic()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-protobuf"}
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=60)) as connection:
        connection.request("POST", "/v1/traces", traces.body(traces.span(number=number)), headers)
        answer = connection.getresponse()
        answer.read()
    return Answer(answer.status, answer.headers["Retry-After"], time.monotonic() - asked)
