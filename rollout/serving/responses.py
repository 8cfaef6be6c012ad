"""The shape of an answer of the read path, before any web framework: a status, headers and bytes."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from common.errors import BadRequest, DomainError, FieldError, problem_answer
from common.ids import new_id

METHODS = ("GET", "HEAD")
REQUEST_ID = "X-Request-Id"

Headers = list[tuple[str, str]]


class Response(NamedTuple):
    status: int
    headers: Headers
    body: bytes


def method_not_allowed(method: str, headers: Headers) -> DomainError:
    """The refusal of another method than METHODS, and its header."""
    headers.append(("Allow", ", ".join(METHODS)))
    return DomainError("method_not_allowed", f"This is read by GET, not by {method}", status=405)


def with_body(status: int, headers: Headers, body: bytes, method: str) -> Response:
    """HEAD leaves the body out, but tells its length."""
    headers.append(("Content-Length", str(len(body))))
    return Response(status, headers, b"" if method == "HEAD" else body)


def not_modified(headers: Headers) -> Response:
    """Without the length that the body would have: some clients then wait for that body (wrk for one)."""
    return Response(304, headers, b"")


def problem(error: DomainError, headers: Headers, method: str, request_id: str) -> Response:
    """The refusal. It carries an id to be found again by, its own when the caller gave none."""
    if not request_id:
        request_id = new_id("req")
        headers.append((REQUEST_ID, request_id))
    problem_headers, body = problem_answer(error, request_id)
    return with_body(error.status, [*headers, *problem_headers.items()], body, method)


def matches(etag: str, if_none_match: str) -> bool:
    """RFC 9110, section 13.1.2: a list of tags, compared weakly, or `*`."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def parameters(query: str, known: set[str]) -> dict[str, str]:
    """The query's parameters, each named once. Others are refused: `?lable=staging` must not mean production."""
    if not query:
        return {}
    if query.startswith("unit=") and query.isascii() and not ("%" in query or "&" in query or "+" in query):
        return {"unit": query.removeprefix("unit=")}  # as most are, in a tenth of the time
    pairs = pairs_of(query)
    given = dict(pairs)
    if len(given) < len(pairs) or not given.keys() <= known:
        raise wrong_parameters([name for name, _ in pairs], known)
    return given


def pairs_of(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text(query), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequest("malformed_query", "The query is not percent-encoded UTF-8") from error


def wrong_parameters(names: Sequence[str], known: set[str], repeatable: Sequence[str] = ()) -> BadRequest:
    expected = ", ".join(sorted(known))
    errors = [
        FieldError(n, "unknown", f"unknown parameter; expected one of {expected}") for n in names if n not in known
    ]
    once = sorted(known.difference(repeatable))
    errors += [FieldError(n, "repeated", "given more than once") for n in once if names.count(n) > 1]
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return BadRequest(f"{errors[0].code}_parameter", detail, errors=errors)


def text(wsgi: str) -> str:
    """What WSGI read as Latin-1, read as UTF-8; where it is not UTF-8, Latin-1 was meant (Python's http.client)."""
    if wsgi.isascii():
        return wsgi
    try:
        return wsgi.encode("latin-1").decode()
    except UnicodeError:
        return wsgi
