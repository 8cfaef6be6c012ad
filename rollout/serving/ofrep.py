"""The OpenFeature Remote Evaluation Protocol (OFREP 0.3.0), for apps with an OpenFeature provider and no SDK of ours.

A prompt is a flag. Its evaluation is made of what `GET /prompts/{name}` answers, so that both always say the same;
docs/reference/ofrep.md tells which member becomes what. As there, no database is asked on the way.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from common.bodies import parse_json
from common.errors import DomainError, FieldError, Invalid, UnsupportedMediaType, problem_answer
from rollout.serving import counts, snapshot_cache
from rollout.serving.answers import Ready, encode
from rollout.serving.counts import count
from rollout.serving.endpoint import DEFAULT_LABEL, choose, served_prompt
from rollout.serving.responses import Response, matches, with_body
from rollout.serving.snapshot import Snapshot

ALWAYS = [
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Authorization, X-API-Key"),
    ("X-Content-Type-Options", "nosniff"),
]
REASONS = {"label": "STATIC", "control": "SPLIT", "canary": "SPLIT", "pinned": "TARGETING_MATCH"}
FAILURES = {
    400: (400, "PARSE_ERROR"),
    404: (404, "FLAG_NOT_FOUND"),
    410: (404, "FLAG_NOT_FOUND"),
    413: (413, "PARSE_ERROR"),
    415: (400, "PARSE_ERROR"),
    422: (400, "INVALID_CONTEXT"),
}
"""The protocol's status and errorCode for a refusal's status; any other stays as it is and is GENERAL."""

LONGEST_DETAILS = 1000  # characters; details may quote the context, which may be of any length
ALL = "all_flags"  # is counted as the reason where all prompts of a label are evaluated
OURS = ("targetingKey", "label", "version")
KINDS = {bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. key: the API key, "" without one. read_body: gives the body, or raises a DomainError."""

    method: str
    key: str
    content_type: str
    read_body: Callable[[], bytes]
    if_none_match: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What an evaluation context says to us. unit: "" without one. version: None unless one is pinned."""

    unit: str
    label: str
    version: str | None


def evaluate_flag(name: str, request: Request) -> Response:
    """The evaluation of one prompt, or why there is none."""
    headers = list(ALWAYS)
    try:
        snapshot = _admit(request, headers)
        context = _context(_read(request))
        asked = {"label": context.label} if context.version is None else {"version": context.version}
        answer = choose(served_prompt(snapshot, name), asked, context.unit).ready()
    except DomainError as error:
        return _failure(error, headers, request.method, {"key": name})
    count(answer.served, answer.assigned)
    return _json(200, headers, encode(_evaluation(answer.response.body)), request.method)


def evaluate_flags(request: Request) -> Response:
    """The evaluations of all prompts that have the label, by name. The ETag is of the context and of what is served."""
    headers = list(ALWAYS)
    try:
        snapshot = _admit(request, headers)
        body = _read(request)
        answers = _answers(snapshot, _context(body))
    except DomainError as error:
        return _failure(error, headers, request.method, {})
    etag = _etag(body, answers)
    headers.append(("ETag", etag))
    if request.if_none_match and matches(etag, request.if_none_match):
        counts.requests(304, ALL).inc()
        return Response(304, headers, b"")
    counts.requests(200, ALL).inc()
    evaluations = [
        encode(_evaluation(answer.response.body)) for answer in answers
    ]  # one by one: other threads get their turn
    return _json(200, headers, b'{"flags":[' + b",".join(evaluations) + b"]}", request.method)


def _admit(request: Request, headers: list[tuple[str, str]]) -> Snapshot:
    """The state to answer from, for a request that may be answered. Adds the headers that tell of them."""
    if request.method != "POST":
        headers.append(("Allow", "POST"))
        raise DomainError("method_not_allowed", f"Flags are evaluated by POST, not by {request.method}", status=405)
    snapshot, stale_s = snapshot_cache.cache.current()
    if stale_s is not None:
        headers += [("Serinus-Stale", "true"), ("Age", str(stale_s))]
    snapshot.check_reader(f"Bearer {request.key}")
    return snapshot


def _read(request: Request) -> bytes:
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(
            "unsupported_media_type", f"Content-Type: expected application/json, got {request.content_type!r}"
        )
    return request.read_body()


def _context(body: bytes) -> Context:
    request = parse_json(body)
    context = request.get("context") if isinstance(request, dict) else None
    if not isinstance(context, dict):
        raise Invalid.field("context", "expected an object")
    ours = _ours(context)
    return Context(
        unit=_hashable(ours.get("targetingKey", "")),
        label=ours.get("label", DEFAULT_LABEL),
        version=ours.get("version"),
    )


def _ours(context: Mapping[str, Any]) -> dict[str, str]:
    """The members that are ours, all others being the app's own affair. What is null is not given."""
    given = {name: context[name] for name in OURS if context.get(name) is not None}
    errors = [
        FieldError(f"context.{name}", "invalid", f"expected a string, got {KINDS[type(value)]}")
        for name, value in given.items()
        if not isinstance(value, str)
    ]
    if errors:
        raise Invalid.fields(errors)
    return given


def _hashable(unit: str) -> str:
    """JSON can escape half a character (a lone surrogate); it has no UTF-8, which is what is hashed."""
    return unit.encode("utf-8", "backslashreplace").decode()


def _answers(snapshot: Snapshot, context: Context) -> list[Ready]:
    """What `GET /prompts/{name}` answers for each prompt of the label."""
    if context.version is not None:
        raise Invalid.field("context.version", "a version is one prompt's: pin it where that prompt alone is evaluated")
    answers = []
    for _, prompt in sorted(snapshot.prompts.items()):  # by name, so that all processes give one ETag
        if context.label in prompt.labels and not prompt.archived:
            answer = choose(prompt, {"label": context.label}, context.unit).ready()
            if answer.assigned:
                answer.assigned.inc()
            answers.append(answer)
    return answers


def _etag(body: bytes, answers: list[Ready]) -> str:
    """Of the whole request body, so that another context is never told that nothing has changed."""
    digest = sha256(body)
    for answer in answers:
        digest.update(answer.etag.encode())
    return f'"{digest.hexdigest()[:20]}"'


def _evaluation(served: bytes) -> dict[str, Any]:
    """What `GET /prompts/{name}` answers, as the protocol has it: the version is the value, all else its metadata."""
    members = json.loads(served)
    reason = members.pop("reason")
    metadata = _metadata(**{name: members.pop(name) for name in ("label", "sticky", "rollout", "trace")})
    return {
        "key": members["name"],
        "value": members,
        "reason": REASONS[reason],
        "variant": members["version"],
        "metadata": metadata,
    }


def _metadata(
    *, label: str | None, sticky: bool, rollout: Mapping[str, Any] | None, trace: Mapping[str, str]
) -> dict[str, Any]:
    """Flat, and without null, as the protocol wants it."""
    metadata: dict[str, Any] = {} if label is None else {"label": label}
    metadata["sticky"] = sticky
    if rollout is not None:
        metadata["rollout"] = rollout["id"]
        metadata |= {name: rollout[name] for name in ("arm", "step", "weight_bp")}
        metadata["exposure"] = trace["serinus.exposure"]
    return {**metadata, **trace}


def _failure(error: DomainError, headers: list[tuple[str, str]], method: str, about: Mapping[str, str]) -> Response:
    """about: the key of the flag that was asked for, if it was one."""
    status, code = FAILURES.get(error.status, (error.status, "GENERAL"))
    if error.code == "unknown_version":  # the flag is there; it is the context that asks for what is not
        status, code = 400, "INVALID_CONTEXT"
    counts.requests(status, error.code).inc()
    problem_headers, _ = problem_answer(error, request_id="")
    del problem_headers["Content-Type"]
    body = encode({**about, "errorCode": code, "errorDetails": error.detail[:LONGEST_DETAILS]})
    return _json(status, [*headers, *problem_headers.items()], body, method)


def _json(status: int, headers: list[tuple[str, str]], body: bytes, method: str) -> Response:
    return with_body(status, [*headers, ("Content-Type", "application/json")], body, method)
