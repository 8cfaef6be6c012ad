"""Which canaries may be rolled out: none that is the control, and only with a reason one that is known to be a risk.

A text that was rolled back is known by what it says, not by its number: neither another version number, nor another
label of the prompt, nor other white space makes it a new text. So that no automation rolls it out for ever, a reason
is enough once; a text that was rolled back again rests for ROLLBACK_COOL_DOWN, whatever the reason.
"""

from django.conf import settings

from common.clock import now
from common.errors import Conflict
from rollout.models import Rollout
from rollout.selectors import rollbacks_of


def check_canary(rollout: Rollout) -> None:
    """Raises Conflict (canary_is_control, major_change, text_rolled_back_before, cooling_down)."""
    if rollout.canary == rollout.control:
        raise Conflict("canary_is_control", f"{rollout.label} already points at {rollout.canary.number}")
    rollbacks = rollbacks_of(rollout.canary)
    if not rollout.force_reason:
        _refuse_unforced(rollout, rollbacks)
    if len(rollbacks) > 1:
        _refuse_while_cooling_down(rollout, rollbacks[0])


def _refuse_unforced(rollout: Rollout, rollbacks: list[Rollout]) -> None:
    if rollout.canary.major != rollout.control.major:
        raise Conflict(
            "major_change",
            f"{rollout.canary.number} breaks the contract of {rollout.control.number}: callers may fail. "
            "Say in force_reason why it is to be rolled out all the same",
        )
    if rollbacks:
        raise Conflict(
            "text_rolled_back_before",
            "This text was rolled back before. Say in force_reason why it is to be tried again",
            extra=_named(rollbacks[0], rollout),
        )


def _refuse_while_cooling_down(rollout: Rollout, last: Rollout) -> None:
    until = (last.ended_at or last.created_at) + settings.ROLLBACK_COOL_DOWN
    if now() < until:
        raise Conflict(
            "cooling_down",
            "This text was rolled back again and again. It may be tried again after "
            f"{until.isoformat(timespec='seconds').replace('+00:00', 'Z')}; a text that says something else at once",
            extra={**_named(last, rollout), "until": until},
        )


def _named(before: Rollout, rollout: Rollout) -> dict[str, str]:
    """The earlier rollout, where it was of the same label: whoever asks may not know of others."""
    return {"rollout": before.id} if before.label_id == rollout.label_id else {}
