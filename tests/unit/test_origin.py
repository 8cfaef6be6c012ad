"""From where a request comes: the peer, or whom a proxy that is trusted names."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from common.requests import Origin, RequestIdMiddleware, address_of, origin

PEER = "192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "found"),
    [
        (PEER, None, [], PEER),
        (PEER, "198.51.100.7", [], PEER),
        (PEER, "198.51.100.7", ["10.0.0.0/8"], PEER),
        ("10.0.0.1", "198.51.100.7", ["10.0.0.0/8"], "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", ["10.0.0.0/8"], "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.0.0.2", ["10.0.0.0/8"], "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", ["10.0.0.0/8"], "10.0.0.3"),
        ("10.0.0.1", "6.6.6.6, <script>", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", None, ["10.0.0.0/8"], "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", ["10.0.0.1"], "2001:db8::1"),
        ("::1", "198.51.100.7", ["10.0.0.0/8", "::1"], "198.51.100.7"),
        ("", "198.51.100.7", ["10.0.0.0/8"], ""),
        ("a socket", None, [], ""),
    ],
)
def test_address__peer_and_header__as_far_as_trusted_proxies_wrote_it(
    settings: Settings, peer: str, forwarded: str | None, trusted: list[str], found: str
) -> None:
    settings.TRUSTED_PROXIES = [ip_network(network) for network in trusted]
    environ: dict[str, Any] = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded

    assert address_of(environ) == found


def test_origin__of_the_request_while_it_lasts__and_of_none_afterwards() -> None:
    seen: list[Origin] = []

    def view(request: Any) -> HttpResponse:
        seen.append(origin())
        if request.path == "/fails":
            raise ValueError
        return HttpResponse()

    for path in ("/works", "/fails"):
        request = RequestFactory().get(path, REMOTE_ADDR=PEER, HTTP_X_REQUEST_ID="of-the-caller")
        try:
            RequestIdMiddleware(view)(request)
        except ValueError:
            assert path == "/fails"

    assert seen == [Origin(PEER, "of-the-caller")] * 2
    assert origin() == Origin("", "")
