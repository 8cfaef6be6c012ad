"""`GET /prompts/{name}` as one plain function of a request's few values, from memory, without Django's request."""

import random
from collections.abc import Mapping

from common.errors import DomainError, Gone, Invalid, NotFound
from registry.core.versions import parse_version
from rollout.serving import counts, snapshot_cache
from rollout.serving.answers import Split
from rollout.serving.responses import (
    REQUEST_ID,
    Response,
    check_method,
    matches,
    not_modified,
    parameters,
    problem,
    text,
    with_body,
)
from rollout.serving.snapshot import ServedPrompt, Snapshot

DEFAULT_LABEL = "production"
PARAMETERS = {"label", "unit", "version"}
ALWAYS = [
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Authorization, Serinus-Unit"),
    ("X-Content-Type-Options", "nosniff"),
]


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
        check_method(method, headers)
        snapshot, stale_s = snapshot_cache.cache.current()
        if stale_s is not None:
            headers += [("Serinus-Stale", "true"), ("Age", str(stale_s))]
        snapshot.check_reader(authorization)
        etag, body, reason = choose(served_prompt(snapshot, name), parameters(query, PARAMETERS), text(unit_header))
    except DomainError as error:
        counts.requests(error.status, error.code).inc()
        return problem(error, headers, method, request_id)
    headers.append(("ETag", etag))
    if if_none_match and matches(etag, if_none_match):
        counts.requests(304, reason).inc()
        return not_modified(headers)
    counts.requests(200, reason).inc()
    headers.append(("Content-Type", "application/json"))
    return with_body(200, headers, body, method)


def choose(prompt: ServedPrompt, asked: Mapping[str, str], unit_header: str) -> tuple[str, bytes, str]:
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


def served_prompt(snapshot: Snapshot, name: str) -> ServedPrompt:
    prompt = snapshot.prompts.get(name)
    if prompt is None:
        raise NotFound("unknown_prompt", f"There is no prompt {name!r}")
    if prompt.archived:
        raise Gone("prompt_archived", f"{name} is archived")
    return prompt
