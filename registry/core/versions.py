"""How a version is written: a semantic version (`2.3`, `v2.3`, `2.3.1`) or an ordinal (`3`, `v3`)."""

import re
from enum import StrEnum
from typing import NamedTuple

WRITTEN = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9})(?:\.(\d{1,9}))?)?", re.ASCII)


class Bump(StrEnum):
    """The parts of a semantic version, the smallest first."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"

    def covers(self, other: "Bump") -> bool:
        order = list(Bump)
        return order.index(self) >= order.index(other)


class SemVer(NamedTuple):
    """A semantic version; compares by major, then minor, then patch."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}" + (f".{self.patch}" if self.patch else "")

    def bumped(self, bump: Bump) -> "SemVer":
        """The next version after this one."""
        match bump:
            case Bump.MAJOR:
                return SemVer(self.major + 1, 0, 0)
            case Bump.MINOR:
                return SemVer(self.major, self.minor + 1, 0)
            case Bump.PATCH:
                return SemVer(self.major, self.minor, self.patch + 1)

    def bump_from(self, lower: "SemVer") -> Bump:
        """The part in which this version first exceeds the lower one."""
        if self.major > lower.major:
            return Bump.MAJOR
        return Bump.MINOR if self.minor > lower.minor else Bump.PATCH


def parse_version(text: str) -> SemVer | int:
    """A semantic version, or the ordinal where only one number is written. Raises ValueError on anything else."""
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a version such as 2.3, v2.3 or 2.3.1, or an ordinal such as 7; got {text[:40]!r}")
    major, minor, patch = found.groups()
    return int(major) if minor is None else SemVer(int(major), int(minor), int(patch or 0))
