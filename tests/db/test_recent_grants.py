"""Keys are remembered for a moment, and no longer."""

from typing import Any

import pytest
from django.utils import timezone

from registry import recent_grants
from registry.keys import hash_key
from registry.models import ApiKey
from registry.recent_grants import KNOWN_FOR_S, recent_grant
from tests import make

pytestmark = pytest.mark.django_db


class Clock:
    """Instead of the clock of recent_grants."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recent_grants, "time", clock)
    monkeypatch.setattr(recent_grants, "_known", {})
    return clock


def test_recent_grant__asked_again_within_a_second__from_memory(clock: Clock, django_assert_num_queries: Any) -> None:
    key = hash_key(make.key("ingest"))
    first = recent_grant(key)

    with django_assert_num_queries(0):
        again = recent_grant(key)

    assert first is not None
    assert again == first


def test_recent_grant__revoked__refused_after_a_second(clock: Clock) -> None:
    key = hash_key(make.key("ingest"))
    recent_grant(key)
    ApiKey.objects.update(revoked_at=timezone.now())

    clock.now += KNOWN_FOR_S

    assert recent_grant(key) is None


def test_recent_grant__unknown_and_then_issued__known_at_once(clock: Clock) -> None:
    text = make.key("ingest")
    row = ApiKey.objects.get()
    row.delete()
    assert recent_grant(hash_key(text)) is None

    row.save(force_insert=True)

    assert recent_grant(hash_key(text)) is not None


def test_recent_grant__more_keys_than_may_be_known__bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_grants, "MOST_KNOWN", 3)

    for _ in range(10):
        assert recent_grant(hash_key(make.key("ingest")))

    assert len(recent_grants._known) <= 3
