"""When was each key used last? Noted in memory by whoever lets a key in, written once a minute by a thread of its own.

So no request waits for it, and `GET /prompts` asks no database. What a process noted in the minute before it was
killed is lost.
"""

from datetime import timedelta

from django.db.models import Q

from common.clock import now
from registry.models import ApiKey

EVERY_S = 60.0

_noted: set[str] = set()


def note(sha256: str) -> None:
    """The key with this hash has just been let in."""
    _noted.add(sha256)


def flush() -> None:
    """Write what was noted since the last time; of a key that another process has just written, nothing."""
    used = []
    while _noted:
        used.append(_noted.pop())  # one by one: others note meanwhile
    if used:
        at = now()
        not_lately = Q(last_used_at=None) | Q(last_used_at__lte=at - timedelta(seconds=EVERY_S - 1))
        ApiKey.objects.filter(not_lately, sha256__in=used).update(last_used_at=at)
