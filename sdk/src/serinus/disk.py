"""The last known ruleset on this machine's disk, for a start while the server is away.

One file for each server, key and choice of labels, readable by its user only and replaced in one rename. It is sealed
with the API key, so that one that was cut short, changed or put there by somebody else is ignored, with one warning.
The cache is a help and never a need: what goes wrong with it is logged once and changes nothing else.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from serinus.sealed import Kept, seal, unseal

KIND = "serinus-cache"

logger = logging.getLogger("serinus")


class Cache:
    """Read once at the start, then written by one thread."""

    def __init__(self, folder: Path, *, url: str, key: str, labels: Sequence[str] | None) -> None:
        told = "\n".join([url, sha256(key.encode()).hexdigest(), *(["all"] if labels is None else sorted(labels))])
        self.path = folder / f"{sha256(told.encode()).hexdigest()[:32]}.ruleset"
        self._key = key
        self._told = False

    def load(self) -> Kept | None:
        """None when there is none that can be used."""
        try:
            return unseal(self.path.read_bytes(), kind=KIND, key=self._key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # of a path too: Malformed is a ValueError
            self._tell("The cached ruleset %s is ignored: %s", error)
            return None

    def save(self, kept: Kept) -> None:
        try:
            self._write(seal(kept, kind=KIND, key=self._key))
        except (OSError, ValueError) as error:
            self._tell("The ruleset could not be kept in %s: %s", error)

    def _write(self, content: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.draft")  # another process may be writing the same file
        draft.unlink(missing_ok=True)  # of a process with this id that was killed
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)

    def _tell(self, message: str, error: Exception) -> None:
        if not self._told:
            logger.warning(message, self.path, error)
            self._told = True


def default_folder() -> Path | None:
    """This user's cache folder, by the platform's custom; None for a user without a home."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "serinus" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "serinus"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "serinus"
    except (RuntimeError, KeyError):  # the one from Python 3.10 on, the other before
        return None
