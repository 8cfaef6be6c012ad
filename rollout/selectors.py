"""Reading rollouts; nothing here writes."""

from django.db.models import QuerySet

from common.errors import Invalid, NotFound
from rollout.models import Rollout, Status


def rollouts(*, prompt: str | None = None, label: str | None = None, status: str | None = None) -> QuerySet[Rollout]:
    """All rollouts that match, newest first, with everything that their representation needs."""
    if status is not None and status not in Status.values:
        raise Invalid.field("status", f"expected one of {', '.join(Status.values)}, got {status!r}")
    wanted = {"prompt__name": prompt, "label__name": label, "status": status}
    return Rollout.objects.select_related("prompt", "label", "control", "canary", "verdict").filter(
        **{field: value for field, value in wanted.items() if value is not None}
    )


def find_rollout(rollout_id: str) -> Rollout:
    """The rollout. Raises NotFound."""
    found = rollouts().filter(pk=rollout_id).first()
    if found is None:
        raise NotFound("unknown_rollout", f"There is no rollout {rollout_id}")
    return found
