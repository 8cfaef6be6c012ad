"""Over TLS: the server's certificate is checked, and deadlines and closing hold as they do without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from serinus import Client
from tests.rulesets import Handler, RulesetServer, prompt, until
from tests.sdk.server import Certificate


@pytest.fixture
def server(certificate: Certificate) -> Iterator[RulesetServer]:
    running = RulesetServer({"greeting": prompt("greeting")})
    running.start(certificate.context)
    yield running
    running.stop()


@pytest.fixture
def url(server: RulesetServer) -> str:
    return server.url.replace("http://127.0.0.1", "https://localhost")


def test_certificate_of_nobody_known__refused_before_the_key_is_sent(
    server: RulesetServer, url: str, connect: Callable[..., Client]
) -> None:
    client = connect(url)

    assert "CERTIFICATE_VERIFY_FAILED" in (client.status().last_error or "")
    assert server.headers == []


@pytest.mark.usefixtures("trusted")
def test_certificate_of_another_host__refused(server: RulesetServer, url: str, connect: Callable[..., Client]) -> None:
    client = connect(url.replace("localhost", "127.0.0.1"))

    assert "CERTIFICATE_VERIFY_FAILED" in (client.status().last_error or "")
    assert server.headers == []


@pytest.mark.usefixtures("trusted")
def test_certificate_trusted__followed_and_closed_within_a_second(
    server: RulesetServer, url: str, connect: Callable[..., Client]
) -> None:
    client = connect(url)
    until(lambda: len(server.queries) == 2)
    server.change(greeting=prompt("greeting", production="v2.3"))
    until(lambda: client.get("greeting").version == "v2.3", within_s=2)
    until(lambda: len(server.queries) == 3)

    began = time.monotonic()
    client.close()

    assert time.monotonic() - began < 1


@pytest.mark.usefixtures("trusted")
def test_slow_drip__given_up_at_the_deadline(server: RulesetServer, url: str, connect: Callable[..., Client]) -> None:
    def drip(request: Handler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            request.wfile.write(b"x")
            time.sleep(0.02)

    server.misbehave = drip
    client = connect(url)

    until(lambda: "TooSlow" in (client.status().last_error or ""), within_s=10)
