"""Traces over the real web server: what 200 promises when everything is killed, chunked bodies, hostile bodies."""

import http.client
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest

from tests import migrated, recorded, traces
from tests.process.server import Server, serving, serving_web_alone, wait_until

PROTOBUF = "application/x-protobuf"
SPANS_A_BATCH = 10


@dataclass(slots=True)
class Exporters:
    """Clients that send batch after batch of new spans. sent, acknowledged: numbers of spans."""

    key: str
    numbers: Iterator[int] = field(default_factory=lambda: count(0, SPANS_A_BATCH))
    sent: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    def run(self, server: Server, clients: int) -> list[Thread]:
        threads = [Thread(target=self._export_until_it_fails, args=[server]) for _ in range(clients)]
        for thread in threads:
            thread.start()
        return threads

    def _export_until_it_fails(self, server: Server) -> None:
        with suppress(OSError, http.client.HTTPException):
            while self.export(server, next(self.numbers)) == 200:
                pass

    def export(self, server: Server, first: int) -> int:
        batch = range(first, first + SPANS_A_BATCH)
        self.sent.extend(batch)
        body = traces.body(*(traces.span(number=number) for number in batch))
        status, _ = server.request(
            "POST", "/v1/traces", body, Authorization=f"Bearer {self.key}", Content_Type=PROTOBUF
        )
        if status == 200:
            self.acknowledged.extend(batch)
        return status


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server and a key for it."""
    with serving_web_alone(migrated.installation(tmp_path_factory.mktemp("ingest"))) as server:
        yield server, server.key()


def test_traces__group_killed_while_they_arrive__every_acknowledged_span_is_there_once(tmp_path: Path) -> None:
    with serving(migrated.installation(tmp_path)) as server:
        exporters = Exporters(server.key())
        enough = random.randint(1, 500)

        clients = exporters.run(server, 4)
        wait_until(lambda: len(exporters.acknowledged) >= enough, within_s=60)
        server.kill()

        for client in clients:
            client.join()
    with serving_web_alone(tmp_path) as server:
        assert_stored_once(server, exporters)
        for first in exporters.sent[::SPANS_A_BATCH]:
            assert exporters.export(server, first) == 200  # the exporters send again what they were not sure of
        assert sorted(stored_spans(server, exporters.key)) == sorted(set(exporters.sent))


def assert_stored_once(server: Server, exporters: Exporters) -> None:
    stored = stored_spans(server, exporters.key)
    assert len(stored) == len(set(stored))
    assert set(exporters.acknowledged) <= set(stored)


def stored_spans(server: Server, key: str) -> list[int]:
    """The numbers of the spans that GET /api/v1/calls shows, page by page."""
    numbers: list[int] = []
    page = {"trace_id": traces.trace_id(0).hex(), "limit": "500"}
    while True:
        status, body = server.request("GET", f"/api/v1/calls?{urlencode(page)}", Authorization=f"Bearer {key}")
        assert status == 200, body
        answer = json.loads(body)
        numbers.extend(int(call["span_id"], 16) - int.from_bytes(traces.SPAN_ID) for call in answer["items"])
        if answer["next"] is None:
            return numbers
        page["cursor"] = answer["next"]


def test_traces__chunks_without_content_length__stored(running: tuple[Server, str]) -> None:
    server, key = running
    body = traces.body(traces.span(number=1, trace=1), traces.span(number=2, trace=1))

    status, _ = server.request(
        "POST", "/v1/traces", iter([body[:7], body[7:]]), Authorization=f"Bearer {key}", Content_Type=PROTOBUF
    )

    assert status == 200
    _, calls = server.request(
        "GET", f"/api/v1/calls?trace_id={traces.trace_id(1).hex()}", Authorization=f"Bearer {key}"
    )
    assert {call["span_id"] for call in json.loads(calls)["items"]} == {traces.span_id(n).hex() for n in (1, 2)}


def test_management_api__json_in_chunks_without_content_length__read(running: tuple[Server, str]) -> None:
    server, key = running

    status, body = server.request(
        "POST",
        "/api/v1/prompts",
        iter([b'{"na', b'me": "chunky"}']),
        Authorization=f"Bearer {key}",
        Content_Type="application/json",
    )

    assert (status, json.loads(body)["name"]) == (201, "chunky")


@pytest.mark.parametrize("case", recorded.hostile_cases(), ids=recorded.name_of)
def test_traces__hostile_body__status_of_the_index(case: dict[str, Any], running: tuple[Server, str]) -> None:
    server, key = running
    request = recorded.hostile_request(case)

    status, _ = server.request(
        "POST",
        "/v1/traces",
        request.body,
        Authorization=f"Bearer {key}",
        Content_Type=request.content_type,
        Content_Encoding=request.content_encoding,
    )

    assert status == case["expected"]["status"], case["note"]
    assert server.get("/livez") == 200
