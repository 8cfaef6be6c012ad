"""How a version is written: a semantic version (`2.3`, `v2.3`, `2.3.1`) or an ordinal (`3`, `v3`)."""

import re
from typing import NamedTuple

WRITTEN = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9})(?:\.(\d{1,9}))?)?", re.ASCII)


class SemVer(NamedTuple):
    """A semantic version; compares by major, then minor, then patch."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}" + (f".{self.patch}" if self.patch else "")


def parse_version(text: str) -> SemVer | int:
    """A semantic version, or the ordinal where only one number is written. Raises ValueError on anything else."""
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a version such as 2.3, v2.3 or 2.3.1, or an ordinal such as 7; got {text[:40]!r}")
    major, minor, patch = found.groups()
    return int(major) if minor is None else SemVer(int(major), int(minor), int(patch or 0))
