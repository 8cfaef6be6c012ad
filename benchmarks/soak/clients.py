"""Requests that are made until they are answered, as apps, exporters and operators make them."""

import http.client
import json
import time
from collections import Counter
from typing import Any

HOST = "127.0.0.1"
PAUSE_S = 0.2
TIMEOUT_S = 15
GIVES_UP_AFTER_S = 90
AGAIN = {500, 502, 503}


class Refused(Exception):
    """An answer that no repetition changes."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body[:300]!r}")
        self.status, self.body = status, body


class Client:
    """One connection. answers: how often which status came, or `none` without an answer, by what was asked."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._connection: http.client.HTTPConnection | None = None
        self.answers: Counter[str] = Counter()

    def ask(self, kind: str, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The answer's JSON, or its bytes. Raises Refused, and TimeoutError when nobody answers for long."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        deadline = time.monotonic() + GIVES_UP_AFTER_S
        while time.monotonic() < deadline:
            try:
                status, told, told_type = self._once(method, path, sent, content_type)
            except (OSError, http.client.HTTPException):
                self.answers[f"{kind} none"] += 1
                self._connection = None
            else:
                self.answers[f"{kind} {status}"] += 1
                if status < 300:
                    return json.loads(told) if told_type.startswith("application/json") else told
                if status not in AGAIN:
                    raise Refused(status, told)
            time.sleep(PAUSE_S)
        raise TimeoutError(f"{method} {path} was not answered")

    def _once(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, bytes, str]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": content_type}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Content-Type", "")
