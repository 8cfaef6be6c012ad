"""`GET /prompts/{name}` as one plain function of a request's few values, from memory, without Django's request."""

import random
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from common.errors import BadRequest, DomainError, FieldError, Gone, Invalid, NotFound, problem_answer
from common.ids import new_id
from registry.core.versions import parse_version
from registry.keys import check_scope, find_grant
from registry.models import Scope
from rollout.serving import counts, snapshot_cache
from rollout.serving.answers import Split
from rollout.serving.snapshot import ServedPrompt, Snapshot

DEFAULT_LABEL = "production"
PARAMETERS = {"label", "unit", "version"}
METHODS = ("GET", "HEAD")
ALWAYS = [
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Authorization, Serinus-Unit"),
    ("X-Content-Type-Options", "nosniff"),
]
REQUEST_ID = "X-Request-Id"


class Response(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def get_prompt(
    *,
    method: str,
    name: str,
    query: str = "",
    authorization: str = "",
    unit_header: str = "",
    if_none_match: str = "",
    request_id: str = "",
) -> Response:
    """The answer, refusals included. query and the headers are as WSGI hands them over: bytes read as Latin-1.

    request_id: the caller's, or empty; a refusal then gets one, to be found again by.
    """
    headers = list(ALWAYS)
    if request_id:
        headers.append((REQUEST_ID, request_id))
    try:
        if method not in METHODS:
            headers.append(("Allow", ", ".join(METHODS)))
            raise DomainError("method_not_allowed", f"A prompt is read by GET, not by {method}", status=405)
        snapshot, stale_s = snapshot_cache.cache.current()
        if stale_s is not None:
            headers += [("Serinus-Stale", "true"), ("Age", str(stale_s))]
        check_scope(find_grant(authorization, snapshot.grants.get), Scope.READ)
        etag, body, reason = _answer(_served_prompt(snapshot, name), _parameters(query), _text(unit_header))
    except DomainError as error:
        counts.requests(error.status, error.code).inc()
        return _problem(error, headers, method, request_id)
    headers.append(("ETag", etag))
    if if_none_match and _matches(etag, if_none_match):
        counts.requests(304, reason).inc()
        return _without_body(304, headers, body)
    counts.requests(200, reason).inc()
    headers.append(("Content-Type", "application/json"))
    return _with_body(200, headers, body, method)


def _answer(prompt: ServedPrompt, asked: dict[str, str], unit_header: str) -> tuple[str, bytes, str]:
    """The ETag, the body, and the reason for serving this version."""
    if (version := asked.get("version")) is not None:
        return _pinned(prompt, version)
    label = asked.get("label", DEFAULT_LABEL)
    served = prompt.labels.get(label)
    if served is None:
        raise NotFound("unknown_label", f"{prompt.name} has no label {label!r}")
    if not isinstance(served, Split):
        return *served.complete(), "label"
    if unit := asked.get("unit") or unit_header:
        return served.answer(unit, sticky=True)
    return served.answer(str(random.getrandbits(64)), sticky=False)  # a unit of its own


def _pinned(prompt: ServedPrompt, version: str) -> tuple[str, bytes, str]:
    try:
        version_id = prompt.numbers.get(parse_version(version))
    except ValueError as error:
        raise Invalid.field("version", str(error)) from error
    if version_id is None:
        raise NotFound("unknown_version", f"{prompt.name} has no version {version!r}")
    return *snapshot_cache.cache.pinned(prompt, version_id).complete(), "pinned"


def _served_prompt(snapshot: Snapshot, name: str) -> ServedPrompt:
    prompt = snapshot.prompts.get(name)
    if prompt is None:
        raise NotFound("unknown_prompt", f"There is no prompt {name!r}")
    if prompt.archived:
        raise Gone("prompt_archived", f"{name} is archived")
    return prompt


def _parameters(query: str) -> dict[str, str]:
    """The query's parameters, each named once. Others are refused: `?lable=staging` must not mean production."""
    try:
        pairs = parse_qsl(_text(query), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequest("malformed_query", "The query is not percent-encoded UTF-8") from error
    given = dict(pairs)
    if len(given) < len(pairs) or not given.keys() <= PARAMETERS:
        raise _wrong_parameters([name for name, _ in pairs])
    return given


def _wrong_parameters(names: Sequence[str]) -> BadRequest:
    expected = ", ".join(sorted(PARAMETERS))
    errors = [
        FieldError(n, "unknown", f"unknown parameter; expected one of {expected}") for n in names if n not in PARAMETERS
    ]
    errors += [FieldError(n, "repeated", "given more than once") for n in sorted(PARAMETERS) if names.count(n) > 1]
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return BadRequest(f"{errors[0].code}_parameter", detail, errors=errors)


def _matches(etag: str, if_none_match: str) -> bool:
    """RFC 9110, section 13.1.2: a list of tags, compared weakly, or `*`."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _problem(error: DomainError, headers: list[tuple[str, str]], method: str, request_id: str) -> Response:
    if not request_id:
        request_id = new_id("req")
        headers.append((REQUEST_ID, request_id))
    problem_headers, body = problem_answer(error, request_id)
    return _with_body(error.status, [*headers, *problem_headers.items()], body, method)


def _with_body(status: int, headers: list[tuple[str, str]], body: bytes, method: str) -> Response:
    if method == "HEAD":
        return _without_body(status, headers, body)
    headers.append(("Content-Length", str(len(body))))
    return Response(status, headers, body)


def _without_body(status: int, headers: list[tuple[str, str]], body: bytes) -> Response:
    """304 and HEAD tell the length that the body would have (RFC 9110, section 8.6)."""
    headers.append(("Content-Length", str(len(body))))
    return Response(status, headers, b"")


def _text(wsgi: str) -> str:
    """What WSGI read as Latin-1, read as UTF-8; where it is not UTF-8, Latin-1 was meant (Python's http.client)."""
    if wsgi.isascii():
        return wsgi
    try:
        return wsgi.encode("latin-1").decode()
    except UnicodeError:
        return wsgi
