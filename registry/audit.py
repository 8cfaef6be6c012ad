"""The audit trail: who changed what, when, why and from where, written in the transaction of the change itself.

Every service that changes something says so here, whoever asked for it: the API, the admin, the evaluator, a command.
"""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from common.actors import Actor
from common.clock import now
from common.requests import origin
from registry.models import AuditEntry

FIELDS = ("id", "at", "actor", "action", "target", "before", "after", "reason", "address", "request_id")


def record(
    *,
    action: str,
    target: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    actor: Actor,
    reason: str = "",
) -> None:
    """Write one entry (models.AuditEntry says what belongs into it). Must run inside the transaction of the change."""
    came_from = origin()
    AuditEntry.objects.create(
        at=now(),
        actor=str(actor),
        action=action,
        target=target,
        before=before,
        after=after,
        reason=reason,
        address=came_from.address,
        request_id=came_from.request_id,
    )


def entries(
    *,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Newest first. target: it and all under it. since, until: from then on, and before then."""
    wanted = {"actor": actor, "action": action, "at__gte": since, "at__lt": until}
    found = AuditEntry.objects.filter(**{name: value for name, value in wanted.items() if value is not None})
    if target is not None:
        found = found.filter(Q(target=target) | Q(target__startswith=f"{target}/"))
    return found


def entry_json(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in FIELDS}
