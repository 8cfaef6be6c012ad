"""One question to the judge's provider, an OpenAI-compatible API, that is over within a deadline whatever it does.

The exchange runs in a thread of its own, because nothing else bounds it: a socket's time-out starts anew with every
byte, and the resolution of a name knows none. At the deadline the caller gets its answer and the socket is shut down.

Operators name the provider, so it may be anywhere, also behind a proxy of the environment. It is never followed to
another address, for the key would go there. The adapter is used without a Session, which would read a redirect's whole
body into memory.
"""

import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from django.conf import settings
from django.utils.http import parse_http_date_safe
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from observability.judging.judgements import Missed
from observability.models.evaluations import Missing

CONNECT_TIMEOUT_S = 5.0
MOST_BYTES = 2**20
CHUNK = 2**16
CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}", re.ASCII)
MENDED_BY_OPERATORS = frozenset({401, 402, 403, 404})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answered with 200, a JSON object."""

    document: dict[str, Any]
    latency_ms: float


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: str
    body: bytes


def ask(path: str, question: Mapping[str, Any], *, deadline_s: float) -> Reply | Missed:
    """What the provider answers to a POST of the question, or why it answered nothing of use. Raises nothing."""
    if not settings.JUDGE_URL:
        return Missed(Missing.UNREACHABLE, "SERINUS_JUDGE_URL is not set", try_again=True)
    started = time.monotonic()
    exchange = _Exchange(settings.JUDGE_URL + path, json.dumps(question).encode(), deadline_s)
    exchange.start()
    exchange.join(deadline_s)
    # Taken before the end of the socket, which the exchange can mistake for the end of an answer.
    found = exchange.found or Missed(Missing.TIMEOUT, f"no whole answer within {deadline_s:g} s", try_again=True)
    exchange.adapter.shut_down()
    return _read(found, (time.monotonic() - started) * 1000)


def why(status: int) -> tuple[Missing, bool]:
    """What a status says, and whether the same question may be answered later: in any case where it is the provider's
    or the operators' affair, and not where the question itself is refused."""
    if status in {408, 504}:
        return Missing.TIMEOUT, True
    if 400 <= status < 500 and status not in {425, 429}:
        return Missing.REFUSED, status in MENDED_BY_OPERATORS
    return Missing.UNREACHABLE, True


def seconds(retry_after: str) -> float | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3); None for none or nonsense."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    moment = parse_http_date_safe(retry_after)
    return max(0.0, moment - time.time()) if moment is not None else None


def _read(found: _Answer | Missed, latency_ms: float) -> Reply | Missed:
    if isinstance(found, Missed):
        return Missed(found.missing, found.detail, found.try_again, latency_ms=latency_ms)
    if found.status != 200:
        return _refusal(found, latency_ms)
    document = _opened(found.body)
    if document is None:
        return Missed(Missing.NOT_JSON, "the answer is no JSON object", try_again=True, latency_ms=latency_ms)
    return Reply(document, latency_ms)


def _refusal(answer: _Answer, latency_ms: float) -> Missed:
    status = answer.status
    missing, try_again = why(status)
    detail = f"the provider answered HTTP {status}{_code(answer.body)}"
    return Missed(missing, detail, try_again, seconds(answer.retry_after), latency_ms=latency_ms)


def _code(body: bytes) -> str:
    """The provider's own code of its refusal. Its message is not told: it may quote the texts or a part of the key."""
    error = (_opened(body) or {}).get("error")
    codes = [error.get(name) for name in ("code", "type")] if isinstance(error, dict) else []
    told = next((code for code in codes if isinstance(code, str) and CODE.fullmatch(code)), None)
    return f" ({told})" if told else ""


def _opened(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _Exchange(threading.Thread):
    """Touches no database."""

    def __init__(self, url: str, body: bytes, deadline_s: float) -> None:
        super().__init__(name="judge", daemon=True)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if settings.JUDGE_API_KEY:
            headers["Authorization"] = f"Bearer {settings.JUDGE_API_KEY}"
        self.request = requests.Request("POST", url, data=body, headers=headers)
        self.adapter = _Adapter()
        self.deadline_s = deadline_s
        self.until = time.monotonic() + deadline_s
        self.found: _Answer | Missed | None = None

    def run(self) -> None:
        try:
            self.found = self._exchanged()
        except (requests.exceptions.InvalidHeader, UnicodeError):  # whose text quotes the key
            self.found = Missed(
                Missing.UNREACHABLE, "SERINUS_JUDGE_API_KEY has characters that no header can hold", try_again=False
            )
        except (requests.ReadTimeout, ReadTimeoutError):
            self.found = Missed(Missing.TIMEOUT, f"nothing came for {self.deadline_s:g} s", try_again=True)
        except (requests.RequestException, HTTPError, OSError) as error:
            self.found = Missed(Missing.UNREACHABLE, f"no connection, or it broke: {_root(error)}", try_again=True)
        except Exception:
            logger.exception("judge.asking_failed_unexpectedly")
            self.found = Missed(Missing.FAILED, "asking failed unexpectedly; the log tells how", try_again=True)

    def _exchanged(self) -> _Answer | Missed:
        timeout = (min(CONNECT_TIMEOUT_S, self.deadline_s), self.deadline_s)
        prepared = self.request.prepare()
        proxies = get_environ_proxies(prepared.url or "")
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        with (
            closing(self.adapter),
            closing(self.adapter.send(prepared, timeout=timeout, verify=verify, proxies=proxies)) as response,
        ):
            body = _bounded(response.raw, self.until)
            if body is None and time.monotonic() > self.until:
                return Missed(Missing.TIMEOUT, f"no whole answer within {self.deadline_s:g} s", try_again=True)
            if body is None:
                return Missed(Missing.NOT_JSON, f"the answer is longer than {MOST_BYTES} bytes", try_again=True)
            return _Answer(response.status_code, response.headers.get("Retry-After", ""), body)


def _bounded(raw: BaseHTTPResponse, until: float) -> bytes | None:
    """The whole body, or None where it is or takes too long. Of one that ends with its connection, the socket is out of
    reach: it is read no longer than until then (time.monotonic), when nobody waits for it any more."""
    body = b""
    while chunk := raw.read1(CHUNK, decode_content=True):
        body += chunk
        if len(body) > MOST_BYTES or time.monotonic() > until:
            return None
    return body


class _Adapter(HTTPAdapter):
    """Remembers the one connection that it opens, so that another thread can end it."""

    connection: HTTPConnection | None = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(self._open, pool.ConnectionCls)
        return pool

    def _open(self, connect: type[HTTPConnection], **kwargs: Any) -> HTTPConnection:
        self.connection = connect(**kwargs)
        return self.connection

    def shut_down(self) -> None:
        if self.connection is not None and (open_socket := self.connection.sock) is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)


def _root(error: BaseException) -> str:
    """The kind of the error at the root, such as ConnectionRefusedError."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return type(error).__name__
