"""Which arm a unit gets: by hash alone, the same as on the server and in every other client.

docs/reference/assignment.md is the exact rule, tests/vectors/assignment.json its test vectors. Text is hashed as
UTF-8, as it is given; a lone surrogate, which has no UTF-8, as its escape, so that no unit raises into the app.
"""

from __future__ import annotations

from hashlib import sha256

BUCKETS = 10_000


def bucket(salt: str, unit: str) -> int:
    """Where the unit stands among a rollout's units, 0 to 9999. It gets the canary if this is below weight_bp."""
    return int.from_bytes(sha256(f"{salt}:{unit}".encode("utf-8", "backslashreplace")).digest()[:8], "big") % BUCKETS


def unit_bucket(salt: str, unit: str) -> int:
    """The unit's group for the design effect, 0 to 255: of a second hash, so that it says nothing about the arm."""
    return sha256(f"unit-bucket:{salt}:{unit}".encode("utf-8", "backslashreplace")).digest()[0]
