"""Reports of the SDK and a real server: what was sent is read back, once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serinus import asking
from serinus.reports import Reports
from tests import migrated
from tests.process.server import HOST, Server, serving_web_alone, started, wait_until

EXPOSURE = "rol_06b3t2k9w0x4y8z1c5d7:0:canary:182"


class Assigned:
    trace = {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.3",
        "serinus.label": "production",
        "serinus.exposure": EXPOSURE,
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server and a key for it."""
    with serving_web_alone(migrated.installation(tmp_path_factory.mktemp("reports"))) as server:
        yield server, server.key()


@pytest.fixture
def reports(running: tuple[Server, str]) -> Iterator[Reports]:
    server, key = running
    made = Reports(asking.Server(url_of(server)), key)
    yield made
    made.close(10)


def url_of(server: Server) -> str:
    return f"http://{HOST}:{server.port}"


def listed(running: tuple[Server, str], path: str) -> list[dict[str, Any]]:
    server, key = running
    status, body = server.request("GET", path, Authorization=f"Bearer {key}")
    assert status == 200, body
    items: list[dict[str, Any]] = json.loads(body)["items"]
    return items


def test_calls_and_scores__read_back__joined(running: tuple[Server, str], reports: Reports) -> None:
    ids = reports.call(
        Assigned,
        provider="openai",
        request_model="gpt-4o-mini",
        response_id="chatcmpl-1",
        input_tokens=812,
        output_tokens=90,
        duration_ms=1420,
        ttft_ms=300.5,
        user="anna",
    )
    assert ids is not None
    reports.score("helpfulness", 0.9, trace_id=ids.trace_id, span_id=ids.span_id, comment="ä \ud800 \0")
    reports.score("brevity", True, response_id="chatcmpl-1", source="judge", evaluator="gpt")
    reports.score("thumbs", 1, prompt=Assigned)

    assert reports.flush(30)
    assert (reports.counts.sent, reports.counts.refused) == (4, 0)
    (call,) = listed(running, f"/api/v1/calls?trace_id={ids.trace_id}")
    assert call["span_id"] == ids.span_id
    assert (call["prompt"], call["version"], call["exposure"]) == ("order-extractor", "v2.3", EXPOSURE)
    assert (call["input_tokens"], call["duration_ms"], call["ttft_ms"]) == (812, 1420, 300.5)
    assert {score["name"]: score["value"] for score in call["scores"]} == {"helpfulness": 0.9, "brevity": 1}
    (thumbs,) = listed(running, "/api/v1/scores?name=thumbs")
    assert (thumbs["state"], thumbs["target"]) == ("by_exposure", f"exposure:{EXPOSURE}")


def test_call__own_id__named_as_the_server_names_it(running: tuple[Server, str], reports: Reports) -> None:
    server, key = running
    body = json.dumps({"id": "order-4711", "prompt": "order-extractor"}).encode()
    _, answer = server.request(
        "POST", "/api/v1/calls", body, Authorization=f"Bearer {key}", Content_Type="application/json"
    )

    ids = reports.call("order-extractor", id="order-4711")

    assert ids is not None
    assert json.loads(answer)["items"] == [ids._asdict()]
    assert reports.flush(30)
    assert len(listed(running, f"/api/v1/calls?trace_id={ids.trace_id}")) == 1


def test_reports__wrong_ones_among_good_ones__only_they_are_refused(
    running: tuple[Server, str], reports: Reports
) -> None:
    wrong: list[dict[str, Any]] = [
        {"name": "Not A Name", "value": 1},
        {"name": "error_rate", "value": 1},
        {"name": "mixed", "value": 1.01},
        {"name": "mixed", "value": "0.5"},
        {"name": ["mixed"], "value": 1},
        {"name": "mixed", "value": 10**400},
        {"name": "mixed", "value": 1, "source": "nobody"},
        {"name": "mixed", "value": 1, "comment": nested(5000)},
    ]

    for number in range(40):
        reports.score("mixed", number / 100, exposure=EXPOSURE)
        if number % 5 == 0:
            reports.score(**wrong[number // 5], exposure=EXPOSURE)
        reports.call("order-extractor", session="mixed", **({"colour": "red"} if number == 7 else {}))
        reports.call("order-extractor", session="mixed", **({"span_id": "ab" * 8} if number == 8 else {}))

    assert reports.flush(60)
    assert (reports.counts.sent, reports.counts.refused) == (40 + 78, len(wrong) + 2)
    values = [score["value"] for score in listed(running, "/api/v1/scores?name=mixed&limit=500")]
    assert sorted(values) == [number / 100 for number in range(40)]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_reports__server_down_then_up__each_once(tmp_path: Path) -> None:
    with serving_web_alone(migrated.installation(tmp_path)) as server:
        key = server.key()
        reports = Reports(asking.Server(url_of(server)), key)
    for number in range(300):
        reports.score("patience", number / 1000, exposure=EXPOSURE)
    assert reports.flush(0.5) is False

    with started(tmp_path, command="run_web", port=server.port) as server:
        wait_until(lambda: reports.flush(1), within_s=60)

        values = [score["value"] for score in listed((server, key), "/api/v1/scores?name=patience&limit=500")]
        assert sorted(values) == [number / 1000 for number in range(300)]
    reports.close(10)
