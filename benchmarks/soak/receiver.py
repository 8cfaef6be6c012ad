"""Whoever is told by webhooks: checks every signature, refuses some deliveries once, and remembers all."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

REFUSED_ONCE = 0.1


class Receiver:
    """ids: of each sequence number the ids under which it came. taken: how often each id was taken."""

    def __init__(self) -> None:
        self.secret = ""
        self.ids: dict[int, set[str]] = {}
        self.taken: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.wrong_signatures = 0
        self._lock = threading.Lock()
        self._chance = random.Random(0)

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        try:
            event: Any = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            self.wrong_signatures += 1
            return 400
        id_ = headers["webhook-id"]
        with self._lock:
            self.ids.setdefault(event["sequence"], set()).add(id_)
            if id_ not in self.refused | set(self.taken) and self._chance.random() < REFUSED_ONCE:
                self.refused.add(id_)
                return 500
            self.taken[id_] += 1
        return 204


@contextmanager
def listening() -> Iterator[tuple[Receiver, str]]:
    """A receiver, and its address."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.receive(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        server.server_close()
