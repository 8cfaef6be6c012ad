"""Logs are events: a name such as `rollout.rolled_back`, then its fields. Never prompt text, keys or user ids."""

import json
import logging

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
UNSAFE = {"request"}  # Django adds it to its own events; the query of its address may hold a unit's id


class EventFormatter(logging.Formatter):
    """`2026-01-31T12:00:00 INFO rollout.services rollout.rolled_back rollout="rol_…" cause="…"`, one line an event."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        fields = {key: value for key, value in vars(record).items() if key not in STANDARD | UNSAFE}
        tail = "".join(f" {key}={json.dumps(value, default=str)}" for key, value in fields.items())
        return super().formatMessage(record) + tail


class NoTracebackOfSuspicions(logging.Filter):
    """One line for a request that Django suspects, such as one with a foreign Host: anybody can send very many."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = None
        return True
