"""Issuing and revoking API keys. A key is shown once, when it is issued; only its hash is kept."""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Forbidden, Invalid
from registry import audit
from registry.keys import Grant, grant_of, hash_key, new_key
from registry.models import LABEL_NAME, PROMPT_NAME, ApiKey, Scope
from registry.sequences import touch
from registry.services.refusals import required_text

SHOWN_CHARACTERS = 12
MAX_NAME = 100

logger = logging.getLogger(__name__)


@transaction.atomic
def issue_key(
    *,
    name: str,
    scopes: Sequence[str],
    prompt_prefix: str = "",
    labels: Sequence[str] = (),
    expires_at: datetime | None = None,
    maker: Grant | None = None,
    actor: Actor,
) -> tuple[ApiKey, str]:
    """A new key and, this one time, its text.

    prompt_prefix, labels: all that it reaches, "" and none for everything. maker: the key that asks for it; the new one
    grants no more than that and, unless said otherwise, expires with it.
    Raises Invalid naming the field that is wrong, or Forbidden beyond_maker.
    """
    name = required_text("name", name, "say whose key it is")
    if len(name) > MAX_NAME:
        raise Invalid.field("name", f"expected at most {MAX_NAME} characters, got {len(name)}")
    if not name.isprintable():
        raise Invalid.field("name", "expected text on one line, without control characters")
    _check_reach(scopes, prompt_prefix, labels)
    if expires_at is not None and expires_at <= now():
        raise Invalid.field("expires_at", f"expected a time to come, got {expires_at.isoformat()}")
    text = new_key()
    key = ApiKey(
        name=name,
        prefix=text[:SHOWN_CHARACTERS],
        sha256=hash_key(text),
        scopes=_known(scopes),
        prompt_prefix=prompt_prefix,
        labels=sorted(set(labels)),
        expires_at=expires_at or (maker.expires_at if maker else None),
        created_at=now(),
        created_by=str(actor),
    )
    if maker is not None:
        _check_maker(maker, key)
    key.save(force_insert=True)
    touch(key)
    granted = ("name", "scopes", "prompt_prefix", "labels", "expires_at")
    after = {name: getattr(key, name) for name in granted}
    audit.record(action="key.issued", target=f"keys/{key.prefix}", before=None, after=after, actor=actor)
    _log("key.issued", key, actor)
    return key, text


@transaction.atomic
def revoke_key(*, key: ApiKey, actor: Actor) -> None:
    """Nobody may use the key any more. Revoking it twice keeps the first time."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now()):
        touch(key)
        before, after = {"name": key.name, "revoked": False}, {"name": key.name, "revoked": True}
        audit.record(action="key.revoked", target=f"keys/{key.prefix}", before=before, after=after, actor=actor)
        _log("key.revoked", key, actor)


def _check_reach(scopes: Sequence[str], prompt_prefix: str, labels: Sequence[str]) -> None:
    if Scope.ADMIN in scopes and (prompt_prefix or labels):
        raise Invalid.field("scopes", "a key of the scope admin reaches everything: expected no prefix and no labels")
    if prompt_prefix:
        _check_name("prompt_prefix", PROMPT_NAME, prompt_prefix)
    for label in labels:
        _check_name("labels", LABEL_NAME, label)


def _check_name(field: str, rule: RegexValidator, name: str) -> None:
    try:
        rule(name)
    except ValidationError as error:
        raise Invalid.field(field, error.messages[0]) from error


def _check_maker(maker: Grant, key: ApiKey) -> None:
    made = grant_of(key.name, key.scopes, prompt_prefix=key.prompt_prefix, labels=key.labels)
    outlives = maker.expires_at is not None and (key.expires_at is None or key.expires_at > maker.expires_at)
    if not made.scopes <= maker.scopes or not maker.reach.holds(made.reach) or outlives:
        raise Forbidden("beyond_maker", f"{maker.name} cannot make a key that grants more, or for longer, than itself")


def _known(scopes: Sequence[str]) -> list[str]:
    expected = ", ".join(Scope.values)
    if not scopes:
        raise Invalid.field("scopes", f"expected at least one of {expected}")
    for scope in scopes:
        if scope not in Scope.values:
            raise Invalid.field(
                "scopes", f"{scope!r} is not a scope; expected some of {expected}", code="unknown_scope"
            )
    return list(dict.fromkeys(map(str, scopes)))


def _log(event: str, key: ApiKey, actor: Actor) -> None:
    transaction.on_commit(partial(logger.info, event, extra={"key": key.prefix, "actor": str(actor)}))
