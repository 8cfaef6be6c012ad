"""`Idempotency-Key`: a request that makes something and is sent again has one effect, and gets the first answer again.

As draft-ietf-httpapi-idempotency-key-header describes it. The answer is kept in the transaction of the effect, so that
whatever dies in between leaves both or neither. A refusal has no effect and is not kept: sent again, the request is
judged anew. A secret that the answer shows once is not kept either.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from common.clock import now
from common.errors import BadRequest, Conflict, Invalid
from registry.keys import bearer_token, hash_key
from registry.models import IdempotentAnswer

KEPT_HEADERS = ("Location", "ETag")
WRITTEN = re.compile(r'"(?P<quoted>[ !#-\[\]-~]{1,255})"|(?P<bare>[!#-~]{1,255})')

Post = Callable[..., Response]


def idempotent(*, shown_once: str | None = None) -> Callable[[Post], Post]:
    """For the `post` of a view that makes something. shown_once: the member of its answer that is a secret."""

    def decorated(post: Post) -> Post:
        @wraps(post)
        def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            key = _key(request)
            if key is None:
                return post(view, request, *args, **kwargs)
            digest, fingerprint = _digest(request, key), _fingerprint(request)
            with transaction.atomic():
                _take_turn(digest)
                kept = IdempotentAnswer.objects.filter(
                    digest=digest, stored_at__gt=now() - IdempotentAnswer.KEPT_FOR
                ).first()
                if kept is not None:
                    return _again(kept, fingerprint, shown_once)
                response = post(view, request, *args, **kwargs)
                _keep(response, digest, fingerprint, shown_once)
            return response

        once.shows_again = shown_once is None  # type: ignore[attr-defined]  # read by config.openapi
        return once

    return decorated


def _key(request: Request) -> str | None:
    """What the header says, with the quotes of the draft or without them as many clients send it."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    found = WRITTEN.fullmatch(header.strip())
    if found is None:
        raise BadRequest(
            "malformed_idempotency_key", 'Idempotency-Key: expected "…", 1 to 255 ASCII characters without quotes'
        )
    return found["quoted"] or found["bare"]


def _digest(request: Request, key: str) -> str:
    """Each API key has Idempotency-Keys of its own: nobody gets the answer to another's request."""
    token = bearer_token(request.META.get("HTTP_AUTHORIZATION", "")) or ""
    return hashlib.sha256(f"{hash_key(token)} {key}".encode()).hexdigest()


def _fingerprint(request: Request) -> str:
    """Of what is asked; the order of the body's members and its white space do not matter."""
    try:
        asked = json.dumps([request.method, request.get_full_path(), request.data], sort_keys=True)
    except RecursionError as error:
        raise BadRequest("malformed_json", "The body is nested too deeply") from error
    return hashlib.sha256(asked.encode()).hexdigest()


def _take_turn(digest: str) -> None:
    """Nobody else is answering the same request until this transaction ends, or Conflict request_in_progress.

    On SQLite whoever comes second has waited for the first already, at the beginning of the transaction.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        lock = int.from_bytes(bytes.fromhex(digest[:16]), signed=True)
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
        (is_mine,) = cursor.fetchone()
    if not is_mine:
        raise Conflict(
            "request_in_progress", "The first request with this Idempotency-Key is not answered yet; try again"
        )


def _again(kept: IdempotentAnswer, fingerprint: str, shown_once: str | None) -> Response:
    if kept.fingerprint != fingerprint:
        raise Invalid(
            "idempotency_key_reused", "This Idempotency-Key was sent with another request; send a new key with this one"
        )
    body = json.loads(kept.body)
    if shown_once is not None:
        raise Conflict(
            "secret_not_shown_again",
            f"The first request with this Idempotency-Key made {body['id']} and showed its {shown_once}, which is not "
            "kept: rotate or revoke it, or make another one",
            extra={"id": body["id"]},
        )
    return Response(body, status=kept.status, headers={**kept.headers, "Idempotency-Replayed": "true"})


def _keep(response: Response, digest: str, fingerprint: str, shown_once: str | None) -> None:
    body = {name: value for name, value in response.data.items() if name != shown_once}
    IdempotentAnswer.objects.update_or_create(  # one that is kept no longer may not have been deleted yet
        digest=digest,
        defaults={
            "fingerprint": fingerprint,
            "status": response.status_code,
            "headers": {name: response[name] for name in KEPT_HEADERS if name in response},
            "body": JSONRenderer().render(body).decode(),
            "stored_at": now(),
        },
    )
