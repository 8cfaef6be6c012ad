"""`GET /prompts/{name}` as one plain function of a request's few values, from memory, without Django's request."""

from collections.abc import Mapping

from common.errors import DomainError, Gone, Invalid, NotFound
from registry.core.versions import parse_version
from rollout.serving import counts, snapshot_cache
from rollout.serving.answers import ALWAYS, Chosen, Split
from rollout.serving.counts import count
from rollout.serving.responses import (
    METHODS,
    REQUEST_ID,
    Headers,
    Response,
    matches,
    method_not_allowed,
    not_modified,
    parameters,
    problem,
    text,
)
from rollout.serving.snapshot import Asked, ServedPrompt, Snapshot

DEFAULT_LABEL = "production"
PARAMETERS = {"label", "unit", "version"}


def get_prompt(
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
    about: Headers = [(REQUEST_ID, request_id)] if request_id else []
    try:
        if method not in METHODS:
            raise method_not_allowed(method, about)
        snapshot, stale_s = snapshot_cache.cache.current()
        if stale_s is not None:
            about += [("Serinus-Stale", "true"), ("Age", str(stale_s))]
        asked = name, query, authorization, unit_header
        chosen = snapshot.remembered.get(asked)
        ready = (chosen or _choose_anew(snapshot, asked)).ready()
    except DomainError as error:
        counts.requests(error.status, error.code).inc()
        return problem(error, ALWAYS + about, method, request_id)
    if if_none_match and matches(ready.etag, if_none_match):
        count(counts.requests(304, ready.reason), ready.assigned)
        return not_modified([*ALWAYS, *about, ("ETag", ready.etag)])
    count(ready.served, ready.assigned)
    if about or method == "HEAD":
        _, headers, body = ready.response
        return Response(200, headers + about, b"" if method == "HEAD" else body)
    return ready.response


def _choose_anew(snapshot: Snapshot, asked: Asked) -> Chosen:
    name, query, authorization, unit_header = asked
    snapshot.check_reader(authorization)
    given = parameters(query, PARAMETERS)
    chosen = choose(served_prompt(snapshot, name), given, unit_header and text(unit_header))
    snapshot.remember(asked, chosen)
    return chosen


def choose(prompt: ServedPrompt, asked: Mapping[str, str], unit_header: str) -> Chosen:
    """The answer to what is asked."""
    if (version := asked.get("version")) is not None:
        return _pinned(prompt, version)
    label = asked.get("label", DEFAULT_LABEL)
    served = prompt.labels.get(label)
    if served is None:
        raise NotFound("unknown_label", f"{prompt.name} has no label {label!r}")
    if not isinstance(served, Split):
        return Chosen(served)
    unit = asked.get("unit") or unit_header
    return served.choose(unit) if unit else served.draw()


def _pinned(prompt: ServedPrompt, version: str) -> Chosen:
    try:
        version_id = prompt.numbers.get(parse_version(version))
    except ValueError as error:
        raise Invalid.field("version", str(error)) from error
    if version_id is None:
        raise NotFound("unknown_version", f"{prompt.name} has no version {version!r}")
    return Chosen(snapshot_cache.cache.pinned(prompt, version_id))


def served_prompt(snapshot: Snapshot, name: str) -> ServedPrompt:
    prompt = snapshot.prompts.get(name)
    if prompt is None:
        raise NotFound("unknown_prompt", f"There is no prompt {name!r}")
    if prompt.archived:
        raise Gone("prompt_archived", f"{name} is archived")
    return prompt
