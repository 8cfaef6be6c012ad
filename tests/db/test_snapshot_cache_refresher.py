"""The refresher: what happens while the database is away, and the thread that keeps a process fresh."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from django.db import OperationalError, connection

from registry import sequences
from registry.models import Prompt
from rollout.serving import documents, snapshot_cache
from rollout.serving.counts import STATE_AGE
from rollout.serving.snapshot_cache import RETRY_S, STALE_AFTER_S, SnapshotCache
from rollout.serving.state_file import StateFile
from tests.served import Reader, database_away, make_prompt, make_version, point

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt() -> Prompt:
    return make_prompt()


@pytest.fixture
def app(prompt: Prompt) -> Reader:
    return Reader()


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_database_away__last_state_is_served_and_told_once(
    prompt: Prompt,
    app: Reader,
    state_file: StateFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    monkeypatch.setattr(snapshot_cache, "cache", SnapshotCache(state_file, clock))
    caplog.set_level(logging.INFO, snapshot_cache.__name__)
    make_version(prompt, "2.4")  # is latest, so that no label serves v2.3
    snapshot_cache.cache.refresh()

    with database_away():
        for _ in range(50):
            clock.seconds += RETRY_S
            assert not snapshot_cache.cache.poll()

        assert app.served() == ("v2.2", "label")
        assert app.status("version=2.3") == 503  # in no memory
        assert app.status("version=2.2") == 200
    assert snapshot_cache.cache.current()[1] == int(50 * RETRY_S)
    assert [r.getMessage() for r in caplog.records] == ["serving.stale"]
    assert "the connection is closed" in caplog.text

    point(prompt, "production", "2.3")
    assert snapshot_cache.cache.poll()

    assert app.served() == ("v2.3", "label")
    assert snapshot_cache.cache.current()[1] is None
    assert [r.getMessage() for r in caplog.records] == ["serving.stale", "serving.fresh"]


def test_database_hangs__told_by_who_serves_as_the_thread_cannot(
    app: Reader,
    state_file: StateFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    ages_s: list[float] = []
    monkeypatch.setattr(snapshot_cache, "cache", SnapshotCache(state_file, clock))
    monkeypatch.setattr(STATE_AGE, "set", ages_s.append)
    caplog.set_level(logging.INFO, snapshot_cache.__name__)
    assert snapshot_cache.cache.poll()

    for _ in range(3):
        clock.seconds += STALE_AFTER_S
        assert app.status() == 200

    assert [r.getMessage() for r in caplog.records] == ["serving.stale"]
    assert ages_s == [0, 2 * STALE_AFTER_S, 3 * STALE_AFTER_S]
    assert snapshot_cache.cache.poll()
    assert [r.getMessage() for r in caplog.records] == ["serving.stale", "serving.fresh"]
    assert ages_s[-1] == 0


def test_database_away__a_few_failed_polls__not_stale_yet(
    app: Reader, state_file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(snapshot_cache, "cache", SnapshotCache(state_file, clock))
    snapshot_cache.cache.refresh()

    clock.seconds += STALE_AFTER_S

    assert snapshot_cache.cache.current()[1] is None


def test_database_away_from_the_start__unavailable_until_it_comes(app: Reader) -> None:
    with database_away():
        assert not snapshot_cache.cache.poll()
        assert app.status() == 503

    assert snapshot_cache.cache.poll()
    assert app.status() == 200


# The thread


@contextmanager
def refresher() -> Iterator[None]:
    stop = Event()
    thread = Thread(target=snapshot_cache.cache.keep_fresh, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def seconds_until(condition: Callable[[], bool], *, at_most: float) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < at_most
        Event().wait(0.005)
    return time.monotonic() - started


@pytest.mark.django_db(transaction=True)
def test_thread__label_moved__served_within_a_second_of_the_commit() -> None:
    prompt = make_prompt()
    app = Reader()
    with refresher():
        assert snapshot_cache.cache.loaded.wait(10)
        for minor in (3, 2, 3):
            point(prompt, "production", f"2.{minor}")

            seconds_until(lambda: app.served()[0] == f"v2.{minor}", at_most=1)  # noqa: B023 (called at once)


@pytest.mark.django_db(transaction=True)
def test_thread__postgresql_tells_of_the_change__it_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking every 4 s it could not be in time. (SQLite, which cannot tell, is asked as ever.)"""
    monkeypatch.setattr(sequences, "ASK_LISTENERS_S", 4.0)
    prompt = make_prompt()
    app = Reader()
    with refresher():
        assert snapshot_cache.cache.loaded.wait(10)
        point(prompt, "staging", "2.3")
        seconds_until(lambda: app.status("label=staging") == 200, at_most=5)  # from here on it listens
        for minor in (3, 2, 3):
            point(prompt, "production", f"2.{minor}")

            seconds_until(lambda: app.served()[0] == f"v2.{minor}", at_most=1)  # noqa: B023 (called at once)


@pytest.mark.django_db(transaction=True)
def test_thread__connection_lost__another_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's own statements fail, as they do when the server was restarted, until it is replaced."""
    prompt = make_prompt()
    app = Reader()
    broken: list[object] = []
    read = documents.latest_generation

    def fail_on_broken_connections() -> int:
        connection.ensure_connection()
        if not broken:
            broken.append(connection.connection)
        if connection.connection is broken[0]:
            raise OperationalError("server closed the connection unexpectedly")
        return read()

    monkeypatch.setattr(documents, "latest_generation", fail_on_broken_connections)
    with refresher():
        assert snapshot_cache.cache.loaded.wait(10)
        point(prompt, "production", "2.3")

        seconds_until(lambda: app.served()[0] == "v2.3", at_most=1)
