"""Migrated databases: migrations run once a run, and whatever needs a database begins with a copy of what they made.

They take longer than a server takes for everything else before it is ready.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from tests.process.server import KEY, manage, new_database

MADE = Path(os.environ["SERINUS_DATA_DIR"]) / "made"  # of this run, which has one folder (conftest.py)
ALL_SCOPES = "read,write,ingest,admin"


def installation(folder: Path) -> Path:
    """The folder, with all that a server needs to be ready at once, and a key of all scopes (Server.key)."""
    _once("database", _migrate)
    return Path(shutil.copytree(_once("installation", _make_installation), folder, dirs_exist_ok=True))


def copy_to_sqlite(path: Path) -> None:
    shutil.copyfile(_once("database", _migrate) / "serinus.sqlite3", path)


def copy_to_postgres(address: str, name: str) -> None:
    """A database beside the one at the address."""
    _once("postgres", lambda folder: _migrate(folder, DATABASE_URL=new_database(address, "migrated")))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name that one of the run's processes has made."""
    MADE.mkdir(exist_ok=True)
    with (MADE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (MADE / name).exists():
            folder = Path(mkdtemp(dir=MADE))
            make(folder)
            folder.rename(MADE / name)
    return MADE / name


def _make_installation(folder: Path) -> None:
    shutil.copytree(MADE / "database", folder, dirs_exist_ok=True)
    (folder / KEY).write_text(manage(folder, "create_key", "tests", "--scopes", ALL_SCOPES))


def _migrate(folder: Path, **settings: str) -> None:
    manage(folder, "migrate", "-v0", **settings)
