"""What an app reports: scores, and calls where no instrumentation tells of them. From the background, without errors.

Whatever is passed, nothing is raised and nothing waits: a report that cannot be made is counted as refused, and the log
says once why.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

from serinus import stamping
from serinus.asking import Server
from serinus.outbox import MOST_BYTES_OF_ONE, Counts, Outbox
from serinus.stamping import SpanIds

SCORES, CALLS = "/api/v1/scores", "/api/v1/calls"
TARGETS = ("trace_id", "span_id", "response_id", "exposure")
TOLD_BY_TRACE = {
    "prompt": "gen_ai.prompt.name",
    "version": "gen_ai.prompt.version",
    "label": "serinus.label",
    "exposure": "serinus.exposure",
}
A_YEAR_MS = 366 * 86_400_000


class Reports:
    """Sends to one server with one key of scope `ingest`; shared by threads, and started anew in a forked process.

    most_queued: reports that wait for the server; further ones are dropped and counted.
    """

    def __init__(self, server: Server, key: str, *, most_queued: int = 10_000) -> None:
        self._outbox = Outbox(server, key, most_queued=most_queued)

    def start(self) -> None:
        """Begin the thread that sends, which the first report does otherwise."""
        self._outbox.start()

    def score(self, name: str, value: float, *, prompt: Any = None, **fields: Any) -> None:
        """A quality number from 0 to 1 (docs/reference/scores.md tells the fields). prompt: what `client.get` returned.

        About what is named; else about the newest LLM call made inside `with prompt:`, where it is called there; else
        about the prompt's exposure; else, there, about the trace that is active. Without any of these it is refused.
        """
        try:
            target = {field: about for field in TARGETS if (about := fields.pop(field, None))} or _about(prompt)
            if not target:
                raise _Refused("it is about nothing: pass trace_id, span_id, response_id or exposure, or the prompt")
            if isinstance(value, bool):
                value = int(value)
            item = {"source": "user", **fields, "name": name, "value": value, **target}
            item["id"] = item.get("id") or uuid.uuid4().hex
            self._outbox.put(SCORES, _encoded(item))
        except Exception as error:
            self._refuse("score", error)

    def call(self, /, prompt: Any = None, **fields: Any) -> SpanIds | None:
        """One call (docs/reference/calls.md tells the fields); answers how to name it in a score, None if refused.

        prompt: what `client.get` returned, or a prompt's name; by default that of the `with` around it.
        """
        try:
            told = {"prompt": prompt} if isinstance(prompt, str) else _told_by(_trace_of(prompt))
            item = {**told, **{name: value for name, value in fields.items() if value is not None}}
            item.setdefault("started_at", _now() - _duration(item.get("duration_ms")))
            ids = _ids_of(item)
            if not (item.get("span_id") and not item.get("trace_id")):  # else the server's reason is the better one
                item.update(ids._asdict())
            if not self._outbox.put(CALLS, _encoded(item)):
                return None
            _note(ids, item)
        except Exception as error:
            self._refuse("call", error)
            return None
        return ids

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Send what is queued now; answers whether the server has it, after this time at most."""
        return self._outbox.flush(timeout_s)

    def hurry(self) -> None:
        """Send what is queued and what follows at once: `close` is next."""
        self._outbox.hurry()

    def close(self, timeout_s: float) -> None:
        """Flush, and take nothing more."""
        self._outbox.close(timeout_s)

    @property
    def counts(self) -> Counts:
        return self._outbox.counts

    def _refuse(self, what: str, error: Exception) -> None:
        """In words of ours alone: another's error may quote what it could not take."""
        reason = f"{what}: {error if isinstance(error, _Refused) else type(error).__name__}"
        self._outbox.refuse(reason, reason)


class _Refused(Exception):
    pass


def _about(prompt: Any) -> dict[str, str]:
    """The most exact that is known of what a score is about."""
    entry, trace = stamping.current_entry(), _trace_of(prompt)
    is_inside = entry is not None and entry.attributes == trace
    call = entry.newest_call() if entry is not None and is_inside else None
    if call is not None:
        return dict(call._asdict())
    if exposure := trace.get("serinus.exposure"):
        return {"exposure": exposure}
    trace_id = stamping.active_trace_id() if is_inside else None
    return {"trace_id": trace_id} if trace_id else {}


def _trace_of(prompt: Any) -> Mapping[str, str]:
    """The attributes of a prompt, by default of the one in use here."""
    if prompt is None:
        return stamping.current() or {}
    trace = getattr(prompt, "trace", None)
    if not isinstance(trace, Mapping):
        raise _Refused(f"prompt: expected what client.get() returned, got {type(prompt).__name__}")
    return trace


def _told_by(trace: Mapping[str, str]) -> dict[str, Any]:
    return {field: trace[name] for field, name in TOLD_BY_TRACE.items() if name in trace}


def _ids_of(call: Mapping[str, Any]) -> SpanIds:
    """As given, else made of the call's own id as the server does it, else at random."""
    id_ = call.get("id")
    made = sha256(f"call {id_}".encode()).digest() if id_ else secrets.token_bytes(24)
    return SpanIds(call.get("trace_id") or made[:16].hex(), call.get("span_id") or made[16:24].hex())


def _note(ids: SpanIds, call: Mapping[str, Any]) -> None:
    """A score given after it inside the same `with` is about it."""
    entry = stamping.current_entry()
    if entry is not None and _told_by(entry.attributes).items() <= call.items():
        entry.note(ids)


def _duration(ms: object) -> timedelta:
    is_known = isinstance(ms, (int, float)) and 0 <= ms <= A_YEAR_MS
    return timedelta(milliseconds=float(ms)) if is_known else timedelta()  # type: ignore[arg-type]  # just looked at


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _encoded(item: Mapping[str, Any]) -> bytes:
    """As it is now, whatever the app does to it later. Raises _Refused."""
    known = {name: value for name, value in item.items() if value is not None}
    try:
        encoded = json.dumps(known, ensure_ascii=False, allow_nan=False, default=_plain).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        raise _Refused("a number in it is not finite, or something in it too long, too deep or inside itself") from None
    if len(encoded) > MOST_BYTES_OF_ONE:
        raise _Refused(f"it is larger than {MOST_BYTES_OF_ONE} bytes")
    return encoded


def _plain(value: Any) -> Any:
    """Times, and the numbers of other libraries."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.astimezone()).isoformat()
    if isinstance(value, (uuid.UUID, date)):
        return str(value)
    if hasattr(value, "__index__"):
        return value.__index__()
    if hasattr(value, "__float__"):
        return value.__float__()
    raise _Refused(f"expected text, numbers and times in it, got {type(value).__name__}")
