"""Logs are events: a name such as `rollout.rolled_back`, then its fields. Never prompt text, keys or user ids.

docs/reference/logs.md lists the events. What is logged inside a request also says the request's id.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from common.requests import origin

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
UNSAFE = {"request"}  # Django adds it to its own events; the query of its address may hold a unit's id


class EventFormatter(logging.Formatter):
    """`2026-01-31T12:00:00 INFO rollout.services rollout.rolled_back rollout="rol_…" cause="…"`, one line an event."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        tail = "".join(f" {key}={json.dumps(value, default=str)}" for key, value in _fields(record).items())
        return super().formatMessage(record) + tail


class JsonFormatter(logging.Formatter):
    """One JSON object an event, on one line: `at`, `level`, `logger`, `event`, its fields, and `traceback` if any.

    A field that is named like one of these gets a `_` at the end of its name.
    """

    def format(self, record: logging.LogRecord) -> str:
        known = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        known |= {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        fields = {f"{key}_" if key in known else key: value for key, value in _fields(record).items()}
        return json.dumps({**known, **fields}, default=str)


class NoTracebackOfSuspicions(logging.Filter):
    """One line for a request that Django suspects, such as one with a foreign Host: anybody can send very many."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = None
        return True


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {key: value for key, value in vars(record).items() if key not in STANDARD | UNSAFE}
    if request_id := origin().request_id:
        fields["request_id"] = request_id
    return fields
