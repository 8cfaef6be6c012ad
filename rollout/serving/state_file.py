"""The last known state on disk, so that a process that starts while the database is away can serve.

A small SQLite file that all processes of a data folder share: each brings it up to its own state, so that a change
writes the rows of what has changed, once. It holds what the memory of a web process holds: texts of served versions,
and hashes of keys. When it was last confirmed is the file's time of modification. A file that cannot be read or written
is a loss for the next start only: it is logged, and serving goes on.
"""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from rollout.serving.documents import NEVER, Changes, changes_since
from rollout.serving.snapshot import NOTHING, Snapshot, after

SCHEMA = """
    CREATE TABLE IF NOT EXISTS state (generation INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS prompt (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS key (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;"""
FORMAT = 1  # goes up when the documents of rollout.serving.documents change their shape
WAIT_S = 0.5  # for another process that writes; the next change brings the file up to date as well
CONFIRM_EVERY_S = 1.0

logger = logging.getLogger(__name__)


class StateFile:
    """Used by one thread of each process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._confirmed_at = 0.0

    def load(self) -> tuple[Snapshot, float] | None:
        """The state, and for how many seconds nobody has confirmed it; None without one."""
        try:
            age_s = time.time() - self._path.stat().st_mtime
            # rw: a process that was killed while it wrote has left what must be rolled back.
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=WAIT_S)) as file:
                file.execute("BEGIN")  # one state, whoever writes meanwhile
                return after(NOTHING, _everything(file)), max(0.0, age_s)
        except FileNotFoundError:
            return None
        except (OSError, sqlite3.Error, ValueError, TypeError, KeyError) as error:
            logger.warning("serving.state_file_unreadable", extra={"error": repr(error)})
            return None

    def keep(self, changes: Changes) -> None:
        """Bring the file up to what these changes lead to; the database is read only when it lacks more than them."""
        try:
            try:
                self._write(changes)
            except sqlite3.DatabaseError as error:
                if not _is_useless(error):
                    raise
                self._path.unlink()
                self._write(changes)
        except (OSError, sqlite3.Error) as error:
            logger.warning("serving.state_file_not_written", extra={"error": repr(error)})

    def confirm(self) -> None:
        """The database has just confirmed the state."""
        if time.monotonic() - self._confirmed_at >= CONFIRM_EVERY_S:
            self._confirmed_at = time.monotonic()
            with suppress(OSError):
                os.utime(self._path)

    def _write(self, changes: Changes) -> None:
        with closing(self._open()) as file, file:
            file.execute("BEGIN IMMEDIATE")
            kept = _kept_generation(file)
            if changes.since == NEVER or kept < changes.since:
                _replace(file, changes if changes.since == NEVER else changes_since(NEVER))
            elif kept < changes.generation:
                _add(file, changes)

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        file = sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)
        file.execute("PRAGMA synchronous = OFF")  # after a power cut a broken file is made anew
        file.executescript(SCHEMA)
        return file


def _is_useless(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is no SQLite file, or has not our tables, being of another release; else it is locked, say."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR  # no statement of ours fits


def _everything(file: sqlite3.Connection) -> Changes:
    generation = _kept_generation(file)
    if generation == NEVER:
        raise ValueError("it is empty, or of another release")
    prompts = _documents(file.execute("SELECT name, document FROM prompt"))
    keys = _documents(file.execute("SELECT name, document FROM key"))
    return Changes(NEVER, generation, prompts, keys)


def _kept_generation(file: sqlite3.Connection) -> int:
    """NEVER when what is kept, if anything, is not for this code."""
    (format_found,) = file.execute("PRAGMA user_version").fetchone()
    kept = file.execute("SELECT generation FROM state").fetchone()
    return int(kept[0]) if kept and format_found == FORMAT else NEVER


def _replace(file: sqlite3.Connection, changes: Changes | None) -> None:
    if changes is None:
        return
    for table in ("state", "prompt", "key"):
        file.execute(f"DELETE FROM {table}")  # noqa: S608 (a constant)
    file.execute(f"PRAGMA user_version = {FORMAT}")
    _add(file, changes)


def _add(file: sqlite3.Connection, changes: Changes) -> None:
    file.execute("DELETE FROM state")
    file.execute("INSERT INTO state VALUES (?)", [changes.generation])
    file.executemany("INSERT OR REPLACE INTO prompt VALUES (?, ?)", _rows(changes.prompts))
    file.executemany("INSERT OR REPLACE INTO key VALUES (?, ?)", _rows(changes.keys))


def _rows(documents: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return ((name, json.dumps(document)) for name, document in documents.items())


def _documents(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {name: json.loads(document) for name, document in rows}
