"""The SDK and a real server: the same answers, changes within a second of their commit, and on through a restart."""

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import serinus
from tests.process.server import HOST, Server, serving, started, wait_until
from tests.process.wrong_answers import last_wrong

SERVED_WITHIN_S = 1.0
"""Issue 5: from a rollback's commit to the last wrong answer."""
PLAN = {"steps": [{"weight": "50%", "hold": "10m"}]}
ROLLOUT = {
    "prompt": "changing",
    "canary": "1.1",
    "plan": {"steps": [{"weight": "50%", "hold": "10m"}]},
    "force_reason": "rolled back again and again",
}
UNITS = [*(f"user-{i}" for i in range(50)), "", "Ünïcode 🐦", " user-1", "a&b=c%20+"]


class Operator:
    """Whoever publishes, moves labels and rolls out, over HTTP."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = server.manage("create_key", "tests", "--scopes", "read,write,ingest,admin")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.key}", "Content_Type": "application/json"}
        status, answer = self.server.request(method, path, sent, **headers)
        assert status < 300, answer
        return json.loads(answer) if answer else None

    def publish(self, name: str) -> None:
        """Versions 1.0 and 1.1, of which production serves the first."""
        self.call("POST", "/api/v1/prompts", {"name": name})
        for words in ("Greet {{ name }}.", "Greet {{ name }} warmly, as {{ shop }}."):
            schema = {"properties": {"name": {}, "shop": {"default": "Serinus"}}}
            version = {"type": "text", "template": words, "notes": "why not", "input_schema": schema}
            self.call("POST", f"/api/v1/prompts/{name}/versions", version)
        self.point(name, "1.0")

    def point(self, name: str, version: str) -> None:
        self.call("PUT", f"/api/v1/prompts/{name}/labels/production", {"version": version, "reason": "go live"})


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with serving(tmp_path_factory.mktemp("follows"), "--workers", "4") as server:
        yield Operator(server)


@pytest.fixture
def connect(operator: Operator) -> Iterator[Callable[..., serinus.Client]]:
    made: list[serinus.Client] = []

    def client(server: Server = operator.server, key: str = operator.key, **options: Any) -> serinus.Client:
        url = f"http://{HOST}:{server.port}"
        made.append(serinus.Client(url, key=key, **{"cache_dir": False, "start_timeout_s": 10, **options}))
        return made[-1]

    yield client
    for each in made:
        each.close()


def version_of(client: serinus.Client, name: str, label: str = "production") -> str | None:
    try:
        return client.get(name, label=label).version
    except serinus.Error:
        return None


def test_get__rollout__every_member_as_the_server_answers_it(
    operator: Operator, connect: Callable[..., serinus.Client]
) -> None:
    operator.publish("greeter")
    operator.call("POST", "/api/v1/rollouts", {"prompt": "greeter", "canary": "1.1", "plan": PLAN})
    client = connect()
    wait_until(lambda: version_of(client, "greeter") and client.get("greeter").rollout, within_s=10)

    for unit in filter(None, UNITS):
        found = client.get("greeter", unit=unit)
        answer = operator.call("GET", "/prompts/greeter?" + urlencode({"unit": unit}))
        assert {name: getattr(found, name) for name in answer if name != "variables"} == {
            name: told for name, told in answer.items() if name != "variables"
        }
        assert list(found.variables) == answer["variables"]
        values = {"version": found.version, "variables": {"name": "Ada"}}
        rendered = operator.call("POST", "/api/v1/prompts/greeter/render", values)["rendered"]
        assert found.render(name="Ada") == rendered

    assert not client.get("greeter", unit="").sticky


def test_rollback__four_processes_and_twenty_clients__last_wrong_answer_within_a_second(
    operator: Operator, connect: Callable[..., serinus.Client]
) -> None:
    operator.publish("changing")
    clients = [connect() for _ in range(20)]

    found = []
    for _ in range(3):
        wait_until(lambda: all(version_of(client, "changing") == "v1.0" for client in clients), within_s=10)
        rollout = operator.call("POST", "/api/v1/rollouts", ROLLOUT)["id"]
        unit = next(unit for unit in map(str, itertools.count()) if is_in_canary(operator, unit))
        wait_until(lambda: all(client.get("changing", unit=unit).version == "v1.1" for client in clients), within_s=10)  # noqa: B023
        roll_back = partial(operator.call, "POST", f"/api/v1/rollouts/{rollout}/rollback", {"reason": "tested"})
        server = operator.server
        found.append(
            last_wrong(
                server.port, operator.key, clients, name="changing", unit=unit, canary="v1.1", roll_back=roll_back
            )
        )

    assert max(max(one.http_s, one.sdk_s) for one in found) < SERVED_WITHIN_S, found


def is_in_canary(operator: Operator, unit: str) -> bool:
    return bool(operator.call("GET", f"/prompts/changing?unit={unit}")["version"] == "v1.1")


def test_labels__only_those_asked_for(operator: Operator, connect: Callable[..., serinus.Client]) -> None:
    operator.publish("labelled")
    client = connect(labels=["latest"])

    wait_until(lambda: version_of(client, "labelled", "latest") == "v1.1", within_s=10)

    with pytest.raises(serinus.UnknownLabel, match="it has latest"):
        client.get("labelled")


def test_key_revoked_or_wrong__refused_by_the_servers_words(connect: Callable[..., serinus.Client]) -> None:
    client = connect(key="ser_unknown")

    assert "the server answered 401: " in (client.status().last_error or "")


def test_server_restarts__served_on_then_followed_again(tmp_path: Path, connect: Callable[..., serinus.Client]) -> None:
    with serving(tmp_path / "data") as server:
        operator = Operator(server)
        operator.publish("lasting")
        client = connect(server, operator.key)
        wait_until(lambda: version_of(client, "lasting") == "v1.0", within_s=10)
    wait_until(lambda: client.status().stale, within_s=10)
    while_down = version_of(client, "lasting")

    with started(tmp_path / "data", port=server.port) as again:
        wait_until(lambda: again.get("/readyz") == 200, within_s=60)
        Operator(again).point("lasting", "1.1")
        wait_until(lambda: version_of(client, "lasting") == "v1.1", within_s=15)

    assert while_down == "v1.0"
