"""Imports models inside its fixtures only: pytest loads this file before Django."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import time_machine
from pytest_django import Settings
from pytest_httpserver import HTTPServer

if TYPE_CHECKING:
    from rollout.models import WebhookEndpoint
    from tests.webhooks.stage import Receiver


@pytest.fixture(autouse=True)
def _receivers_are_local(settings: Settings) -> None:
    from common.outbound import read_allowed

    settings.WEBHOOK_ALLOW = read_allowed(["127.0.0.1", "localhost"])


@pytest.fixture
def receiver(httpserver: HTTPServer) -> Receiver:
    from tests.webhooks.stage import Receiver

    receiver = Receiver(httpserver)
    receiver.answers(204)
    return receiver


@pytest.fixture
def endpoint(db: None, receiver: Receiver) -> WebhookEndpoint:
    """An endpoint that wants all events, at the receiver."""
    from rollout.webhooks import services
    from tests.make import ANNA

    return services.create_endpoint(url=receiver.url, actor=ANNA)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Time stands still until the test moves it."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as coordinates:
        yield coordinates
