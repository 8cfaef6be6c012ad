"""A request holds a place until its body is there, or it has been answered."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest

from config.arrivals import bounded

BODY = b"0123456789"
WITH_LENGTH = {"CONTENT_LENGTH": str(len(BODY))}
IN_CHUNKS = {"HTTP_TRANSFER_ENCODING": "chunked"}

Application = Callable[..., Iterable[bytes]]


def ask(application: Application, **environ: str) -> str:
    """The status line."""
    answer: list[Any] = []
    application({"wsgi.input": BytesIO(BODY), "SERVER_PORT": "0", **environ}, lambda *given: answer.extend(given))
    return str(answer[0])


def with_one_place(*sizes: int) -> tuple[Application, list[str]]:
    """An application that reads a body so, and what another client is answered when it has."""
    heard: list[str] = []

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        if not heard:
            heard.append("")
            for size in sizes:
                environ["wsgi.input"].read(size)
            heard[0] = ask(application, **WITH_LENGTH)
        start_response("200 OK", [])
        return []

    application = bounded(inner, most=1)
    return application, heard


@pytest.mark.parametrize(
    ("framing", "sizes", "another"),
    [
        (WITH_LENGTH, (), "503 Service Unavailable"),
        (WITH_LENGTH, (9,), "503 Service Unavailable"),
        (WITH_LENGTH, (9, 1), "200 OK"),
        (WITH_LENGTH, (10,), "200 OK"),
        (WITH_LENGTH, (64,), "200 OK"),
        (IN_CHUNKS, (10,), "503 Service Unavailable"),
        (IN_CHUNKS, (10, 10), "200 OK"),
        ({"CONTENT_LENGTH": "a few"}, (10,), "503 Service Unavailable"),
    ],
)
def test_body__read_so_far__whether_another_may_come(
    framing: dict[str, str], sizes: tuple[int, ...], another: str
) -> None:
    application, heard = with_one_place(*sizes)

    assert ask(application, **framing) == "200 OK"

    assert heard == [another]
    assert ask(application, **framing) == "200 OK"  # the place is there again


@pytest.mark.parametrize("framing", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_no_body__needs_no_place(framing: dict[str, str]) -> None:
    application = bounded(lambda environ, start_response: start_response("200 OK", []) or [], most=0)

    assert ask(application, **framing) == "200 OK"


def test_application_fails__place_given_back() -> None:
    def fail(*_: object) -> list[bytes]:
        raise ZeroDivisionError

    application = bounded(fail, most=1)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            ask(application, **WITH_LENGTH)
