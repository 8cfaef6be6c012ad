"""A request is over in its time also where the server takes slowly what is sent, or nothing at all."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from serinus.asking import Connection, Server, TooLarge
from tests.sdk.server import Certificate, Reply, report_server

LARGE = b"x" * 32 * 1024 * 1024  # for which a server that takes slowly takes a quarter of a minute
BETWEEN_PIECES_S = 0.002


@contextmanager
def taking(take: Callable[[socket.socket, Event], None]) -> Iterator[int]:
    """The port of a server that does this with its first connection; the event says that it is over."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # of a client that goes away
            take(connection, over)

    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def slowly(connection: socket.socket, over: Event) -> None:
    while not over.wait(BETWEEN_PIECES_S):
        connection.recv(4096)


def post(url: str, body: bytes, *, answer_s: float = 30, within_s: float = 30) -> float:
    """How long it took to be given up."""
    connection = Connection(Server(url), connect_s=30)
    began = time.monotonic()
    with pytest.raises(OSError, match=r"in its time|timed out"):
        connection.request("POST", "/", {}, body, answer_s=answer_s, body_s=30, within_s=within_s)
    return time.monotonic() - began


@pytest.mark.parametrize("given", [{"answer_s": 0.5}, {"within_s": 0.5}])
def test_server_that_takes_slowly__given_up_at_the_deadline(given: dict[str, float]) -> None:
    with taking(slowly) as port:
        took_s = post(f"http://127.0.0.1:{port}", LARGE, **given)

    assert 0.4 < took_s < 5


@pytest.mark.usefixtures("trusted")
def test_server_that_takes_slowly__over_tls__given_up_at_the_deadline(certificate: Certificate) -> None:
    def slowly_decrypted(connection: socket.socket, over: Event) -> None:
        with certificate.context.wrap_socket(connection, server_side=True) as wrapped:
            slowly(wrapped, over)

    with taking(slowly_decrypted) as port:
        took_s = post(f"https://localhost:{port}", LARGE, answer_s=0.5)

    assert 0.4 < took_s < 5


def test_handshake_that_never_ends__given_up_at_the_deadline() -> None:
    with taking(lambda _, over: over.wait(30) and None) as port:
        took_s = post(f"https://127.0.0.1:{port}", b"", within_s=0.5)

    assert 0.4 < took_s < 5


def test_answer_larger_than_expected__given_up_and_the_next_request_answered() -> None:
    with report_server() as server:
        connection = Connection(Server(server.url), connect_s=30, body_at_most=1000)
        server.replies.append(Reply(200, b" " * 1001))

        with pytest.raises(TooLarge):
            connection.request("POST", "/", {}, b"[]", answer_s=30, body_s=30)
        answer = connection.request("POST", "/", {"Authorization": "of the second"}, b"[]", answer_s=30, body_s=30)
        connection.close()

    assert (answer.status, server.requests[1].authorization) == (200, "of the second")
