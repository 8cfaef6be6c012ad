"""`GET /ruleset` as one plain function of a request's few values, from memory; it may wait for a change."""

import time

from common.errors import DomainError, Invalid
from registry.reach import Reach
from rollout.serving import snapshot_cache
from rollout.serving.counts import RULESET_REQUESTS
from rollout.serving.responses import (
    METHODS,
    REQUEST_ID,
    Response,
    matches,
    method_not_allowed,
    pairs_of,
    problem,
    with_body,
    wrong_parameters,
)
from rollout.serving.ruleset import Labels, Ruleset, Rulesets, Selection
from rollout.serving.snapshot import Snapshot
from rollout.serving.waiting import a_place

PARAMETERS = {"label", "since", "wait"}
LONGEST_WAIT_S = 30
ALWAYS = [
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Authorization"),
    ("X-Content-Type-Options", "nosniff"),
]

rulesets = Rulesets()


def get_ruleset(
    *, method: str, query: str = "", authorization: str = "", if_none_match: str = "", request_id: str = ""
) -> Response:
    """The answer, refusals included. query and the headers are as WSGI hands them over: bytes read as Latin-1."""
    headers = list(ALWAYS)
    if request_id:
        headers.append((REQUEST_ID, request_id))
    try:
        if method not in METHODS:
            raise method_not_allowed(method, headers)
        labels, since, wait_s = _asked(query)
        snapshot, stale_s, reach = _allowed(authorization)
        ruleset = rulesets.of(snapshot, _selection(labels, reach))
        if wait_s and matches(_etag(ruleset), if_none_match):
            ruleset, stale_s = _wait_for_another(ruleset, authorization, wait_s)
    except DomainError as error:
        RULESET_REQUESTS.of(str(error.status), error.code).inc()
        return problem(error, headers, method, request_id)
    if stale_s is not None:
        headers += [("Serinus-Stale", "true"), ("Age", str(stale_s))]
    headers.append(("ETag", _etag(ruleset)))
    if if_none_match and matches(_etag(ruleset), if_none_match):
        RULESET_REQUESTS.of("304", "unchanged").inc()
        return Response(304, headers, b"")
    body = ruleset.complete() if since is None else ruleset.since(since)
    RULESET_REQUESTS.of("200", "complete" if since is None else "changes").inc()
    headers.append(("Content-Type", "application/json"))
    return with_body(200, headers, body, method)


def _asked(query: str) -> tuple[Labels, int | None, float]:
    """The labels, the generation that the client has, and for how many seconds it would wait for another state."""
    pairs = pairs_of(query)
    labels = frozenset(value for name, value in pairs if name == "label")
    given = {name: value for name, value in pairs if name != "label"}
    once = [name for name, _ in pairs if name != "label"]
    if len(given) < len(once) or not given.keys() <= PARAMETERS:
        raise wrong_parameters([name for name, _ in pairs], PARAMETERS, repeatable=["label"])
    since, wait_s = given.get("since"), given.get("wait", "0")
    if since is not None and not (since.isascii() and since.isdigit() and len(since) <= 18):
        raise Invalid.field("since", f"expected a generation such as 41, got {since!r}")
    if not (wait_s.isascii() and wait_s.isdigit() and len(wait_s) <= 2 and int(wait_s) <= LONGEST_WAIT_S):
        raise Invalid.field("wait", f"expected whole seconds from 0 to {LONGEST_WAIT_S}, got {wait_s!r}")
    return labels or None, None if since is None else int(since), int(wait_s)


def _allowed(authorization: str) -> tuple[Snapshot, int | None, Reach]:
    """The present state, its age when it is stale, and what of it may be read, for a key that may read."""
    snapshot, stale_s = snapshot_cache.cache.current()
    return snapshot, stale_s, snapshot.reader(authorization).reach


def _selection(labels: Labels, reach: Reach) -> Selection:
    """Labels out of reach are as labels that do not exist."""
    if reach.labels:
        labels = reach.labels if labels is None else labels & reach.labels
    return Selection(labels, reach.prompt_prefix)


def _wait_for_another(ruleset: Ruleset, authorization: str, wait_s: float) -> tuple[Ruleset, int | None]:
    """The ruleset once its content is another, or the same one when the time is over or there is no room to wait.

    Checks the key again: it may have been revoked meanwhile.
    """
    seen, until = ruleset.digest, time.monotonic() + wait_s
    with a_place() as room:
        while room and ruleset.digest == seen:
            room = snapshot_cache.cache.wait_for_change(ruleset.snapshot, until - time.monotonic())
            ruleset = rulesets.of(_allowed(authorization)[0], ruleset.selection)
    snapshot, stale_s, _ = _allowed(authorization)
    return rulesets.of(snapshot, ruleset.selection), stale_s


def _etag(ruleset: Ruleset) -> str:
    return f'"{ruleset.digest}"'
