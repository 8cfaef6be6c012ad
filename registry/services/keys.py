"""Issuing and revoking API keys. A key is shown once, when it is issued; only its hash is kept."""

import logging
from collections.abc import Sequence
from functools import partial

from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Invalid
from registry import audit
from registry.keys import hash_key, new_key
from registry.models import ApiKey, Scope
from registry.sequences import touch
from registry.services.refusals import required_text

SHOWN_CHARACTERS = 12
MAX_NAME = 100

logger = logging.getLogger(__name__)


@transaction.atomic
def issue_key(*, name: str, scopes: Sequence[str], actor: Actor) -> tuple[ApiKey, str]:
    """A new key and, this one time, its text. Raises Invalid naming the scope that is not one."""
    name = required_text("name", name, "say whose key it is")
    if len(name) > MAX_NAME:
        raise Invalid.field("name", f"expected at most {MAX_NAME} characters, got {len(name)}")
    text = new_key()
    key = ApiKey.objects.create(
        name=name,
        prefix=text[:SHOWN_CHARACTERS],
        sha256=hash_key(text),
        scopes=_known(scopes),
        created_at=now(),
        created_by=str(actor),
    )
    touch(key)
    after = {"name": key.name, "scopes": key.scopes}
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
