import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoAssertNumQueries

from common.clock import now
from registry.models import ApiKey, Prompt, Sequence
from registry.sequences import touch
from rollout.serving import snapshot, snapshot_cache
from rollout.serving.endpoint import get_prompt
from rollout.serving.snapshot_cache import POLL_S, STALE_AFTER_S, SnapshotCache
from tests.served import (
    CANARY_AT_5_PERCENT,
    CONTROL_AT_5_PERCENT,
    change,
    end,
    make_key,
    make_prompt,
    make_rollout,
    make_version,
    point,
)

pytestmark = pytest.mark.django_db


class Reader:
    """An app with a key."""

    def __init__(self, key: str) -> None:
        self.authorization = f"Bearer {key}"

    def status(self, query: str = "", name: str = "order-extractor") -> int:
        return get_prompt(method="GET", name=name, query=query, authorization=self.authorization).status

    def body(self, query: str = "", name: str = "order-extractor") -> dict[str, Any]:
        response = get_prompt(method="GET", name=name, query=query, authorization=self.authorization)
        assert response.status == 200
        found: dict[str, Any] = json.loads(response.body)
        return found

    def served(self, query: str = "") -> tuple[str, str]:
        found = self.body(query)
        return found["version"], found["reason"]


@pytest.fixture
def prompt() -> Prompt:
    return make_prompt()


@pytest.fixture
def app(prompt: Prompt) -> Reader:
    return Reader(make_key("read"))


def refresh() -> None:
    snapshot_cache.cache.refresh()


# Nothing is asked of the database on the path


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("label=staging", 200),
        (f"unit={CANARY_AT_5_PERCENT}", 200),
        (f"unit={CONTROL_AT_5_PERCENT}", 200),
        ("", 200),
        ("version=2.2", 200),
        ("version=2.1", 200),
        ("version=9.9", 404),
        ("label=nothing", 404),
    ],
)
def test_warm__no_sql(
    prompt: Prompt, app: Reader, django_assert_num_queries: DjangoAssertNumQueries, query: str, status: int
) -> None:
    make_version(prompt, "2.1")
    point(prompt, "staging", prompt.versions.get(minor=3))
    make_rollout(prompt)
    refresh()
    app.status(query)

    with django_assert_num_queries(0):
        assert app.status(query) == status


def test_warm__unknown_key_or_prompt__no_sql(app: Reader, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    refresh()

    with django_assert_num_queries(0):
        assert Reader("ser_unknown").status() == 401
        assert app.status(name="nothing") == 404


def test_refresh__nothing_changed__one_query_and_the_same_state(
    app: Reader, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    refresh()
    before, _ = snapshot_cache.cache.current()

    with django_assert_num_queries(1):
        refresh()

    assert snapshot_cache.cache.current()[0] is before


def test_refresh__one_prompt_changed__the_others_are_not_read_again(prompt: Prompt, app: Reader) -> None:
    for number in range(3):
        make_prompt(f"other-{number}")
    refresh()
    before = snapshot_cache.cache.current()[0].prompts

    point(prompt, "production", prompt.versions.get(minor=3))
    refresh()

    after = snapshot_cache.cache.current()[0].prompts
    assert {name for name in after if after[name] is not before[name]} == {"order-extractor"}


# One refresh brings a change


def test_refresh__label_moved__served(prompt: Prompt, app: Reader) -> None:
    refresh()
    assert app.served() == ("v2.2", "label")

    point(prompt, "production", prompt.versions.get(minor=3))
    refresh()

    assert app.served() == ("v2.3", "label")


def test_refresh__rollout_from_start_to_rollback__served(prompt: Prompt, app: Reader) -> None:
    in_next_step = f"unit={CONTROL_AT_5_PERCENT}"
    refresh()

    rollout = make_rollout(prompt, weight_bp=500)
    refresh()
    assert app.served(f"unit={CANARY_AT_5_PERCENT}") == ("v2.3", "canary")
    assert app.served(in_next_step) == ("v2.2", "control")

    change(rollout, step=1, weight_bp=2500)
    refresh()
    assert app.served(in_next_step) == ("v2.3", "canary")
    assert app.body(in_next_step)["rollout"] == {
        "id": rollout.pk,
        "arm": "canary",
        "step": 1,
        "weight": 0.25,
        "weight_bp": 2500,
    }

    end(rollout)
    refresh()
    assert app.served(in_next_step) == ("v2.2", "label")
    assert app.body(in_next_step)["rollout"] is None


def test_refresh__paused_rollout__goes_on_splitting(prompt: Prompt, app: Reader) -> None:
    rollout = make_rollout(prompt)
    change(rollout, status="paused")
    refresh()

    assert app.served(f"unit={CANARY_AT_5_PERCENT}") == ("v2.3", "canary")


def test_refresh__rollout_of_another_label__production_is_not_split(prompt: Prompt, app: Reader) -> None:
    point(prompt, "staging", prompt.versions.get(minor=2))
    make_rollout(prompt, label="staging", weight_bp=10_000)
    refresh()

    assert app.served("unit=anyone") == ("v2.2", "label")
    assert app.served("unit=anyone&label=staging") == ("v2.3", "canary")


@pytest.mark.parametrize(("weight_bp", "reason"), [(0, "control"), (10_000, "canary")])
def test_refresh__no_and_full_weight__exact(prompt: Prompt, app: Reader, weight_bp: int, reason: str) -> None:
    make_rollout(prompt, weight_bp=weight_bp)
    refresh()

    assert {app.body(f"unit=user-{i}")["reason"] for i in range(500)} == {reason}


def test_refresh__version_published__can_be_pinned(prompt: Prompt, app: Reader) -> None:
    refresh()
    assert app.status("version=2.4") == 404

    make_version(prompt, "2.4", template="New {{ order }}")
    refresh()

    found = app.body("version=2.4")
    assert (found["template"], found["reason"], found["ordinal"]) == ("New {{ order }}", "pinned", 3)
    assert found == app.body("version=3")


def test_refresh__prompt_archived__gone(prompt: Prompt, app: Reader) -> None:
    refresh()

    Prompt.objects.filter(pk=prompt.pk).update(archived_at=now())
    touch(prompt)
    refresh()

    assert app.status() == 410


def test_refresh__key_issued_and_revoked__known_and_unknown(app: Reader) -> None:
    refresh()
    newcomer = Reader(make_key("write"))
    assert newcomer.status() == 401

    refresh()
    assert newcomer.status() == 200

    for key in ApiKey.objects.all():
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=now())
        touch(key)
    refresh()
    assert (newcomer.status(), app.status()) == (401, 401)


def test_refresh__numbers_went_back__everything_is_read_again(prompt: Prompt, app: Reader) -> None:
    make_prompt("made-after-the-backup")
    refresh()

    Prompt.objects.filter(name="made-after-the-backup").update(name="of-the-backup", generation=0)
    Sequence.objects.filter(name="generation").update(value=1)
    refresh()

    assert app.status(name="made-after-the-backup") == 404
    assert app.status(name="of-the-backup") == 200


def test_refresh__change_between_two_reads__one_consistent_state(
    prompt: Prompt, app: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion lands after the rollouts were read and before the labels are."""
    rollout = make_rollout(prompt)
    refresh()
    change(rollout, step=1, weight_bp=2500)
    promotions = [rollout]

    def promote_then_read(prompts: Any, encoded: Any) -> Any:
        if promotions:
            end(promotions.pop())
            point(prompt, "production", rollout.canary)
        return read_labels(prompts, encoded)

    read_labels = snapshot._labels
    monkeypatch.setattr(snapshot, "_labels", promote_then_read)
    refresh()

    assert app.served(f"unit={CONTROL_AT_5_PERCENT}") == ("v2.3", "label")


# Pinned versions that no label serves


def test_pinned__bounded_and_read_once(
    prompt: Prompt, app: Reader, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_cache, "PINNED_KEPT", 2)
    monkeypatch.setattr(snapshot_cache, "cache", SnapshotCache())
    for minor in range(4, 8):
        make_version(prompt, f"2.{minor}")
    refresh()

    with django_assert_num_queries(3):
        for version in ("2.4", "2.5", "2.4", "2.5", "2.6"):
            assert app.body(f"version={version}")["version"] == f"v{version}"
    with django_assert_num_queries(1):
        assert app.status("version=2.4") == 200


# The database is away


@contextmanager
def database_away() -> Iterator[None]:
    def refuse(*_: object) -> NoReturn:
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(refuse):
        yield


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_database_away__last_state_is_served_and_told_once(
    prompt: Prompt, app: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    monkeypatch.setattr(snapshot_cache, "cache", SnapshotCache(clock))
    caplog.set_level(logging.INFO, snapshot_cache.__name__)
    refresh()

    with database_away():
        for _ in range(20):
            clock.seconds += POLL_S
            assert not snapshot_cache.cache.poll()

        assert app.served() == ("v2.2", "label")
        assert app.status("version=2.3") == 503  # in no memory
        assert app.status("version=2.2") == 200
    assert snapshot_cache.cache.current()[1] == 5  # 20 polls, four a second
    assert [r.getMessage() for r in caplog.records] == ["serving.stale"]

    point(prompt, "production", prompt.versions.get(minor=3))
    assert snapshot_cache.cache.poll()

    assert app.served() == ("v2.3", "label")
    assert snapshot_cache.cache.current()[1] is None
    assert [r.getMessage() for r in caplog.records] == ["serving.stale", "serving.fresh"]


def test_database_away__a_few_failed_polls__not_stale_yet(app: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(snapshot_cache, "cache", SnapshotCache(clock))
    refresh()

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
    app = Reader(make_key("read"))
    with refresher():
        assert snapshot_cache.cache.loaded.wait(10)
        for minor in (3, 2, 3):
            point(prompt, "production", prompt.versions.get(minor=minor))

            seconds_until(lambda: app.served()[0] == f"v2.{minor}", at_most=1)  # noqa: B023 (called at once)


@pytest.mark.django_db(transaction=True)
def test_thread__connection_lost__another_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's own statements fail, as they do when the server was restarted, until it is replaced."""
    prompt = make_prompt()
    app = Reader(make_key("read"))
    broken: list[object] = []
    read = snapshot.latest_generation

    def fail_on_broken_connections() -> int:
        connection.ensure_connection()
        if not broken:
            broken.append(connection.connection)
        if connection.connection is broken[0]:
            raise OperationalError("server closed the connection unexpectedly")
        return read()

    monkeypatch.setattr(snapshot, "latest_generation", fail_on_broken_connections)
    with refresher():
        assert snapshot_cache.cache.loaded.wait(10)
        point(prompt, "production", prompt.versions.get(minor=3))

        seconds_until(lambda: app.served()[0] == "v2.3", at_most=1)
