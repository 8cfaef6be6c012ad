"""Eight workers at once: on SQLite they wait for its one writer, on PostgreSQL for the row's lock."""

import pytest

from rollout.models import Delivery, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import services
from rollout.webhooks.fan_out import deliver_new_events
from tests.make import ANNA
from tests.parallel import at_once
from tests.webhooks.stage import Receiver, attempt, delivery_of, happen, record

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8


def test_attempt__by_eight_workers_at_once__sent_once(endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    delivery = delivery_of(happen())

    at_once(*[lambda: attempt(delivery.pk)] * THREADS)

    delivery.refresh_from_db()
    assert len(receiver.received) == 1
    assert (delivery.status, delivery.log.count()) == (DeliveryStatus.DELIVERED, 1)


def test_attempt__410_to_all_deliveries_at_once__all_dead_and_no_deadlock(
    endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    receiver.answers(410)
    ids = [delivery_of(happen()).pk for _ in range(THREADS - 1)]

    at_once(
        lambda: services.disable_endpoint(endpoint_id=endpoint.id, actor=ANNA),
        *[lambda pk=pk: attempt(pk) for pk in ids],  # type: ignore[misc]  # binds each id now
    )

    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.DEAD}


def test_deliver_new_events__by_eight_at_once_while_endpoints_are_made__each_event_once(
    endpoint: WebhookEndpoint,
) -> None:
    events = [record() for _ in range(5)]

    at_once(
        *[deliver_new_events] * (THREADS - 2),
        *[lambda: services.create_endpoint(url="http://127.0.0.1:9/", actor=ANNA)] * 2,
    )

    assert sorted(endpoint.deliveries.values_list("event", flat=True)) == [event.sequence for event in events]
    assert Delivery.objects.count() == len(events)  # the new endpoints are told nothing that happened before them


def test_replay__by_eight_at_once__one_does_it(endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    delivery = delivery_of(happen())
    attempt(delivery.pk)

    def replay() -> bool:
        try:
            services.replay(endpoint_id=endpoint.id, delivery_id=delivery.pk)
        except services.Conflict:
            return False
        return True

    assert at_once(*[replay] * THREADS).count(True) == 1
