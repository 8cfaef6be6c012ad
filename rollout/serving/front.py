"""The read path in front of Django: `GET /prompts/{name}` answered without its middleware, as WhiteNoise serves files.

Everything else goes on to Django, whose view of the same address calls the same function.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.db import close_old_connections

from common.requests import given_request_id
from rollout.serving.endpoint import get_prompt

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROMPTS = "/prompts/"
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def in_front_of(django: "WSGIApplication") -> "WSGIApplication":
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if not path.startswith(PROMPTS) or path.find("/", len(PROMPTS)) >= 0:
            return django(environ, start_response)
        query = environ.get("QUERY_STRING", "")
        with connections_as_of_a_request() if "version" in query else nullcontext():
            answer = get_prompt(
                method=environ["REQUEST_METHOD"],
                name=path[len(PROMPTS) :],
                query=query,
                authorization=environ.get("HTTP_AUTHORIZATION", ""),
                unit_header=environ.get("HTTP_SERINUS_UNIT", ""),
                if_none_match=environ.get("HTTP_IF_NONE_MATCH", ""),
                request_id=given_request_id(environ),
            )
        start_response(STATUS_LINES[answer.status], answer.headers)
        return [answer.body]

    return application


@contextmanager
def connections_as_of_a_request() -> Iterator[None]:
    """What Django does around a request: a version that is in no memory is read from the database."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
