"""What does the server's answer say of the items that were sent: taken, some of them wrong, or to be sent later?

A status counts only with the words of Serinus: a proxy's 200 has taken nothing, and its 400 is not about the items.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Union

from serinus.asking import Answer

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0  # after a failure; doubled with each
LONGEST_RETRY_AFTER_S = 300.0

ABOUT_ITEMS = (400, 413, 422)  # what a status says of the items; any other failure is of key, address or server
FOR_NOW = (408, 425, 429)  # besides 5xx
INDEX = re.compile(r"\[(\d+)\]\.?(.*)")

_dice = random.SystemRandom()  # an app may seed the other, and count on what it draws


@dataclass(frozen=True)
class Taken:
    """All items count."""


@dataclass(frozen=True)
class Wrong:
    """Some items are. items: index → kind and reason, as in Outbox.refuse; empty where the server names none."""

    items: Mapping[int, tuple[str, str]]
    kind: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """No fault of the items: later again, after this pause at least. needs_somebody: it will not pass by itself."""

    pause_s: float
    reason: str
    needs_somebody: bool = False


Outcome = Union[Taken, Wrong, Failed]


def outcome_of(path: str, count: int, answer: Answer) -> Outcome:
    """What an answer says of the items that were sent, so many."""
    problem, status = _problem(answer), answer.status
    if 200 <= status < 300 and answer.headers.get("content-type", "").startswith("application/json"):
        return Taken()
    kind = f"{status} {problem.get('code', 'not an answer of Serinus')}"
    reason = f"{kind}: {problem.get('detail', '')}"[:300] if problem else kind
    if status == 413 or (status in ABOUT_ITEMS and problem):
        named = {index: why for index, why in _named(path, problem) if index < count}
        return Wrong(named, kind, reason)
    if status >= 500 or status in FOR_NOW:
        return Failed(_retry_after(answer.headers), reason)
    return Failed(LONGEST_PAUSE_S * _jitter(), reason, needs_somebody=True)


def pause_after(failures: int) -> float:
    """Seconds until the next request, after so many failures before this one."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures, 20), LONGEST_PAUSE_S) * _jitter()


def _problem(answer: Answer) -> dict[str, Any]:
    """The server's own words on it; nothing where a proxy answered in its place."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return {}
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _named(path: str, problem: Mapping[str, Any]) -> Iterable[tuple[int, tuple[str, str]]]:
    """Index of each item that is named, with a kind, which never quotes it, and the reason."""
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else []:
        found = INDEX.match(str(error.get("field"))) if isinstance(error, dict) else None
        if found:
            name = found[2] or "as a whole"
            yield int(found[1]), (f"{path}: {name} ({error.get('code')})", f"{name}: {error.get('message')}"[:300])


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks for, 0 if it does not."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked), LONGEST_RETRY_AFTER_S)
    with suppress(TypeError, ValueError, IndexError):
        return min(max(0.0, parsedate_to_datetime(asked).timestamp() - time.time()), LONGEST_RETRY_AFTER_S)
    return 0.0


def _jitter() -> float:
    """Keeps clients apart."""
    return _dice.uniform(0.5, 1.0)
