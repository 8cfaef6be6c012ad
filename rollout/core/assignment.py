"""Which arm a unit gets: by hash alone, the same on every host and in every client, with no table.

docs/reference/assignment.md is the exact rule, tests/vectors/assignment.json its test vectors. Text is hashed as
UTF-8, as it is given: not trimmed, folded or normalised. Lone surrogates have no UTF-8 and raise UnicodeEncodeError.
"""

from hashlib import sha256

BUCKETS = 10_000
UNIT_BUCKETS = 256


def bucket(salt: str, unit: str) -> int:
    """Where the unit stands among a rollout's units, 0 to 9999; evenly spread, and fixed as long as the salt is."""
    return int.from_bytes(sha256(f"{salt}:{unit}".encode()).digest()[:8], "big") % BUCKETS


def is_canary(bucket: int, weight_bp: int) -> bool:
    """Whether this bucket gets the canary at a weight of 0 to 10000 basis points. A greater weight only adds units."""
    return bucket < weight_bp


def unit_bucket(salt: str, unit: str) -> int:
    """The unit's group for the design effect, 0 to 255: of a second hash, so that it says nothing about the arm."""
    return sha256(f"unit-bucket:{salt}:{unit}".encode()).digest()[0]
