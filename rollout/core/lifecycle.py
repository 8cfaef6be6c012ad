"""Which change a rollout may go through from which state. Promoted, rolled back and cancelled are final."""

ALLOWED_FROM = {
    "start": {"draft"},
    "pause": {"running"},
    "resume": {"paused"},
    "advance_step": {"running"},
    "hold": {"running", "paused"},
    "recover": {"running", "paused"},
    "promote": {"running", "paused"},
    "rollback": {"running", "paused"},
    "cancel": {"draft", "running", "paused"},
}


def is_allowed(action: str, status: str) -> bool:
    return status in ALLOWED_FROM[action]
