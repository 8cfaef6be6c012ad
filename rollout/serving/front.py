"""The read path in front of Django: `/prompts/{name}` and `/ruleset`, as WhiteNoise serves files.

Everything else goes on to Django, whose views of the same addresses call the same functions.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
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
NOTHING = nullcontext()
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def in_front_of(django: "WSGIApplication") -> "WSGIApplication":
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith(PROMPTS) and "/" not in (name := path[len(PROMPTS) :]):
            answer = _prompt(environ, name)
        elif path == RULESET:
            answer = _ruleset(environ)
        else:
            return django(environ, start_response)
        start_response(STATUS_LINES[answer.status], answer.headers)
        return [answer.body]

    return application


def _prompt(environ: "WSGIEnvironment", name: str) -> Response:
    get, query = environ.get, environ.get("QUERY_STRING", "")
    with _connections_as_of_a_request() if "version" in query or "%" in query else NOTHING:
        return get_prompt(
            environ["REQUEST_METHOD"],
            name if name.isascii() else text(name),
            query,
            get("HTTP_AUTHORIZATION", ""),
            get("HTTP_SERINUS_UNIT", ""),
            get("HTTP_IF_NONE_MATCH", ""),
            given_request_id(environ) if "HTTP_X_REQUEST_ID" in environ else "",
        )


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
    """What Django does around a request: a version that is in no memory is read from the database."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
