"""One request after another over one connection, each over in a known time however slowly the server sends.

A socket's own timeout starts anew with every byte. Here every single read gets what is left until the deadline.
Redirects are not followed: the key is meant for this server. TLS is checked against the system's authorities.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from serinus.errors import InvalidOption

BODY_AT_MOST = 256 * 1024 * 1024
CHUNK = 256 * 1024


class TooSlow(OSError):
    """The deadline passed."""


class TooLarge(ValueError):
    """The body is larger than any ruleset."""


class _UntilDeadline:
    """A socket whose every read ends at one deadline."""

    deadline = 0.0

    def recv_into(self, *args: Any) -> int:
        left_s = self.deadline - time.monotonic()
        try:
            if left_s > 0:
                self.settimeout(left_s)  # type: ignore[attr-defined]
                received: int = super().recv_into(*args)  # type: ignore[misc]
                return received
        except socket.timeout:
            pass
        raise TooSlow("the server did not answer in its time")


class _Socket(_UntilDeadline, socket.socket):
    pass


class _TlsSocket(_UntilDeadline, ssl.SSLSocket):
    pass


@dataclass(frozen=True)
class Answer:
    """headers: their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """Where the server is. Raises InvalidOption."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self.host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise InvalidOption(f"url: {error}") from error
        if parts.scheme not in ("http", "https") or not self.host:
            raise InvalidOption("url: expected one such as https://prompts.example.com")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InvalidOption("url: expected one without a user, a query or a fragment")
        self.is_https = parts.scheme == "https"
        self.port = port or (443 if self.is_https else 80)
        self.prefix = parts.path.rstrip("/")


class Connection:
    """Used by one thread; `break_off` by any."""

    def __init__(self, server: Server, *, connect_s: float) -> None:
        self._server = server
        self._connect_s = connect_s
        self._open: http.client.HTTPConnection | None = None
        self._socket: _Socket | _TlsSocket | None = None
        self._broken_off = False
        self._context: ssl.SSLContext | None = None

    def get(self, path: str, headers: Mapping[str, str], *, answer_s: float, body_s: float) -> Answer:
        """answer_s: how long the server may take to begin its answer; body_s: and then to end it.

        Raises OSError, http.client.HTTPException or TooLarge; the next request then takes another connection.
        """
        try:
            return self._ask(path, headers, answer_s, body_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = self._socket = None

    def abandon(self) -> None:
        """In a forked child: give up its copy of the connection, of which the parent and the server notice nothing."""
        if self._socket is not None:
            with suppress(OSError):
                os.close(self._socket.detach())

    def break_off(self) -> None:
        """End the request that is under way, and refuse all others: their thread gets an OSError."""
        self._broken_off = True
        if (connected := self._socket) is not None:
            with suppress(OSError):  # it may have been closed already
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # TLS's own would change what its reader uses

    def _ask(self, path: str, headers: Mapping[str, str], answer_s: float, body_s: float) -> Answer:
        if self._open is None or self._open.sock is None:
            self._connect()
        connection, connected = self._open, self._socket
        if connection is None or connected is None or self._broken_off:
            raise ConnectionAbortedError("the client was closed")
        connected.settimeout(self._connect_s)
        connected.deadline = time.monotonic() + answer_s
        connection.request("GET", self._server.prefix + path, headers=dict(headers))
        response = connection.getresponse()
        connected.deadline = time.monotonic() + body_s
        body = _whole_body(response)
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def _connect(self) -> None:
        server = self._server
        plain = socket.create_connection((server.host, server.port), self._connect_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected: Any
        try:
            if server.is_https:
                connected = self._tls().wrap_socket(plain, server_hostname=server.host)
            else:
                connected = _Socket(fileno=plain.detach())
        finally:
            plain.close()  # it has handed its connection over, or there is none
        self._socket = connected
        self._open = http.client.HTTPConnection(server.host, server.port)
        self._open.default_port = 443 if server.is_https else 80  # which the header Host does not name
        self._open.sock = self._socket

    def _tls(self) -> ssl.SSLContext:
        """Made by the thread that needs it: reading the authorities takes a while, and a fork must not wait for it."""
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.sslsocket_class = _TlsSocket
        return self._context


def _whole_body(response: http.client.HTTPResponse) -> bytes:
    pieces, size = [], 0
    while piece := response.read(CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > BODY_AT_MOST:
            raise TooLarge(f"expected at most {BODY_AT_MOST} bytes")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)
