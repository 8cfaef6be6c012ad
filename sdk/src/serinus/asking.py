"""One request after another over one connection, each over in a known time however slowly the server takes or sends.

A socket's own timeout starts anew with every byte. Here every single read and write gets what is left until a deadline.
Redirects are not followed: the key is meant for this server. TLS is checked against the system's authorities.
"""

from __future__ import annotations

import http.client
import math
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from serinus.errors import InvalidOption

BODY_AT_MOST = 256 * 1024 * 1024  # more than any ruleset
CHUNK = 256 * 1024
NOT_IN_TIME = "the server did not answer in its time"


class TooSlow(OSError):
    """The deadline passed."""


class TooLarge(http.client.HTTPException):
    """The body is larger than any that is expected."""


class _UntilDeadline:
    """A socket whose every read and write ends at one deadline."""

    deadline = 0.0

    def recv_into(self, *args: Any) -> int:
        received: int = self._in_time(super().recv_into, *args)  # type: ignore[misc]
        return received

    def sendall(self, *args: Any) -> None:
        self._in_time(super().sendall, *args)  # type: ignore[misc]

    def _in_time(self, move: Callable[..., Any], *args: Any) -> Any:
        self.settimeout(_left(self.deadline))  # type: ignore[attr-defined]  # of the socket that this is mixed into
        try:
            return move(*args)
        except socket.timeout:
            raise TooSlow(NOT_IN_TIME) from None


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
    """Used by one thread; `break_off` by any. connect_s: for the connection, and again for the handshake of TLS."""

    def __init__(self, server: Server, *, connect_s: float, body_at_most: int = BODY_AT_MOST) -> None:
        self._server = server
        self._connect_s = connect_s
        self._body_at_most = body_at_most
        self._open: http.client.HTTPConnection | None = None
        self._socket: _Socket | _TlsSocket | None = None
        self._broken_off = False
        self._context: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        answer_s: float,
        body_s: float,
        within_s: float = math.inf,
    ) -> Answer:
        """answer_s: how long the server may take to begin its answer; body_s: and then to end it; within_s: all of it.

        Raises OSError or http.client.HTTPException; the next request then takes another connection. ValueError for
        what cannot be a header.
        """
        try:
            end = time.monotonic() + within_s
            connection, connected = self._connected(end)
            connected.deadline = min(time.monotonic() + answer_s, end)
            connection.request(method, self._server.prefix + path, body, dict(headers))
            response = connection.getresponse()
            connected.deadline = min(time.monotonic() + body_s, end)
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, _whole_body(response, self._body_at_most))
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

    def _connected(self, end: float) -> tuple[http.client.HTTPConnection, _Socket | _TlsSocket]:
        """As it is, or newly."""
        if self._open is None or self._open.sock is None:
            self._connect(end)
        if self._open is None or self._socket is None or self._broken_off:
            raise ConnectionAbortedError("the client was closed")
        return self._open, self._socket

    def _connect(self, end: float) -> None:
        server = self._server
        plain = socket.create_connection((server.host, server.port), min(self._connect_s, _left(end)))
        connected: Any
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(min(self._connect_s, _left(end)))  # for the handshake as a whole
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


def _whole_body(response: http.client.HTTPResponse, at_most: int) -> bytes:
    pieces, size = [], 0
    while piece := response.read(CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > at_most:
            raise TooLarge(f"expected at most {at_most} bytes")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TooSlow(NOT_IN_TIME)
    return left_s
