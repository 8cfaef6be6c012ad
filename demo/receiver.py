"""A webhook receiver as a user of Serinus writes one: believes nothing that is not signed with its secret."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from demo.errors import DemoFailed

Event = dict[str, Any]


class Receiver:
    """Events that arrived with a good signature, in order of arrival, each once however often it is delivered."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.secret = ""
        self.forged = 0
        self._events: dict[str, Event] = {}
        self._arrival = threading.Condition()

    @property
    def received(self) -> int:
        return len(self._events)

    def check(self) -> None:
        if self.forged:
            raise DemoFailed("A webhook arrived whose signature is wrong")

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """The HTTP status to answer a delivery with: 204 when it was taken, 400 when its signature is wrong."""
        try:
            event = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            self.forged += 1
            return 400
        with self._arrival:
            self._events.setdefault(headers["webhook-id"], event)
            self._arrival.notify_all()
        return 204

    def wait_for(self, event_type: str, *, within_s: float) -> Event:
        """The first event of a type. Raises DemoFailed when none comes in time or a delivery was signed wrongly."""
        deadline = time.monotonic() + within_s
        with self._arrival:
            while not (found := self._of(event_type)):
                self.check()
                if not self._arrival.wait(min(0.5, deadline - time.monotonic())) and time.monotonic() > deadline:
                    raise DemoFailed(f"No webhook {event_type} arrived within {within_s:.0f} s")
        return found[0]

    def first(self, event_type: str, which: Callable[[Event], bool]) -> Event | None:
        """The first event of a type that is one of those asked for, if any has come yet."""
        with self._arrival:
            return next(filter(which, self._of(event_type)), None)

    def _of(self, event_type: str) -> list[Event]:
        return [event for event in self._events.values() if event["type"] == event_type]


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(receiver.receive(body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
