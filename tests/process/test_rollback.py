"""The main job, by the server that users start: a bad version is found by its traces, taken back, and told about,
whatever other receivers do: they hang."""

import json
import socket
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook

from tests import migrated, traces
from tests.process.server import Server, serving, wait_until

SERVED_WITHIN_S = 10
"""Issue 2, point 7: from the deciding call's commit to the served weight."""
TOLD_WITHIN_S = 15
UNITS = [f"customer-{number}" for number in range(400)]
PLAN = {
    "steps": [{"weight": "50%", "hold": "10m"}],
    "metrics": [{"name": "error_rate", "kind": "rate", "direction": "lower", "margin": {"ratio": 2}}],
    "look_every": "1s",
}


class Refused(Exception):
    pass


class Client:
    """An app and its operators, over HTTP."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = server.key()

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        authorization = f"Bearer {self.key}"
        status, answer = self.server.request(method, path, sent, Authorization=authorization, Content_Type=content_type)
        if status >= 300:
            raise Refused(f"{method} {path}: {status} {answer.decode()}")
        return json.loads(answer) if answer else None

    def versions_served(self) -> set[str]:
        """To 50 units; empty while a web process does not know the prompt yet, which may take a second."""
        try:
            return {self.call("GET", f"/prompts/greeter?unit={unit}")["version"] for unit in UNITS[:50]}
        except Refused:
            return set()


def test_rollout__canary_whose_calls_fail__rolled_back_served_and_told(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    hanging = socket.create_server(("127.0.0.1", 0), backlog=100)
    with hanging, serving(migrated.installation(tmp_path), SERINUS_WEBHOOK_ALLOW="localhost") as server:
        client = Client(server)
        for _ in range(20):
            client.call("POST", "/api/v1/webhooks", {"url": f"http://localhost:{hanging.getsockname()[1]}/"})
        publish_two_versions(client)
        hook = {"url": httpserver.url_for("/hook"), "events": ["rollout.rolled_back"]}
        secret = client.call("POST", "/api/v1/webhooks", hook)["secret"]
        rollout = client.call("POST", "/api/v1/rollouts", {"prompt": "greeter", "canary": "1.1", "plan": PLAN})
        wait_until(lambda: client.versions_served() == {"v1.0", "v1.1"}, within_s=SERVED_WITHIN_S)

        report_calls(client)

        wait_until(lambda: client.versions_served() == {"v1.0"}, within_s=SERVED_WITHIN_S)
        ended = client.call("GET", f"/api/v1/rollouts/{rollout['id']}")
        assert (ended["status"], ended["verdict"]["kind"]) == ("rolled_back", "harmful")
        wait_until(lambda: httpserver.log, within_s=TOLD_WITHIN_S)
        request, _ = httpserver.log[0]
        told = Webhook(secret).verify(request.get_data(), dict(request.headers))
        assert told["type"] == "rollout.rolled_back"
        assert told["data"]["rollout"]["id"] == rollout["id"]


def publish_two_versions(client: Client) -> None:
    client.call("POST", "/api/v1/prompts", {"name": "greeter"})
    for template in ("Greet {{ name }}.", "Greet {{ name }} warmly."):
        version = {"type": "text", "template": template, "notes": "why not"}
        client.call("POST", "/api/v1/prompts/greeter/versions", version)
    first = {"version": "1.0", "reason": "go live"}
    client.call("PUT", "/api/v1/prompts/greeter/labels/production", first)


def report_calls(client: Client) -> None:
    """A call of each unit, in one batch: every second one of the canary fails, none of the control."""
    spans = []
    for number, unit in enumerate(UNITS):
        served = client.call("GET", f"/prompts/greeter?unit={unit}")
        failed = served["reason"] == "canary" and number % 2 == 0
        spans.append(traces.span(traces.CHAT | served["trace"], number=number, failed=failed))
    client.call("POST", "/v1/traces", traces.body(*spans), content_type="application/x-protobuf")
