"""Bodies of `GET /ruleset`, and a server that answers with them: what the SDK is tested against."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from serinus.following import Pace
from serinus.ruleset import digest_of

QUICK = Pace(
    early=(0.01, 0.02), between=0.0, backoff=(0.01, 0.02), refused=(0.05, 0.05), older_for=0.3, connect=2.0, answer=2.0
)
KEY = "ser_key-of-the-tests"
SALT = "4f1d0c9a7b3e58265d0e94c1a2b3f607"  # of the vectors: user-2 has bucket 4827 and unit bucket 187


def version(name: str, number: str, template: Any = "Extract {{ order }}", **others: Any) -> dict[str, Any]:
    kind = "text" if isinstance(template, str) else "chat"
    return {
        "name": name,
        "version": number,
        "ordinal": 1,
        "ref": f"{name}@{number}",
        "type": kind,
        "template": template,
        "variables": ["order"],
        "config": {"model": "gpt-4o-mini", "stop": ["\n"]},
        "input_schema": None,
        "response_schema": None,
        "sha256": sha256(json.dumps(template).encode()).hexdigest(),
        **others,
    }


def rollout(weight_bp: int, step: int = 1) -> dict[str, Any]:
    return {
        "id": "rol_06b3t2k9w0x4y8z1c5d7",
        "salt": SALT,
        "step": step,
        "weight_bp": weight_bp,
        "control": "v2.2",
        "canary": "v2.3",
    }


def prompt(
    name: str, *, production: str = "v2.2", split: dict[str, Any] | None = None, **versions: dict[str, Any]
) -> dict[str, Any]:
    """With v2.2, which production serves unless told otherwise, and v2.3, which latest does."""
    labels = {
        "production": {"version": production, "rollout": split},
        "latest": {"version": "v2.3", "rollout": None},
    }
    two = {number: version(name, number) for number in ("v2.2", "v2.3")}
    return digested({"archived": False, "labels": labels, "versions": {**two, **versions}})


def archived() -> dict[str, Any]:
    return digested({"archived": True, "labels": {}, "versions": {}})


def digested(body: Mapping[str, Any]) -> dict[str, Any]:
    return {**body, "digest": sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:20]}


def body(prompts: Mapping[str, Any], *, generation: int = 1, since: int | None = None, **others: Any) -> dict[str, Any]:
    """Of all prompts; `prompts` of the answer can be narrowed by others."""
    digest = digest_of((name, prompts[name]["digest"]) for name in sorted(prompts))
    return {"generation": generation, "digest": digest, "since": since, "prompts": prompts, **others}


def encoded(prompts: Mapping[str, Any], **others: Any) -> bytes:
    return json.dumps(body(prompts, **others)).encode()


def until(seen: Callable[[], object], within_s: float = 15.0) -> None:
    """Returns once it is seen, and fails when it is not in time."""
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.005)


class RulesetServer:
    """GET /ruleset as the server answers it, on a port of loopback that stays its own through a restart.

    paths, queries, headers: of the requests that came, in their order. reports: what was posted, by path.
    misbehave: takes the place of the answer while it is set.
    """

    def __init__(self, prompts: Mapping[str, Any]) -> None:
        self.prompts: dict[str, Any] = dict(prompts)
        self.generation = 40
        self.paths: list[str] = []
        self.queries: list[dict[str, list[str]]] = []
        self.headers: list[Mapping[str, str]] = []
        self.reports: dict[str, list[Any]] = {}
        self.misbehave: Callable[[Handler], None] | None = None
        self.waits = True
        self._changed_at = dict.fromkeys(prompts, self.generation)
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def digest(self) -> str:
        return str(body(self.prompts)["digest"])

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        handler = type("Handler", (Handler,), {"rulesets": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        """Also ends what is under way, as a killed process does."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._connections):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        with self._changed:
            self._changed.notify_all()

    def change(self, **prompts: dict[str, Any]) -> None:
        """Names may be written with `_` for `-`."""
        with self._changed:
            self.generation += 1
            for name, changed in prompts.items():
                self.prompts[name.replace("_", "-")] = changed
                self._changed_at[name.replace("_", "-")] = self.generation
            self._changed.notify_all()

    def answer(self, query: Mapping[str, list[str]], if_none_match: str | None) -> tuple[int, bytes]:
        with self._changed:
            if self.waits and "wait" in query:
                self._changed.wait_for(
                    lambda: if_none_match != f'"{self.digest}"' or self._server is None, float(query["wait"][0])
                )
            if if_none_match == f'"{self.digest}"':
                return 304, b""
            since = int(query["since"][0]) if "since" in query else None
            told = {n: p for n, p in self.prompts.items() if since is None or self._changed_at[n] > since}
            whole = body(self.prompts, generation=self.generation, since=since)
            return 200, json.dumps({**whole, "prompts": told}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rulesets: RulesetServer

    def setup(self) -> None:
        super().setup()
        self.rulesets._connections.add(self.connection)

    def finish(self) -> None:
        self.rulesets._connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):  # the other end may be gone: that is what is tested
            super().handle()

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.rulesets.paths.append(urlsplit(self.path).path)
        self.rulesets.queries.append(query)
        self.rulesets.headers.append(dict(self.headers))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.tell(401, b'{"code": "unknown_key", "detail": "This key is unknown or revoked"}')
            return
        if self.rulesets.misbehave is None:
            status, told = self.rulesets.answer(query, self.headers["If-None-Match"])
        if self.rulesets.misbehave is None:  # while it waited too
            self.tell(status, told, ETag=f'"{self.rulesets.digest}"')
        else:
            self.rulesets.misbehave(self)

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.rulesets.reports.setdefault(self.path, []).extend(told)
        answers = {"accepted": len(told), "items": [{} for _ in told]}
        self.tell(200, json.dumps(answers).encode(), Content_Type="application/json")

    def tell(self, status: int, told: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(prompts: Mapping[str, Any]) -> Iterator[RulesetServer]:
    server = RulesetServer(prompts)
    server.start()
    try:
        yield server
    finally:
        server.stop()
