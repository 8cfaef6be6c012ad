"""Whether the background work is done is told by every web server, whichever host does it."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django_q.tasks import async_task
from prometheus_client.parser import text_string_to_metric_families

from common.clock import now
from registry.events import record
from rollout import work
from rollout.models import Delivery, DeliveryStatus, Heartbeat, WebhookEndpoint
from tests.served import change, database_away, end, make_prompt, make_rollout

pytestmark = pytest.mark.django_db


def gauges(client: Client) -> dict[str, float]:
    """Those of the background work, without their prefix, in whole seconds."""
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    names = ("database", "evaluator", "look", "task", "deliver")
    return {
        family.name.removeprefix("serinus_"): int(family.samples[0].value)
        for family in families
        if family.name.startswith(tuple(f"serinus_{name}" for name in names))
    }


def test_metrics__nothing_to_do_and_no_evaluator_ever__no_age(client: Client) -> None:
    assert gauges(client) == {
        "database_up": 1,
        "look_late_seconds": 0,
        "tasks_waiting": 0,
        "deliveries_due": 0,
        "delivery_late_seconds": 0,
    }


def test_metrics__nobody_works__how_long_and_how_much_waits(client: Client) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        work.beat()
        rollout = make_rollout(make_prompt())
        end(make_rollout(make_prompt("another"), canary="2.3"))
        event = record(type="label.moved", prompt="order-extractor", data={})
        deliver(event.sequence, next_attempt_at=now() + timedelta(seconds=20))
        deliver(event.sequence, next_attempt_at=now() + timedelta(hours=1))
        deliver(event.sequence, next_attempt_at=now(), lease_until=now() + timedelta(hours=1))
        deliver(event.sequence, next_attempt_at=None, status=DeliveryStatus.DELIVERED)
        async_task("observability.rollups.roll_up")
        change(rollout, next_look_at=now() + timedelta(seconds=10))

        clock.shift(45)

        assert gauges(client) == {
            "database_up": 1,
            "evaluator_age_seconds": 45,
            "look_late_seconds": 35,
            "tasks_waiting": 1,
            "deliveries_due": 1,
            "delivery_late_seconds": 25,
        }


def deliver(sequence: int, **fields: object) -> None:
    number = WebhookEndpoint.objects.count()
    endpoint = WebhookEndpoint.objects.create(id=f"whk_{number}", url="https://example.org", created_at=now())
    Delivery.objects.create(
        id=f"dlv_{number}", event_id=sequence, endpoint=endpoint, payload=b"{}", created_at=now(), **fields
    )


def test_metrics__database_away__says_only_that(client: Client) -> None:
    with database_away():
        assert gauges(client) == {"database_up": 0}


def test_heartbeats__two_hosts__the_last_one_counts_and_the_old_one_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        for host in ("first", "second"):
            monkeypatch.setattr("socket.gethostname", lambda host=host: host)
            work.beat()
            work.beat()
            clock.shift(timedelta(hours=13))

        assert work.measure().evaluator_age_s == 13 * 3600
        work.forget_hosts()

        assert list(Heartbeat.objects.values_list("host", flat=True)) == ["second"]
