"""Receivers that answer as they are told over real HTTP, and a sender that sends what is due."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from werkzeug import Request, Response

from registry import events
from registry.models import Event
from rollout.models import Delivery, WebhookEndpoint
from rollout.webhooks import sender
from rollout.webhooks.fan_out import create_deliveries
from rollout.webhooks.lanes import Lanes


@dataclass(frozen=True, slots=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def timestamp(self) -> int:
        return int(self.headers["webhook-timestamp"])


class Receiver:
    """Gives the answers in their order, the last one for ever, and remembers what it received."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/hook")
        self.received: list[Received] = []
        self.on_receipt: Callable[[], object] = lambda: None
        self._answers: list[Response] = []
        server.expect_request("/hook", method="POST").respond_with_handler(self._receive)

    def answers(self, *answers: int | Response) -> None:
        self._answers = [Response(status=answer) if isinstance(answer, int) else answer for answer in answers]

    def verified(self, endpoint: WebhookEndpoint) -> Any:
        """What the newest message says, if the independent implementation of the standard believes it."""
        return Webhook(endpoint.secret).verify(self.received[-1].body, self.received[-1].headers)

    def _receive(self, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, request.get_data()))
        self.on_receipt()
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def record(type: str = "label.moved", **data: object) -> Event:  # noqa: A002 (the field's name)
    """An event as registry records it, which knows no webhooks."""
    with transaction.atomic():
        return events.record(type=type, prompt="order-extractor", data=data)


def happen(type: str = "rollout.rolled_back", **data: object) -> Event:  # noqa: A002 (the field's name)
    """An event recorded as rollout does it, with its deliveries."""
    with transaction.atomic():
        event = record(type, **data)
        create_deliveries(event)
    return event


def delivery_of(event: Event) -> Delivery:
    return Delivery.objects.get(event=event)


def work() -> int:
    """Send all that is due and settle what came of it, as the sender's process would; how many attempts these were."""
    lanes, attempts = Lanes(), 0
    lanes.start_due()
    while lanes.under_way:
        attempts += lanes.settle_back(wait_s=10)
        lanes.start_due()
    return attempts


def attempt(delivery_id: str) -> None:
    """One attempt, unless it is not due or another has claimed it."""
    if delivery := sender.claim(delivery_id):
        sender.settle(delivery, sender.send(delivery))


@contextmanager
def raw_receiver(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """The address of a receiver that takes requests and then does what it likes with the bare socket, until the end."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                read_request(connection)
                try:
                    answer(connection, over)
                except OSError:
                    continue  # the sender has gone, which is what most of these receivers are made to see

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        finally:
            over.set()
            thread.join()


def read_request(connection: socket.socket) -> None:
    connection.settimeout(5)
    stream = connection.makefile("rb")
    length = 0
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    stream.read(length)
