"""What the keys of the last second may do, from memory: looking one up costs more than all else of a small request.

A revoked key is refused within KNOWN_FOR_S, in every process; serving prompts takes as long to hear of it.
"""

import time

from registry.keys import Grant, stored_grant

KNOWN_FOR_S = 1.0
MOST_KNOWN = 1000

_known: dict[str, tuple[float, Grant]] = {}  # SHA-256 of a key → until when it is known, and its grant


def recent_grant(sha256: str) -> Grant | None:
    """The grant of a key that is valid now, or was within KNOWN_FOR_S. What is unknown is looked up each time."""
    until, grant = _known.get(sha256, (0.0, None))
    if grant and time.monotonic() < until:
        return grant
    found = stored_grant(sha256)
    if found:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[sha256] = time.monotonic() + KNOWN_FOR_S, found
    else:
        _known.pop(sha256, None)
    return found
