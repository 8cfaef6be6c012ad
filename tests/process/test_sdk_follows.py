"""The SDK and a real server: the same answers, changes within a second of their commit, and on through a restart."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import serinus
from tests import migrated
from tests.process.operators import Operator
from tests.process.server import HOST, Server, serving_web_alone, started, wait_until
from tests.process.wrong_answers import last_wrong_answers

SERVED_WITHIN_S = 1.0
"""Issue 5: from a rollback's commit to the last wrong answer."""
PLAN = {"steps": [{"weight": "50%", "hold": "10m"}]}
UNITS = [*(f"user-{i}" for i in range(50)), "", "Ünïcode 🐦", " user-1", "a&b=c%20+"]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = migrated.installation(tmp_path_factory.mktemp("follows"))
    with serving_web_alone(folder, "--workers", "4", SERINUS_ROLLBACK_COOL_DOWN="0s") as server:
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


def answer_of_the_rollout(operator: Operator, path: str) -> Any:
    """Of a process that has learnt of the rollout: one of the four may be up to a second behind the others."""
    found: list[Any] = []

    def asked() -> bool:
        status, body = operator.server.request("GET", path, Authorization=f"Bearer {operator.key}")
        found.append(json.loads(body))
        return status == 200 and found[-1]["rollout"] is not None

    wait_until(asked, within_s=10)
    return found[-1]


def test_get__rollout__every_member_as_the_server_answers_it(
    operator: Operator, connect: Callable[..., serinus.Client]
) -> None:
    operator.publish("greeter")
    operator.call("POST", "/api/v1/rollouts", {"prompt": "greeter", "canary": "1.1", "plan": PLAN})
    client = connect()
    wait_until(lambda: version_of(client, "greeter") and client.get("greeter").rollout, within_s=10)

    for unit in filter(None, UNITS):
        found = client.get("greeter", unit=unit)
        answer = answer_of_the_rollout(operator, "/prompts/greeter?" + urlencode({"unit": unit}))
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
    found = last_wrong_answers(operator, [connect() for _ in range(20)], rollbacks=3)

    assert max(max(one.http_s, one.sdk_s) for one in found) < SERVED_WITHIN_S, found


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
    with serving_web_alone(migrated.installation(tmp_path / "data")) as server:
        operator = Operator(server)
        operator.publish("lasting")
        client = connect(server, operator.key)
        wait_until(lambda: version_of(client, "lasting") == "v1.0", within_s=10)
    wait_until(lambda: client.status().stale, within_s=10)
    while_down = version_of(client, "lasting")

    with started(tmp_path / "data", command="run_web", port=server.port) as again:
        wait_until(lambda: again.get("/readyz") == 200, within_s=60)
        Operator(again).point("lasting", "1.1")
        wait_until(lambda: version_of(client, "lasting") == "v1.1", within_s=15)

    assert while_down == "v1.0"
