"""Bodies read with bounds, whatever the client says about them."""

import gzip
import random
import zlib
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from hypothesis import given
from hypothesis import strategies as st

from common.bodies import read_body, read_json
from common.errors import BadRequest, TooLarge, UnsupportedMediaType

pytestmark = pytest.mark.django_db  # whoever reads a body gives back the connection of the thread

BODY = random.Random(7).randbytes(200_000)  # several steps of reading, and nothing that compresses


def request(body: bytes, *, encoding: str = "", length: int | str | None = None, chunked: bool = False) -> WSGIRequest:
    """A request with this body; length: what Content-Length says, by default the truth, and nothing when chunked."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "wsgi.input": BytesIO(body),
        "HTTP_CONTENT_ENCODING": encoding,
    }
    if chunked:
        environ["wsgi.input_terminated"] = True
    if not chunked or length is not None:
        environ["CONTENT_LENGTH"] = str(len(body) if length is None else length)
    return WSGIRequest(environ)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP", "deflate"])
def test_read__any_encoding_with_or_without_length(encoding: str, *, chunked: bool) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding.lower(), bytes)

    assert read_body(request(compress(BODY), encoding=encoding, chunked=chunked)) == BODY


def test_read__no_length_and_a_stream_that_does_not_end__nothing() -> None:
    assert read_body(request(BODY, length="")) == b""


@pytest.mark.parametrize("length", [len(BODY) + 1, "-1", "ten", "1e3", "²"])
def test_read__length_that_is_wrong__bad_request(length: int | str) -> None:
    with pytest.raises(BadRequest):
        read_body(request(BODY, length=length))


def test_read__length_that_is_too_short__bad_request() -> None:
    with pytest.raises(BadRequest):
        read_body(request(BODY, length=len(BODY) - 1, chunked=True))


@pytest.mark.parametrize("length", [2**40, "9" * 5000])
def test_read__declared_as_too_large__refused_unread(length: int | str) -> None:
    refused = request(BODY, length=length)

    with pytest.raises(TooLarge):
        read_body(refused)
    assert refused.META["wsgi.input"].tell() == 0


def test_read__larger_than_declared_limit__stops_there(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100_000
    endless = request(BODY * 10, chunked=True)

    with pytest.raises(TooLarge):
        read_body(endless)
    assert endless.META["wsgi.input"].tell() < 200_000


@pytest.mark.parametrize("over", [0, 1])
def test_read__decompressed_limit__to_the_byte(settings: Any, over: int) -> None:
    settings.MAX_DECOMPRESSED_BYTES = len(BODY) - over
    compressed = request(gzip.compress(BODY), encoding="gzip")

    if over:
        with pytest.raises(TooLarge):
            read_body(compressed)
    else:
        assert read_body(compressed) == BODY


def test_read__gzip_of_several_members() -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")

    assert read_body(request(body, encoding="gzip")) == b"one two"


def test_read__thousands_of_empty_members__too_large() -> None:
    with pytest.raises(TooLarge):
        read_body(request(gzip.compress(b"") * 5000, encoding="gzip"))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(BODY)[:-1], "gzip"),
        (gzip.compress(BODY)[:1000], "gzip"),
        (gzip.compress(b"one") + b"garbage", "gzip"),
        (gzip.compress(b"one") + gzip.compress(b"two")[:-3], "gzip"),
        (b"", "gzip"),
        (b"plain", "gzip"),
        (gzip.compress(b"gzip"), "deflate"),
        (zlib.compress(BODY)[:-1], "deflate"),
    ],
    ids=["one byte short", "cut", "garbage after", "second member cut", "empty", "plain", "gzip", "one byte short too"],
)
def test_read__broken_compression__bad_request(body: bytes, encoding: str) -> None:
    with pytest.raises(BadRequest):
        read_body(request(body, encoding=encoding))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_read__unknown_encoding__unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read_body(request(BODY, encoding=encoding))


def test_read__connection_lost__bad_request() -> None:
    class Lost(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    broken = request(b"", chunked=True)
    broken.META["wsgi.input"] = Lost()

    with pytest.raises(BadRequest):
        read_body(broken)


@given(st.binary(), st.sampled_from(["gzip", "deflate"]))
def test_read__any_bytes_as_compressed__the_body_or_a_refusal(body: bytes, encoding: str) -> None:
    try:
        read_body(request(body, encoding=encoding))
    except BadRequest:
        return


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_read_json__malformed__bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_json(request(body))


def test_read_json__compressed_chunks() -> None:
    assert read_json(request(gzip.compress(b'{"a": 1}'), encoding="gzip", chunked=True)) == {"a": 1}
