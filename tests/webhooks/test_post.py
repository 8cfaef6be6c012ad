"""What one POST meets: receivers that answer, redirect, drip, hang, reset, flood or talk nonsense."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from werkzeug import Response

from rollout.webhooks import post as posting
from rollout.webhooks.post import Answer, post
from tests.webhooks.stage import Receiver, raw_receiver

TEN_MB = 10 * 2**20
SHORT_S = 0.3


def send(url: str) -> Answer:
    return post(url, body=b"{}", headers={"webhook-id": "evt_1"})


def wait_until_threads_end() -> None:
    """Raises AssertionError when an exchange that was given up goes on."""
    deadline = time.monotonic() + 5
    for thread in threading.enumerate():
        if thread.name == "webhook-post":
            thread.join(deadline - time.monotonic())
            assert not thread.is_alive()


@pytest.mark.parametrize("status", [200, 204, 299])
def test_post__2xx__success(receiver: Receiver, status: int) -> None:
    receiver.answers(status)

    answer = send(receiver.url)

    assert answer == Answer(status)
    assert answer.success
    assert receiver.received[0].body == b"{}"


@pytest.mark.parametrize("status", [300, 301, 308, 400, 404, 410, 429, 500, 503])
def test_post__any_other_status__no_success(receiver: Receiver, status: int) -> None:
    receiver.answers(status)

    answer = send(receiver.url)

    assert answer == Answer(status)
    assert not answer.success


def test_post__retry_after__told(receiver: Receiver) -> None:
    receiver.answers(Response(status=429, headers={"Retry-After": "120"}))

    assert send(receiver.url) == Answer(429, retry_after="120")


def test_post__redirect__not_followed(receiver: Receiver) -> None:
    receiver.answers(Response(status=307, headers={"Location": receiver.url}))

    assert send(receiver.url) == Answer(307)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", ["200 OK", "301 Moved Permanently", "500 Internal Server Error"])
def test_post__endless_answer__read_no_further_than_the_limit(status: str) -> None:
    sent = []

    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\nLocation: /hook\r\n\r\n".encode())
        while not over.is_set() and sum(sent) < TEN_MB:
            sent.append(connection.send(bytes(65536)))

    with raw_receiver(flood) as url:
        answer = send(url)

    assert answer.status == int(status[:3])
    assert sum(sent) < TEN_MB


def test_post__nobody_listens__error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert send(f"http://127.0.0.1:{port}/").error == "ConnectionRefusedError: [Errno 111] Connection refused"


def test_post__name_does_not_resolve__error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert send("http://receiver.example/").error == "gaierror: [Errno -2] Name or service not known"


@pytest.mark.parametrize("url", ["http://.example/", "http://" + "a" * 64 + ".example/", "http://[::1"])
def test_post__unusable_address__error(url: str) -> None:
    answer = send(url)

    assert answer.status is None
    assert answer.error


def test_post__connection_reset__error() -> None:
    def reset(connection: socket.socket, _over: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_receiver(reset) as url:
        assert send(url).error == "ConnectionResetError: [Errno 104] Connection reset by peer"


def test_post__closed_without_an_answer__error() -> None:
    with raw_receiver(lambda _connection, _over: None) as url:
        assert send(url).error == "RemoteDisconnected: Remote end closed connection without response"


def test_post__no_tls_where_tls_is_expected__error(receiver: Receiver) -> None:
    assert send(receiver.url.replace("http:", "https:")).error.startswith("SSLError")


@pytest.mark.parametrize(
    "nonsense", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 99999 \x00\r\n\r\n"]
)
def test_post__no_http__an_error_that_can_be_stored(nonsense: bytes) -> None:
    with raw_receiver(lambda connection, _over: connection.sendall(nonsense)) as url:
        error = send(url).error

    assert error.isprintable()  # PostgreSQL refuses NUL in a text
    assert 0 < len(error) <= posting.MAX_ERROR_CHARACTERS


def test_post__receiver_hangs__over_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "DEADLINE_S", SHORT_S)

    with raw_receiver(lambda _connection, over: over.wait() and None) as url:
        answer = send(url)
        wait_until_threads_end()

    assert answer == Answer(error="no answer within 0.3 s")


def test_post__read_timeout_before_the_deadline__error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "READ_TIMEOUT_S", SHORT_S)

    with raw_receiver(lambda _connection, over: over.wait() and None) as url:
        assert send(url).error == "TimeoutError: timed out"


def drip(connection: socket.socket, over: threading.Event) -> None:
    """A byte now and then, so that no time-out between two bytes ever ends it."""
    with contextlib.suppress(OSError):
        while not over.wait(0.02):
            connection.sendall(b"x")


def test_post__header_drips__over_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "DEADLINE_S", SHORT_S)

    def drip_header(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nSlow: ")
        drip(connection, over)

    with raw_receiver(drip_header) as url:
        answer = send(url)
        wait_until_threads_end()

    assert answer == Answer(error="no answer within 0.3 s")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_post__body_drips__the_status_counts(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(posting, "DEADLINE_S", SHORT_S)

    def drip_body(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(f"HTTP/{version} 200 OK\r\n\r\n".encode())
        drip(connection, over)

    with raw_receiver(drip_body) as url:
        answer = send(url)
        wait_until_threads_end()

    assert answer == Answer(200)


def test_post__body_breaks_off__the_status_counts() -> None:
    no_chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"

    with raw_receiver(lambda connection, _over: connection.sendall(no_chunk)) as url:
        assert send(url) == Answer(200)
