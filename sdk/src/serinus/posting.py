"""One request to the server, over in a known time however slowly it takes or sends.

A socket's own timeout starts anew with every byte; here every single read gets what is left until the deadline.
Redirects are not followed: the key is meant for this server.
"""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

MOST_READ = 4 * 1024 * 1024


class Answer(NamedTuple):
    """headers: their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], *, within_s: float) -> Answer:
    """Raises OSError, http.client.HTTPException, or ValueError for what cannot be an address or a header."""
    deadline = time.monotonic() + within_s
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a url such as https://prompts.example.com")
    connected = _connect(parts, deadline)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port)) as connection:
        connection.default_port = 443 if parts.scheme == "https" else 80  # which the header Host does not name
        connection.sock = connected
        connection.request("POST", parts.path, body, dict(headers))
        with closing(connection.getresponse()) as response:
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read(MOST_READ))


class _UntilDeadline:
    """A socket whose every read ends at one deadline."""

    deadline: float

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_left(self.deadline))  # type: ignore[attr-defined]  # of the socket that this is mixed into
        received: int = super().recv_into(*args)  # type: ignore[misc]
        return received


class _Socket(_UntilDeadline, socket.socket):
    pass


class _TlsSocket(_UntilDeadline, ssl.SSLSocket):
    pass


def _connect(parts: SplitResult, deadline: float) -> _Socket | _TlsSocket:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    plain = socket.create_connection((parts.hostname, port), _left(deadline))
    try:
        plain.settimeout(_left(deadline))  # for the handshake, and then for all of what is sent
        connected: Any
        if parts.scheme == "https":
            connected = _tls().wrap_socket(plain, server_hostname=parts.hostname)
        else:
            connected = _Socket(fileno=plain.detach())
            connected.settimeout(_left(deadline))
    except BaseException:
        plain.close()
        raise
    connected.deadline = deadline
    return connected  # type: ignore[no-any-return]  # one of the two


@functools.cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = _TlsSocket
    return context


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the server took too long")
    return left
