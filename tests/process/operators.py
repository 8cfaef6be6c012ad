"""Whoever publishes, moves labels and rolls out, over HTTP."""

import json
from typing import Any

from tests.process.server import Server


class Operator:
    """With a key of all scopes."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = server.key()

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

    def point(self, name: str, version: str, label: str = "production") -> None:
        self.call("PUT", f"/api/v1/prompts/{name}/labels/{label}", {"version": version, "reason": "go live"})
