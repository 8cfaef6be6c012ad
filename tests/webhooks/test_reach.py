"""Where a POST goes: by real sockets and real TLS, with a name server that answers what the test says.

With test_post, test_sender and test_lanes: fault 33.
"""

import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from common.outbound import Allowed, read_allowed
from rollout.models import DeliveryStatus
from rollout.webhooks import services
from rollout.webhooks.post import Answer, post
from tests.make import ANNA
from tests.webhooks.stage import delivery_of, happen, raw_receiver, work

NAME = "hooks.example"
TEN_MB = 10 * 2**20


def send(url: str) -> Answer:
    return post(url, body=b"{}", headers={"webhook-id": "evt_1"})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


class NameServer:
    """Stands for the system's resolver where NAME is asked: the next answer each time, the last one for ever."""

    def __init__(self) -> None:
        self.answers = ["127.0.0.1"]
        self.of_others = socket.getaddrinfo

    def getaddrinfo(self, host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host != NAME:
            return self.of_others(host, port, *args, **options)
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
        return [(family, socket.SOCK_STREAM, 0, "", (address, port))]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    name_server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", name_server.getaddrinfo)
    return name_server


class TLSReceiver:
    """With a certificate for the names; asked: the names that clients wanted by SNI."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self.asked: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda _socket, asked, _context: self.asked.append(asked)
        self.server = HTTPServer(host="127.0.0.1", ssl_context=context)
        self.server.expect_request("/hook").respond_with_data(status=204)

    def url(self, host: str) -> str:
        return f"https://{host}:{self.server.port}/hook"


@pytest.fixture
def tls_receiver(authority: trustme.CA, request: pytest.FixtureRequest) -> Iterator[TLSReceiver]:
    receiver = TLSReceiver(authority, getattr(request, "param", NAME))
    with receiver.server:
        yield receiver


@pytest.mark.usefixtures("trusted", "name_server")
def test_tls__name_of_the_certificate__host_and_sni_are_the_name_not_the_address(tls_receiver: TLSReceiver) -> None:
    answer = send(tls_receiver.url(NAME))

    assert answer == Answer(204)
    assert tls_receiver.asked == [NAME]
    request, _ = tls_receiver.server.log[0]
    assert request.headers["Host"] == f"{NAME}:{tls_receiver.server.port}"


@pytest.mark.usefixtures("trusted", "name_server")
@pytest.mark.parametrize("tls_receiver", ["other.example"], indirect=True)
def test_tls__certificate_of_another_name__error(tls_receiver: TLSReceiver) -> None:
    answer = send(tls_receiver.url(NAME))

    assert answer.status is None
    assert "Hostname mismatch" in answer.error
    assert not tls_receiver.server.log


@pytest.mark.usefixtures("name_server")
def test_tls__certificate_of_nobody_we_trust__error(tls_receiver: TLSReceiver) -> None:
    answer = send(tls_receiver.url(NAME))

    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert not tls_receiver.server.log


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_address_not_public__refused_before_any_connection(
    scheme: str, httpserver: HTTPServer, settings: Settings
) -> None:
    settings.WEBHOOK_ALLOW = Allowed()

    answer = send(f"{scheme}://127.0.0.1:{httpserver.port}/hook")

    assert (
        answer.error == "Refused: 127.0.0.1 is at 127.0.0.1 (loopback), which SERINUS_WEBHOOK_ALLOW would have to name"
    )
    assert not httpserver.log


def test_name_that_turns_to_loopback_after_the_check__never_gets_there(
    httpserver: HTTPServer, name_server: NameServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW = Allowed()
    name_server.answers = ["8.8.8.8", "127.0.0.1"]
    connected = []

    def connect(_: socket.socket, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError("nobody there")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        first = send(f"http://{NAME}:{httpserver.port}/hook")
    second = send(f"http://{NAME}:{httpserver.port}/hook")

    assert first.error == "ConnectionRefusedError: nobody there"
    assert connected == [("8.8.8.8", httpserver.port)]
    assert second.error.startswith(f"Refused: {NAME} is at 127.0.0.1 (loopback)")
    assert not httpserver.log


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment__not_used(name: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    httpserver.expect_request("/hook").respond_with_data(status=204)

    assert send(httpserver.url_for("/hook")) == Answer(204)


def test_ten_megabytes__the_status_counts_and_no_more_is_read_than_the_limit() -> None:
    sent = []

    def flood(connection: socket.socket, _: object) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {TEN_MB}\r\n\r\n".encode())
        while sum(sent) < TEN_MB:
            sent.append(connection.send(bytes(65536)))

    with raw_receiver(flood) as url:
        answer = send(url)

    assert answer == Answer(200)
    assert sum(sent) < TEN_MB


@pytest.mark.django_db
def test_delivery__to_a_name_that_is_not_public__tried_again_and_says_why(
    name_server: NameServer, settings: Settings
) -> None:
    settings.WEBHOOK_ALLOW = read_allowed(["10.0.0.0/8"])
    name_server.answers = ["169.254.169.254"]
    services.create_endpoint(url=f"http://{NAME}/latest/meta-data", actor=ANNA)
    delivery = delivery_of(happen())

    work()

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.PENDING
    assert "(a cloud's metadata)" in delivery.log.get().error
