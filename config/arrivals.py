"""Room for requests whose body is still on its way: for so many in each process, and one more is told to come back.

The web server hands a request over before its body has come, gives that body no time-out, and whoever reads it holds a
thread until it is there, for ever if the client stops in the middle. Bodies have threads for themselves (`run_web`), so
that none of them, however many and however slow, takes one from who gets prompts or asks whether all is well. When they
are all taken, those clients are cut off that have fallen silent.
"""

import time
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from common.errors import Unavailable, problem_answer
from common.ids import new_id
from common.requests import given_request_id
from config.silence import cut_off_silent

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

MOST_ARRIVING = 64
SILENT_S = 60.0  # no request takes half as long: then its client has stopped in the middle
LOOK_EVERY_S = 1.0


def bounded(django: "WSGIApplication", most: int = MOST_ARRIVING) -> "WSGIApplication":
    """The application, for at most so many requests at a time whose body has not come yet."""
    places = BoundedSemaphore(most)
    looked_at = 0.0

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        nonlocal looked_at
        if not _has_body(environ):
            return django(environ, start_response)
        if not places.acquire(blocking=False):
            if time.monotonic() - looked_at > LOOK_EVERY_S:
                looked_at = time.monotonic()
                cut_off_silent(int(environ["SERVER_PORT"]), SILENT_S)
            return _refuse(environ, start_response)
        environ["wsgi.input"] = body = Arriving(environ["wsgi.input"], _length(environ), places.release)
        try:
            return django(environ, start_response)
        finally:
            body.give_back()  # nobody reads any more: every answer has been made by now

    return application


class Arriving:
    """A body that holds a place until it is there. It is read by one thread, and only as Django and we do."""

    def __init__(self, stream: "InputStream", length: int | None, release: Callable[[], None]) -> None:
        self._stream = stream
        self._missing = length
        self._release: Callable[[], None] | None = release

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        if self._missing is not None:
            self._missing -= len(piece)
        if self._missing == 0 or len(piece) < size:  # the server's stream gives less only at the end
            self.give_back()
        return piece

    def readline(self, size: int = -1) -> bytes:
        return self._stream.readline(size)

    def give_back(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None


def _has_body(environ: "WSGIEnvironment") -> bool:
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ


def _length(environ: "WSGIEnvironment") -> int | None:
    declared = environ.get("CONTENT_LENGTH", "")
    return int(declared) if declared.isascii() and declared.isdigit() else None


def _refuse(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    request_id = given_request_id(environ) or new_id("req")
    error = Unavailable("busy", "Too many bodies are on their way; send this again in a moment")
    headers, body = problem_answer(error, request_id)
    length = {"X-Request-Id": request_id, "Content-Length": str(len(body))}
    start_response("503 Service Unavailable", [*headers.items(), *length.items()])
    return [body]
