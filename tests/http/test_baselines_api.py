"""GET /api/v1/baselines: metrics beside their rolling seven days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from observability.watching import baselines as watching
from tests import baselines, make
from tests.baselines import HOUR

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)
URL = "/api/v1/baselines"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def get(client: Client, query: str, key: str | None = None) -> Any:
    return client.get(f"{URL}?{query}", headers={"authorization": f"Bearer {key or make.key('read')}"})


def test_get__week_of_scores__steady_with_threshold(client: Client) -> None:
    baselines.days(0.94)

    body = get(client, "prompt=order-extractor&label=production").json()

    (item,) = body["items"]
    assert body["left_out"] == 0
    assert (item["prompt"], item["label"], item["metric"]) == ("order-extractor", "production", "faithfulness")
    assert (item["state"], item["days"]) == ("steady", 7)
    assert item["now"] == pytest.approx(0.94)
    assert item["baseline"] == pytest.approx(0.94)
    assert 0.9 < item["threshold"] < 0.94


def test_get__two_days__learning_without_threshold(client: Client) -> None:
    baselines.days(0.94, n=3)

    (item,) = get(client, "prompt=order-extractor").json()["items"]

    assert (item["state"], item["baseline"], item["threshold"]) == ("learning", None, None)


def test_get__alert_open__firing(client: Client) -> None:
    make.prompt()
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    watching.check()

    (item,) = get(client, "prompt=order-extractor").json()["items"]

    assert item["state"] == "firing"
    assert item["now"] == pytest.approx(0.87)


def test_get__key_of_another_prompt__nothing(client: Client) -> None:
    baselines.days(0.94)
    key = make.restricted_key("read", prompt_prefix="other")

    assert get(client, "prompt=order-extractor", key).json()["items"] == []


def test_get__no_prompt_named__refused(client: Client) -> None:
    assert get(client, "").status_code == 422


def test_get__label_without_calls_for_a_day__nothing(client: Client, clock: time_machine.Traveller) -> None:
    baselines.days(0.94)
    clock.move_to(NOW + timedelta(days=2))

    assert get(client, "prompt=order-extractor").json()["items"] == []
