"""When a key was last used: seen wherever it is let in, written by nobody who waits for an answer."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from registry import key_uses
from registry.models import ApiKey
from rollout.serving import snapshot_cache
from tests import make, served

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_noted_before() -> None:
    key_uses._noted.clear()


def last_used() -> datetime | None:
    return ApiKey.objects.get().last_used_at


@pytest.mark.parametrize("path", ["/api/v1/prompts", "/v1/metrics", "/prompts/order-extractor", "/ruleset"])
def test_use__at_any_door__written_at_the_next_flush(path: str) -> None:
    key = make.key("admin")
    snapshot_cache.cache.refresh()
    client = Client(headers={"Authorization": f"Bearer {key}"})

    with time_machine.travel(NOON, tick=False):
        (client.post if path.startswith("/v1/") else client.get)(path)
        assert last_used() is None
        key_uses.flush()

    assert last_used() == NOON


def test_flush__again_within_a_minute__written_once(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    reader = served.Reader()
    snapshot_cache.cache.refresh()
    for after_s, written_s in ((0, 0), (30, 0), (61, 61)):
        with time_machine.travel(NOON + timedelta(seconds=after_s), tick=False):
            reader.status()
            key_uses.flush()
        assert last_used() == NOON + timedelta(seconds=written_s)
    with django_assert_num_queries(0):
        key_uses.flush()


def test_answer_that_is_remembered__a_minute_later__shows_the_use_again() -> None:
    served.make_prompt()
    reader = served.Reader()
    snapshot_cache.cache.refresh()
    assert (reader.status(), reader.status()) == (200, 200)
    key_uses._noted.clear()

    reader.status()
    unnoticed = len(key_uses._noted)
    snapshot_cache.cache.forget_answers()
    reader.status()

    assert (unnoticed, len(key_uses._noted)) == (0, 1)


def test_key_that_is_refused__not_noted() -> None:
    snapshot_cache.cache.refresh()

    assert served.Reader("ser_unknown").status() == 401
    assert not key_uses._noted
