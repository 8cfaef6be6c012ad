"""Request bodies read with bounds, decompressed in steps.

Nothing that the client says about its body is believed: the declared length is only compared with what came, and
decompression stops at the limit instead of after it. A body sent in chunks has no length at all; Django then reads
nothing, so it is read from the server's own stream, which ends by itself (`wsgi.input_terminated`).
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest

from common.errors import BadRequest, TooLarge, UnsupportedMediaType

STEP = 2**16
MOST_GZIP_MEMBERS = 100  # a body is one member; a few are legal, thousands of empty ones are an attack
WINDOW_BITS = {"gzip": 31, "deflate": 15}  # zlib.decompressobj's codes for a gzip and a zlib header


def read_body(request: HttpRequest) -> bytes:
    """The whole body, decompressed. Raises TooLarge, BadRequest or UnsupportedMediaType."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    steps = _steps(request)
    if encoding in {"identity", ""}:
        return b"".join(steps)
    if encoding not in WINDOW_BITS:
        raise UnsupportedMediaType(
            "unsupported_encoding", f"Content-Encoding: expected identity, gzip or deflate, got {encoding[:40]}"
        )
    try:
        return _decompress(steps, WINDOW_BITS[encoding])
    except zlib.error as error:
        raise BadRequest("broken_compression", f"The body is not {encoding}: {error}") from error


def read_json(request: HttpRequest) -> Any:
    """The body as JSON in UTF-8. Raises BadRequest, and what read_body raises."""
    return parse_json(read_body(request))


def parse_json(body: bytes) -> Any:
    """A body as JSON in UTF-8. Raises BadRequest."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest("malformed_json", f"The body is not JSON in UTF-8: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _steps(request: HttpRequest) -> Iterator[bytes]:
    """The body as it came, in pieces, at most MAX_BODY_BYTES."""
    declared = _declared_length(request)
    if declared is not None and declared > settings.MAX_BODY_BYTES:
        raise _too_large("The body", settings.MAX_BODY_BYTES)
    if not connection.in_atomic_block:  # back to the pool, if there is one: a body may be long in coming
        connection.close_if_unusable_or_obsolete()
    stream = request.META["wsgi.input"] if request.META.get("wsgi.input_terminated") else request
    length = 0
    while piece := _read(stream):
        length += len(piece)
        if length > settings.MAX_BODY_BYTES:
            raise _too_large("The body", settings.MAX_BODY_BYTES)
        yield piece
    if declared is not None and length != declared:
        raise BadRequest("truncated_body", f"Content-Length says {declared} bytes, {length} came")


def _declared_length(request: HttpRequest) -> int | None:
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared:
        return None
    if not (declared.isascii() and declared.isdigit()):
        raise BadRequest("bad_length", "Content-Length: expected a whole number")
    return int(declared[:20])


def _read(stream: Any) -> bytes:
    try:
        return bytes(stream.read(STEP))
    except OSError as error:
        raise BadRequest("truncated_body", "The connection ended before the body did") from error


def _decompress(steps: Iterator[bytes], window_bits: int) -> bytes:
    """One or several members, at most MAX_DECOMPRESSED_BYTES together."""
    limit = settings.MAX_DECOMPRESSED_BYTES
    member, members = zlib.decompressobj(window_bits), 1
    body = bytearray()
    for piece in steps:
        rest = piece
        while rest:
            if member.eof:
                member, members = zlib.decompressobj(window_bits), members + 1
            body += member.decompress(rest, limit + 1 - len(body))
            if len(body) > limit or members > MOST_GZIP_MEMBERS:
                raise _too_large("The decompressed body", limit)
            rest = member.unconsumed_tail or member.unused_data
    if not member.eof:
        raise BadRequest("broken_compression", "The compressed body ends too early")
    return bytes(body)


def _too_large(what: str, limit: int) -> TooLarge:
    return TooLarge("body_too_large", f"{what} is larger than {limit} bytes; send smaller batches")
