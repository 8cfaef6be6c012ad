"""API keys at the door: what a request may do, for plain views (`require`) and for Django REST framework.

Where telemetry comes in, the key may come in whatever way a client made for another server sends its own (`sent_key`),
and what it grants is remembered for a second by each process (`remembered_grant`).

A key is looked up by its SHA-256, never compared character by character. How long a lookup takes may tell something of
the hash of what was sent, from which nobody can come nearer to a key that has the hash of another one.
"""

import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.http import HttpRequest
from rest_framework import authentication, permissions
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from common.actors import Actor
from common.clock import now
from common.errors import Forbidden, Unauthorized
from registry import key_uses
from registry.models import ApiKey, Scope
from registry.reach import EVERYTHING, Reach

INCLUDED = {
    Scope.READ: {Scope.READ},
    Scope.INGEST: {Scope.INGEST},
    Scope.WRITE: {Scope.WRITE, Scope.READ},
    Scope.ADMIN: set(Scope),
}
ADMIN_ONLY = dict.fromkeys(("GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE"), Scope.ADMIN)
"""The `scopes` of views that show or change what only keys of the scope `admin` may (HasScope)."""

REMEMBERED_S = 1.0  # as long as a revoked key may still be taken
MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Grant:
    """What the bearer of a key may do: the key's name and hash, its scopes with all that they include, what it reaches.

    expires_at: from then on nothing, None for never.
    """

    name: str
    scopes: frozenset[str]
    reach: Reach = EVERYTHING
    expires_at: datetime | None = None
    sha256: str = ""

    @property
    def actor(self) -> Actor:
        return Actor("key", self.name)


def new_key() -> str:
    """A random key such as `ser_…` with 256 bits of entropy; a plain hash of it is therefore safe to store."""
    return "ser_" + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def grant_of(
    name: str,
    scopes: Sequence[str],
    *,
    prompt_prefix: str = "",
    labels: Iterable[str] = (),
    expires_at: datetime | None = None,
    sha256: str = "",
) -> Grant:
    """What a key grants, by what is stored of it."""
    included = frozenset(str(scope) for given in scopes for scope in INCLUDED[Scope(given)])
    return Grant(name, included, Reach(prompt_prefix, frozenset(labels)), expires_at, sha256)


def bearer_token(header: str) -> str | None:
    """The key in an Authorization header's value, or None when there is no Bearer credential."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def stored_grant(sha256: str) -> Grant | None:
    key = ApiKey.objects.filter(sha256=sha256, revoked_at__isnull=True).first()
    if key is None:
        return None
    return grant_of(
        key.name,
        key.scopes,
        prompt_prefix=key.prompt_prefix,
        labels=key.labels,
        expires_at=key.expires_at,
        sha256=sha256,
    )


_remembered: dict[str, tuple[float, Grant]] = {}  # by hash: until when, and what


def remembered_grant(sha256: str) -> Grant | None:
    """As stored_grant, but asks the database at most once a second for a key that is known."""
    until, grant = _remembered.get(sha256, (0.0, None))
    if grant is None or time.monotonic() >= until:
        asked_at = time.monotonic()
        grant = stored_grant(sha256)
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        if grant is not None:
            _remembered[sha256] = asked_at + REMEMBERED_S, grant
    return grant


def sent_key(request: HttpRequest) -> str | None:
    """The key of a Bearer or Basic credential, whose password it is, or of the header `x-api-key`."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    return bearer_token(header) or _basic_password(header) or request.META.get("HTTP_X_API_KEY", "").strip() or None


def _basic_password(header: str) -> str | None:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2].strip() or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def find_grant(header: str, grant_behind_hash: Callable[[str], Grant | None] = stored_grant) -> Grant:
    """The grant behind an Authorization header. Raises Unauthorized without a valid, unrevoked key."""
    return _grant_of_token(bearer_token(header), grant_behind_hash)


def _grant_of_token(token: str | None, grant_behind_hash: Callable[[str], Grant | None]) -> Grant:
    if token is None:
        raise Unauthorized("missing_key", "Send an API key as `Authorization: Bearer <key>`")
    grant = grant_behind_hash(hash_key(token))
    if grant is None:
        raise _unknown()
    let_in(grant)
    return grant


def let_in(grant: Grant) -> None:
    """Note that the key is used now. Raises Unauthorized when it has expired."""
    if grant.expires_at is not None and grant.expires_at <= now():
        raise _unknown()
    key_uses.note(grant.sha256)


def _unknown() -> Unauthorized:
    return Unauthorized("unknown_key", "This API key is not known, has expired or has been revoked")


def check_scope(grant: Grant, scope: str) -> None:
    if scope not in grant.scopes:
        raise Forbidden("wrong_scope", f"This needs a key with the scope {scope}; {grant.name} lacks it")


def require(request: HttpRequest, scope: Scope) -> Grant:
    """For plain views: the request's grant, or Unauthorized (401), or Forbidden (403)."""
    grant = find_grant(request.META.get("HTTP_AUTHORIZATION", ""))
    check_scope(grant, scope)
    return grant


def require_ingest(request: HttpRequest) -> Grant:
    """As `require`, where telemetry comes in."""
    grant = _grant_of_token(sent_key(request), remembered_grant)
    check_scope(grant, Scope.INGEST)
    return grant


def grant_behind(request: Request) -> Grant:
    """The grant that ApiKeyAuthentication found for a request of Django REST framework."""
    return cast("Grant", request.auth)


def reach_of(request: Request) -> Reach:
    """What the request's key reaches."""
    return grant_behind(request).reach


def beyond_reach(grant: Grant, what: str) -> Forbidden:
    """The refusal of making what the key could not reach afterwards."""
    return Forbidden("beyond_reach", f"{grant.name} is restricted: {what}")


def refuse_restricted(grant: Grant, reason: str) -> None:
    """Raises Forbidden for a key that does not reach everything, where what it reaches cannot be told from the rest."""
    if not grant.reach.is_everything:
        raise beyond_reach(grant, reason)


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """For Django REST framework: `request.auth` is the Grant."""

    def authenticate(self, request: Request) -> tuple[None, Grant]:
        try:
            return None, find_grant(request.META.get("HTTP_AUTHORIZATION", ""))
        except Unauthorized as error:
            raise AuthenticationFailed(error.detail, error.code) from error

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="serinus"'


class IngestKeyAuthentication(ApiKeyAuthentication):
    """For views that telemetry comes into: the key in any of the ways of `sent_key`."""

    def authenticate(self, request: Request) -> tuple[None, Grant]:
        try:
            return None, _grant_of_token(sent_key(request._request), remembered_grant)
        except Unauthorized as error:
            raise AuthenticationFailed(error.detail, error.code) from error


class HasScope(permissions.BasePermission):
    """The view's `scopes` attribute maps methods to the scope they need; GET and HEAD need `read`, others `write`."""

    def has_permission(self, request: Request, view: object) -> bool:
        scopes: dict[str, str] = getattr(view, "scopes", {})
        default = Scope.READ if request.method in permissions.SAFE_METHODS else Scope.WRITE
        check_scope(grant_behind(request), scopes.get(request.method or "", default))
        return True
