"""A plain client of Serinus' HTTP interface, as any app in any language could write it."""

import http.client
import json
from collections.abc import Mapping
from typing import Any

TIMEOUT_S = 15


class Refused(Exception):
    """An answer other than 2xx, in the words of its problem document."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        super().__init__(f"{request} was answered {status}: {_detail(body)}")
        self.status = status


def _detail(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        problem = json.loads(text)
        return f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError):
        return text[:300]


class Api:
    """One kept-alive connection with one key, for one thread."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        return self._call("GET", path, None, {**self._headers, **(headers or {})})

    def post(self, path: str, body: object) -> Any:
        return self._send("POST", path, body)

    def put(self, path: str, body: object) -> Any:
        return self._send("PUT", path, body)

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, path: str, body: object) -> Any:
        return self._call(method, path, json.dumps(body), {**self._headers, "Content-Type": "application/json"})

    def _call(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Any:
        try:
            status, answer = self._exchange(method, path, body, headers)
        except (ConnectionResetError, BrokenPipeError):  # the server closed the connection while it was idle
            self._connection.close()
            status, answer = self._exchange(method, path, body, headers)
        if not 200 <= status < 300:
            raise Refused(f"{method} {path}", status, answer)
        return json.loads(answer) if answer else None

    def _exchange(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except BaseException:  # half an exchange leaves a connection that nothing can follow on
            self._connection.close()
            raise
