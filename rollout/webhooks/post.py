"""One HTTP POST that is over within DEADLINE_S, whatever the receiver does.

The exchange runs in a thread of its own, because nothing else bounds it: a socket's time-out starts anew with every
byte, and the resolution of a name knows none. At the deadline the caller gets its answer and the socket is shut down,
which ends the thread too. (One that still resolves or connects then may yet send, so that the receiver gets a message
that was given up: as with every retry, it knows it by its id.)

It goes to public hosts and to what settings.WEBHOOK_ALLOW names (common.outbound), and straight there: a proxy of the
environment would resolve the name by itself, past that check. Redirects are not followed: the adapter is used without a
Session, which would read a redirect's whole body into memory.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from common import outbound

logger = logging.getLogger(__name__)

DEADLINE_S = 15.0
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_ERROR_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered. status: of HTTP, or None with the error that kept it away."""

    status: int | None = None
    error: str = ""
    retry_after: str = ""

    @property
    def success(self) -> bool:
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """What came back. Raises nothing: whatever goes wrong is the answer's error."""
    exchange = _Exchange(url, body, headers)
    exchange.start()
    exchange.join(DEADLINE_S)
    # Taken before the end of the socket, which the exchange can mistake for the end of an answer's headers.
    answer = exchange.answer or Answer(error=f"no answer within {DEADLINE_S:g} s")
    exchange.adapter.shut_down()
    return answer


class _Exchange(threading.Thread):
    """Touches no database: its connections belong to the thread that waits."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(name="webhook-post", daemon=True)
        self.request = requests.Request("POST", url, data=body, headers=dict(headers))
        self.adapter = _Adapter()
        self.deadline = time.monotonic() + DEADLINE_S
        self.answer: Answer | None = None

    def run(self) -> None:
        try:
            self._send()
        except (requests.RequestException, HTTPError, OSError) as error:
            self._fail(error)
        except Exception as error:
            logger.exception("webhook.post_failed_unexpectedly")
            self._fail(error)

    def _send(self) -> None:
        request = self.request.prepare()
        timeout, verify = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S), os.environ.get("REQUESTS_CA_BUNDLE") or True
        with (
            closing(self.adapter),
            closing(self.adapter.send(request, timeout=timeout, verify=verify)) as response,
        ):
            self.answer = Answer(response.status_code, retry_after=response.headers.get("Retry-After", ""))
            self._read_some(response.raw)

    def _read_some(self, body: BaseHTTPResponse) -> None:
        """A short body is read, so that the receiver need not find its connection broken off; no more is wanted."""
        size = 0
        while size < MAX_ANSWER_BYTES and time.monotonic() < self.deadline:
            chunk = body.read1(MAX_ANSWER_BYTES, decode_content=False)
            if not chunk:
                return
            size += len(chunk)

    def _fail(self, error: Exception) -> None:
        """A broken body does not matter once the status has come."""
        self.answer = self.answer or Answer(error=describe(error))


class _Checked(HTTPConnection):
    """Connects to an address that was checked; Host header, SNI and certificate stay those of the name."""

    def _new_conn(self) -> socket.socket:
        return outbound.connect(self.host, self.port, timeout_s=CONNECT_TIMEOUT_S, allowed=settings.WEBHOOK_ALLOW)


class _CheckedTLS(_Checked, HTTPSConnection):
    pass


class _Adapter(HTTPAdapter):
    """Remembers the one connection that it opens, so that another thread can end it."""

    connection: HTTPConnection | None = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(self._open, _CheckedTLS if pool.scheme == "https" else _Checked)
        return pool

    def _open(self, connect: type[HTTPConnection], **kwargs: Any) -> HTTPConnection:
        self.connection = connect(**kwargs)
        return self.connection

    def shut_down(self) -> None:
        if self.connection is not None and (open_socket := self.connection.sock) is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)


def describe(error: BaseException) -> str:
    """The error at the root, as one printable line: `ConnectionRefusedError: [Errno 111] Connection refused`."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
