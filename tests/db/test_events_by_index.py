"""What is read of events and deliveries costs no more for all those of other prompts and rollouts that are kept."""

from collections.abc import Callable

import pytest
from django.db import connection

from common.clock import now
from registry import events
from registry.models import Event
from rollout import services
from rollout.models import Delivery
from rollout.selectors import dead_deliveries, deliveries_about
from rollout.webhooks.services import create_endpoint
from tests import rollouts as given
from tests.plans import plans, reads_as_a_whole
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "read",
    [
        lambda: events.newest(before=None, limit=50, prompt="order-extractor"),
        lambda: events.newest(before=None, limit=50, type="rollout.started"),
        lambda: events.newest(before=9, limit=50, type="rollout.started", prompt="order-extractor"),
    ],
)
def test_newest__of_a_prompt_or_type__found_by_it_and_in_order(read: Callable[[], object]) -> None:
    with plans() as found:
        read()

    assert len(found) == 1
    assert not reads_as_a_whole(found[0], Event)
    assert "events_by_" in found[0]
    assert "TEMP B-TREE" not in found[0]  # SQLite's word for sorting; PostgreSQL may rather sort the few of a test


def test_dead_deliveries__found_among_the_dead_alone() -> None:
    with plans() as found:
        dead_deliveries()

    (plan,) = found
    if connection.vendor == "postgresql":  # takes any index to a table of a test
        assert not reads_as_a_whole(plan, Delivery)
    else:
        assert "deliveries_dead" in plan


@pytest.mark.parametrize("ended", [False, True])
def test_deliveries_about__of_its_events_in_its_time(*, ended: bool) -> None:
    create_endpoint(url="https://hooks.example/rollouts", actor=ANNA)
    rollout = given.rollout()
    if ended:
        rollout = services.cancel(rollout_id=rollout.pk, actor=ANNA, reason="of a try")

    with plans() as found:
        deliveries = list(deliveries_about(rollout, limit=50))

    told = ["rollout.cancelled", "rollout.started"] if ended else ["rollout.started"]
    assert [delivery.event.type for delivery in deliveries] == told
    assert not [plan for plan in found if reads_as_a_whole(plan, Event) or reads_as_a_whole(plan, Delivery)]
    assert "events_by_prompt_and_time" in found[0] or connection.vendor == "postgresql"  # as above


def test_deliveries_about__others_of_the_prompt_are_newer__not_among_them() -> None:
    endpoint = create_endpoint(url="https://hooks.example/rollouts", actor=ANNA)
    rollout = given.rollout()
    newer = [
        Event(
            sequence=events.newest_sequence() + 1 + number,
            id=f"evt_{number}",
            type="rollout.paused",
            prompt=rollout.prompt.name,
            occurred_at=now(),
            data={"rollout": {"id": "rol_another"}},
        )
        for number in range(3)
    ]
    Event.objects.bulk_create(newer)
    Delivery.objects.bulk_create(
        Delivery(
            id=f"dlv_{event.id}", event=event, endpoint=endpoint, payload=b"{}", status="delivered", created_at=now()
        )
        for event in newer
    )

    assert [delivery.event.type for delivery in deliveries_about(rollout, limit=2)] == ["rollout.started"]
