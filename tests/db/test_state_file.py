"""The last state on disk: kept by any process, and served by one that starts without the database."""

import logging
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from common.clock import now
from registry.models import ApiKey, Prompt, Sequence
from registry.services import revoke_key
from rollout.serving import snapshot_cache, state_file
from rollout.serving.snapshot_cache import SnapshotCache
from rollout.serving.state_file import StateFile
from tests import make
from tests.served import (
    CANARY_AT_5_PERCENT,
    CONTROL_AT_5_PERCENT,
    Reader,
    database_away,
    make_prompt,
    make_rollout,
    point,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt() -> Prompt:
    return make_prompt()


@pytest.fixture
def app(prompt: Prompt) -> Reader:
    return Reader()


@pytest.fixture
def path(state_path: Path) -> Path:
    return state_path


def refresh() -> None:
    snapshot_cache.cache.refresh()


def restart(path: Path) -> None:
    """Another process of the same data folder."""
    snapshot_cache.cache = SnapshotCache(StateFile(path))


@pytest.fixture(autouse=True)
def _cache_put_back(_no_state_from_another_test: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_cache, "cache", snapshot_cache.cache)  # whatever `restart` makes of it


def test_started_while_the_database_is_away__serves_the_last_state(prompt: Prompt, app: Reader, path: Path) -> None:
    make_rollout(prompt)
    refresh()
    before = [app.body(f"unit={unit}") for unit in (CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT)]
    os.utime(path, (time.time() - 61.5,) * 2)
    restart(path)

    with database_away():
        assert not snapshot_cache.cache.poll()

        assert snapshot_cache.cache.loaded.is_set()
        assert [app.body(f"unit={unit}") for unit in (CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT)] == before
        assert Reader("ser_unknown").status() == 401
        assert app.status("version=2.3") == 200
        age_s = snapshot_cache.cache.current()[1]
        assert age_s is not None
        assert 61 <= age_s < 70


def test_started_while_the_database_is_away__keys_reach_and_expire_as_before(prompt: Prompt, path: Path) -> None:
    until = now() + timedelta(hours=1)
    limits = ({"prompt_prefix": "other-"}, {"labels": ["latest"]}, {"expires_at": until})
    other, labelled, expiring = (Reader(make.restricted_key(**limit)) for limit in limits)
    refresh()
    restart(path)

    with database_away():
        snapshot_cache.cache.poll()

        assert (other.status(), labelled.status(), labelled.status("label=latest")) == (404, 404, 200)
        assert expiring.status() == 200
        with time_machine.travel(until, tick=False):
            assert expiring.status() == 401


def test_database_is_back__everything_is_read_from_it(prompt: Prompt, app: Reader, path: Path) -> None:
    refresh()
    restart(path)
    with database_away():
        snapshot_cache.cache.poll()
    Prompt.objects.filter(pk=prompt.pk).update(name="renamed")  # unknown to the generation

    assert snapshot_cache.cache.poll()

    assert (app.status(), app.status(name="renamed")) == (404, 200)
    assert snapshot_cache.cache.current()[1] is None


def test_database_is_there__the_file_is_not_asked(prompt: Prompt, app: Reader, path: Path) -> None:
    refresh()
    point(prompt, "production", "2.3")
    restart(path)

    refresh()

    assert app.served() == ("v2.3", "label")


def test_no_file__unavailable_until_the_database_comes(prompt: Prompt, app: Reader, path: Path) -> None:
    with database_away():
        assert not snapshot_cache.cache.poll()
        assert not snapshot_cache.cache.loaded.is_set()
        assert app.status() == 503

    assert snapshot_cache.cache.poll()
    assert app.status() == 200


def test_changes__each_is_in_the_file_and_the_rest_stays(prompt: Prompt, app: Reader, path: Path) -> None:
    for number in range(3):
        make_prompt(f"other-{number}")
    refresh()
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "UPDATE prompt SET document = replace(document, 'gpt-4o-mini', 'untouched') WHERE name = 'other-1'"
        )
        file.commit()

    point(prompt, "production", "2.3")
    revoke_key(key=ApiKey.objects.get(), actor=make.ANNA)
    refresh()

    with closing(sqlite3.connect(path)) as file:
        (document,) = file.execute("SELECT document FROM prompt WHERE name = 'other-1'").fetchone()
    assert "untouched" in document  # what has not changed is not written again
    restart(path)
    with database_away():
        snapshot_cache.cache.poll()
        assert snapshot_cache.cache.current()[0].prompts["order-extractor"].rules["production"]["version"] == "v2.3"
        assert app.status() == 401


def test_two_processes__one_that_missed_changes_completes_the_file(prompt: Prompt, app: Reader, path: Path) -> None:
    """The file stands at an older state than the one that this process knew before its last change."""
    refresh()
    old = path.read_bytes()
    point(prompt, "staging", "2.3")
    refresh()
    path.write_bytes(old)

    point(prompt, "production", "2.3")
    refresh()
    restart(path)

    with database_away():
        snapshot_cache.cache.poll()
        assert app.served("label=staging") == ("v2.3", "label")
        assert app.served() == ("v2.3", "label")


def test_two_processes__the_slower_one_does_not_set_the_file_back(prompt: Prompt, app: Reader, path: Path) -> None:
    refresh()
    slower = snapshot_cache.cache
    restart(path)
    refresh()
    point(prompt, "production", "2.3")
    changes = snapshot_cache.changes_since(slower._known)
    assert changes
    point(prompt, "production", "2.2")
    refresh()

    StateFile(path).keep(changes)

    restart(path)
    with database_away():
        snapshot_cache.cache.poll()
        assert app.served() == ("v2.2", "label")


def test_restored_backup__the_file_follows(prompt: Prompt, app: Reader, path: Path) -> None:
    make_prompt("made-after-the-backup")
    refresh()
    Prompt.objects.filter(name="made-after-the-backup").update(name="of-the-backup", generation=0)
    Sequence.objects.filter(name="generation").update(value=1)
    refresh()
    restart(path)

    with database_away():
        snapshot_cache.cache.poll()
        assert (app.status(name="made-after-the-backup"), app.status(name="of-the-backup")) == (404, 200)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, b"SQLite format 3\0" + bytes(5000)])
def test_broken_file__logged_and_made_anew(
    prompt: Prompt, app: Reader, path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    with database_away(), caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not snapshot_cache.cache.poll()
    assert [r.getMessage() for r in caplog.records].count("serving.state_file_unreadable") == 1

    assert snapshot_cache.cache.poll()
    restart(path)

    with database_away():
        snapshot_cache.cache.poll()
        assert app.served() == ("v2.2", "label")


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 99",
        "PRAGMA user_version = 99; ALTER TABLE state ADD COLUMN at TEXT",
        "PRAGMA user_version = 99; DROP TABLE prompt; CREATE TABLE prompt (id INTEGER)",
        "PRAGMA user_version = 99; ALTER TABLE state RENAME COLUMN generation TO number",
        "UPDATE prompt SET document = '{}'",
        "UPDATE prompt SET document = '[1'",
    ],
    ids=["other format", "one column more", "other table", "other column", "of another shape", "not json"],
)
def test_file_of_another_kind__not_served_and_made_anew(
    prompt: Prompt, app: Reader, path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    refresh()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(change)
        file.commit()
    restart(path)

    with database_away(), caplog.at_level(logging.WARNING):
        assert not snapshot_cache.cache.poll()
        assert app.status() == 503
    assert "serving.state_file_unreadable" in [r.getMessage() for r in caplog.records]

    refresh()
    restart(path)
    with database_away():
        snapshot_cache.cache.poll()
        assert app.served() == ("v2.2", "label")


KILLED_WHILE_WRITING = """
import os, signal, sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
file.execute("BEGIN IMMEDIATE")
file.execute("UPDATE prompt SET document = ?", ["x" * 100_000])
file.execute("INSERT INTO prompt VALUES ('big', ?)", ["x" * 1_000_000])
os.kill(os.getpid(), signal.SIGKILL)"""


def test_process_killed_while_it_wrote__the_state_before_is_served(prompt: Prompt, app: Reader, path: Path) -> None:
    refresh()
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert path.with_name(path.name + "-journal").stat().st_size
    restart(path)

    with database_away():
        snapshot_cache.cache.poll()
        assert app.served() == ("v2.2", "label")


def test_truncated_file__nothing_of_it_is_served(
    prompt: Prompt, app: Reader, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refresh()
    path.write_bytes(path.read_bytes()[:-4096])
    restart(path)

    with database_away():
        snapshot_cache.cache.poll()
        assert app.status() == 503
    assert "serving.state_file_unreadable" in [r.getMessage() for r in caplog.records]


def test_file_locked_by_another__kept_as_it_is(prompt: Prompt, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "WAIT_S", 0)
    refresh()
    inode = path.stat().st_ino

    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN EXCLUSIVE")
        point(prompt, "production", "2.3")
        refresh()

    assert path.stat().st_ino == inode


def test_folder_that_cannot_be_written__serving_goes_on(
    prompt: Prompt, app: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    snapshot_cache.cache = SnapshotCache(StateFile(tmp_path / "file" / "serving.sqlite3"))

    refresh()

    assert app.served() == ("v2.2", "label")
    assert "serving.state_file_not_written" in [r.getMessage() for r in caplog.records]


def test_file__for_its_owner_only_and_without_keys(prompt: Prompt, path: Path) -> None:
    key = make.key("read")
    refresh()

    assert path.stat().st_mode & 0o777 == 0o600
    assert key.encode() not in path.read_bytes()


@pytest.mark.parametrize(("every_s", "confirmed"), [(0, True), (3600, False)])
def test_confirmed__nothing_changed__the_files_time_says_so_now_and_then(
    prompt: Prompt, path: Path, monkeypatch: pytest.MonkeyPatch, every_s: float, confirmed: bool
) -> None:
    refresh()
    os.utime(path, (0, 0))
    monkeypatch.setattr(state_file, "CONFIRM_EVERY_S", every_s)

    refresh()

    assert (time.time() - path.stat().st_mtime < 60) == confirmed
