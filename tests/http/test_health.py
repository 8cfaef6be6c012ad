"""/livez and /readyz: the one asks for nothing, the other for a migrated database."""

from typing import NoReturn

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from rollout.serving import snapshot_cache
from rollout.serving.snapshot_cache import SnapshotCache
from rollout.serving.state_file import StateFile


@pytest.fixture
def lost_migration(db: None) -> str:
    """A database from before `config`'s newest code: one migration of the registry is not recorded."""
    MigrationRecorder(connection).record_unapplied("registry", "0002_version_is_immutable")
    return "registry.0002_version_is_immutable"


def test_livez__without_a_database__alive(client: Client) -> None:
    answer = client.get("/livez")  # without the db fixture, any query would fail this test

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.fixture
def _state(db: None) -> None:
    snapshot_cache.cache.refresh()


@pytest.mark.usefixtures("_state")
def test_readyz__migrated_database__ready(client: Client) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_readyz__migrated_database_but_nothing_read_yet__problem(client: Client, db: None) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "no_state_yet")


@pytest.mark.usefixtures("_state")
def test_readyz__migration_missing__problem_that_names_it(client: Client, lost_migration: str) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_migrated"
    assert lost_migration in answer.json()["detail"]


@pytest.mark.usefixtures("_state")
def test_readyz__migration_of_newer_code__ready(client: Client) -> None:
    MigrationRecorder(connection).record_applied("registry", "9999_from_the_future")

    assert client.get("/readyz").status_code == 200


@pytest.fixture
def _database_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: MigrationRecorder) -> NoReturn:
        raise OperationalError("connection refused by the host db.internal")

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", refuse)


@pytest.mark.usefixtures("_database_away")
def test_readyz__database_away_and_no_state__problem(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["code"] == "database_unavailable"
    assert "db.internal" not in answer.content.decode()
    assert answer["Retry-After"] == "2"


@pytest.mark.usefixtures("_state", "_database_away")
def test_readyz__database_away_and_a_state__degraded(client: Client) -> None:
    answer = client.get("/readyz")

    degraded = {"status": "degraded", "reason": "database_unavailable", "state_age_s": 0}
    assert (answer.status_code, answer.json()) == (200, degraded)


def test_readyz__state_is_stale__degraded_without_asking(
    client: Client, db: None, state_file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    cache = SnapshotCache(state_file, lambda: seconds[0])
    monkeypatch.setattr(snapshot_cache, "cache", cache)
    cache.refresh()
    seconds[0] = 61.5

    answer = client.get("/readyz")

    degraded = {"status": "degraded", "reason": "database_unavailable", "state_age_s": 61}
    assert (answer.status_code, answer.json()) == (200, degraded)


def test_health__post__refused(client: Client) -> None:
    assert client.post("/livez").status_code == 405
