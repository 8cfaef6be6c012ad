"""Every change of a rollout. One function a change, whoever asks for it: a verdict, the API, the admin, a page.

Each runs in one transaction: lock, check the revision and the state, write, record the transition, tell the label, the
serving processes (generation) and the outside (event and deliveries). Either all of it is true afterwards or nothing.
"""

from rollout.services.starting import create_rollout, start
from rollout.services.steering import (
    EVENT_OF_HOLD,
    advance_step,
    cancel,
    fail_evaluation,
    hold,
    pause,
    promote,
    recover,
    resume,
    rollback,
)

__all__ = [
    "ACTIONS",
    "EVENT_OF_HOLD",
    "advance_step",
    "cancel",
    "create_rollout",
    "fail_evaluation",
    "hold",
    "pause",
    "promote",
    "recover",
    "resume",
    "rollback",
    "start",
]

ACTIONS = {
    "start": start,
    "pause": pause,
    "resume": resume,
    "promote": promote,
    "rollback": rollback,
    "cancel": cancel,
}
"""What people may ask for, by its name in addresses."""
