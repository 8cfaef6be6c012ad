"""The least that could answer: constant headers and bytes from a WSGI callable."""

from collections.abc import Callable
from typing import Any

from benchmarks.serve.answer import given_answer

answer = given_answer()
body = answer.body.encode()


def application(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    start_response("200 OK", list(answer.headers.items()))
    return [body]
