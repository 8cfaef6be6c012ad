"""The watch over the suite's logs sees what it is there for."""

import logging

import pytest

from registry.keys import new_key
from rollout.webhooks.signing import new_secret
from tests import make
from tests.leaks import LeakWatch, leaks


@pytest.mark.parametrize(
    "secret",
    [new_key(), new_secret(), make.TEXT, "GET /prompts/a?unit=7", "user-42", "anna@example.org"],
    ids=["key", "webhook secret", "text of a prompt", "unit in an address", "user", "e-mail address"],
)
def test_leaks__message_field_or_traceback__found(secret: str) -> None:
    watch = LeakWatch()
    fields = {"name": "registry", "levelname": "INFO", "levelno": logging.INFO}

    for told in ({"msg": secret}, {"msg": "key.created", "about": secret}):
        watch.emit(logging.makeLogRecord(fields | told))

    assert len(watch.found) == 2
    assert all(secret in line for line in watch.found)


def test_leaks__events_with_ids__none() -> None:
    assert leaks('2026-01-31T12:00:00 INFO rollout.services rollout.rolled_back rollout="rol_1" event="evt_1"') == []
