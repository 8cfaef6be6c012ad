"""A backup: a folder with all that an installation cannot make anew, from which it can begin again elsewhere.

The database as of one moment, while it is in use; the key that was made in the data folder, by which sessions are
signed and users' ids hashed; the state from which prompts are served until the database is there. A backup is whole or
it is not there.
"""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from common.clock import now
from config.health import known_migrations
from config.pooler import past_the_pooler

ABOUT, SQLITE, POSTGRESQL = "about.json", "serinus.sqlite3", "postgresql.dump"
KEY, STATE = "secret_key", "serving.sqlite3"
# Of one transaction, which the database refuses or does as a whole. Who owns what is up to the new place.
RESTORE = ("pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
DUMP = ("pg_dump", "--format=custom", "--no-owner", "--no-privileges")


class Refused(Exception):
    """It was not done, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class About:
    """database: `sqlite` or `postgresql`. migrations: `app.name` of those that it had."""

    made_at: str
    database: str
    migrations: list[str]


def back_up(to: Path) -> None:
    """Make the folder `to`, for its owner only. Raises Refused when something is there already."""
    if to.exists():
        raise Refused(f"{to} exists already")
    unfinished = to.with_name(f".{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    try:
        _fill(unfinished)
        unfinished.rename(to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def restore(source: Path, *, overwrite: bool) -> None:
    """Make database, key and state what the backup holds. Raises Refused when the database is not empty, unless it may
    be overwritten, and when the backup is not one that this code and this kind of database can take.
    """
    about = _read(source)
    if unknown := set(about.migrations) - {f"{app}.{name}" for app, name in known_migrations()}:
        raise Refused(f"The backup is of a newer release: it has {', '.join(sorted(unknown))}")
    if about.database != connection.vendor:
        raise Refused(f"The backup is of {about.database}, and the settings name {connection.vendor}")
    with past_the_pooler():
        if connection.introspection.table_names() and not overwrite:
            raise Refused("The database is not empty")
        _restore_database(source)
    if (source / KEY).exists():
        _write_key((source / KEY).read_text())
    settings.SERVING_STATE.unlink(missing_ok=True)
    if (source / STATE).exists():
        _copy_sqlite(source / STATE, settings.SERVING_STATE)


def _fill(folder: Path) -> None:
    with past_the_pooler():
        applied = sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())
        if not applied:
            raise Refused("There is nothing to back up: the database was never migrated")
        if connection.vendor == "postgresql":
            database, environment = _database()
            _run(*DUMP, database, f"--file={folder / POSTGRESQL}", environment=environment)
        else:
            _copy_sqlite(Path(connection.settings_dict["NAME"]), folder / SQLITE)
    if (key := settings.DATA_DIR / KEY).exists():
        shutil.copy(key, folder)
    if settings.SERVING_STATE.exists():
        _copy_sqlite(settings.SERVING_STATE, folder / STATE)
    about = About(now().isoformat(), connection.vendor, applied)
    (folder / ABOUT).write_text(json.dumps(asdict(about), indent=2))


def _read(source: Path) -> About:
    try:
        return About(**json.loads((source / ABOUT).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise Refused(f"{source} is not a backup: {error}") from error


def _restore_database(source: Path) -> None:
    if connection.vendor == "postgresql":
        _run("pg_restore", "--list", str(source / POSTGRESQL))  # before anything is dropped
        database, environment = _database()
        _drop_tables()
        _run(*RESTORE, database, str(source / POSTGRESQL), environment=environment)
    else:
        connection.close()
        _copy_sqlite(source / SQLITE, Path(connection.settings_dict["NAME"]))


def _copy_sqlite(source: Path, to: Path) -> None:
    """By SQLite's own means: of one moment while others write, and seen by those who have the copy open."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(to)) as new:
        old.backup(new)
    to.chmod(0o600)


def _drop_tables() -> None:
    """Also those of later migrations, of which the backup knows nothing."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} CASCADE")
    connection.close()


def _run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """One of PostgreSQL's programs."""
    program = command[0]
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 (no shell)
    except FileNotFoundError as error:
        raise Refused(f"{program} is not installed here; it comes with PostgreSQL's client programs") from error
    except subprocess.CalledProcessError as error:
        raise Refused(f"{program} failed: {error.stderr.strip()}") from error


def _database() -> tuple[str, Mapping[str, str]]:
    """The settings' database as PostgreSQL's programs take it; the password does not stand in the process list."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    parameters = {name: value for name, value in connection.get_connection_params().items() if name in known}
    password = parameters.pop("password", "")
    return f"--dbname={make_conninfo(**parameters)}", os.environ | ({"PGPASSWORD": password} if password else {})


def _write_key(key: str) -> None:
    path = settings.DATA_DIR / KEY
    path.touch(mode=0o600)
    path.write_text(key)
