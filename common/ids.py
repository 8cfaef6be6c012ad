"""Public ids: a prefix that says what is named, then 48 bits of time and 52 random bits in Crockford's base 32.

Ids of one kind sort by the time they were made; none can be guessed from another.
"""

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """A new id such as `rol_06b3t2k9w0x4y8z1c5d7`: the prefix, an underscore and 20 characters."""
    number = (time.time_ns() // 1_000_000) << 52 | secrets.randbits(52)
    return prefix + "_" + "".join(ALPHABET[number >> shift & 31] for shift in range(95, -1, -5))
