"""The read path in front of Django: `/prompts/{name}` and `/ruleset`, as WhiteNoise serves files.

Everything else goes on to Django, whose views of the same addresses call the same functions.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db import close_old_connections

from common.requests import given_request_id
from rollout.serving.endpoint import get_prompt
from rollout.serving.responses import Response, text
from rollout.serving.ruleset_endpoint import get_ruleset

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROMPTS = "/prompts/"
RULESET = "/ruleset"
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def in_front_of(django: "WSGIApplication") -> "WSGIApplication":
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith(PROMPTS) and "/" not in (name := path[len(PROMPTS) :]):
            query: str = environ.get("QUERY_STRING", "")
            by_number = "version" in query or "%" in query  # the word itself may be encoded
            answer = (_prompt_by_number if by_number else _prompt)(environ, name, query)
        elif path == RULESET:
            answer = _ruleset(environ)
        else:
            return django(environ, start_response)
        start_response(STATUS_LINES[answer.status], answer.headers)
        return [answer.body]

    return application


def _prompt(environ: "WSGIEnvironment", name: str, query: str) -> Response:
    get = environ.get
    return get_prompt(
        environ["REQUEST_METHOD"],
        name if name.isascii() else text(name),
        query,
        get("HTTP_AUTHORIZATION", ""),
        get("HTTP_SERINUS_UNIT", ""),
        get("HTTP_IF_NONE_MATCH", ""),
        given_request_id(environ) if "HTTP_X_REQUEST_ID" in environ else "",
    )


def _prompt_by_number(environ: "WSGIEnvironment", name: str, query: str) -> Response:
    """A version that is in no memory is read from the database."""
    with _connections_as_of_a_request():
        return _prompt(environ, name, query)


def _ruleset(environ: "WSGIEnvironment") -> Response:
    return get_ruleset(
        method=environ["REQUEST_METHOD"],
        query=environ.get("QUERY_STRING", ""),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        if_none_match=environ.get("HTTP_IF_NONE_MATCH", ""),
        request_id=given_request_id(environ),
    )


@contextmanager
def _connections_as_of_a_request() -> Iterator[None]:
    """What Django does around a request."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
