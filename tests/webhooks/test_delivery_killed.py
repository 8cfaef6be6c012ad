"""Faults 1 and 36: a worker killed between any two statements of a delivery, and started again.

Each endpoint has one delivery of the event, which comes to what it would have come to undisturbed. Its receiver may
have seen one attempt more, with the same webhook-id.
"""

from itertools import count

import pytest
import time_machine
from django_q.models import OrmQ
from werkzeug import Response

from registry.models import Event
from rollout.models import Delivery, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import sender, services
from tests.crash import killed
from tests.make import ANNA
from tests.webhooks.stage import Receiver, delivery_of, happen, work

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_S = 3600


def begin(receiver: Receiver, answers: list[int]) -> Event:
    """An event for one endpoint, and a receiver that will answer it like this."""
    for older in WebhookEndpoint.objects.filter(disabled_at=None):
        services.disable_endpoint(endpoint_id=older.id, actor=ANNA)
    OrmQ.objects.all().delete()
    receiver.received.clear()
    receiver.answers(*[Response(status=answer) for answer in answers])
    services.create_endpoint(url=receiver.url, actor=ANNA)
    return happen()


def run_to_quiet(delivery: Delivery, clock: time_machine.Traveller) -> Delivery:
    """Start workers again, hour after hour, as long as there is something to do."""
    for _ in range(5):
        clock.shift(HOUR_S)
        sender.sweep()
        work()
    return Delivery.objects.get(pk=delivery.pk)


@pytest.mark.parametrize(
    ("answers", "status", "dead_reason"),
    [
        ([204], DeliveryStatus.DELIVERED, ""),
        ([500, 204], DeliveryStatus.DELIVERED, ""),
        ([410], DeliveryStatus.DEAD, "endpoint_gone"),
    ],
)
def test_delivery__worker_killed_between_any_two_statements__one_delivery_and_at_most_one_attempt_more(
    answers: list[int], status: str, dead_reason: str, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    for point in count(1):
        event = begin(receiver, answers)
        delivery = delivery_of(event)

        was_killed = killed.run_to(point, lambda pk=delivery.pk: sender.attempt(pk))  # type: ignore[misc]  # binds now
        delivery = run_to_quiet(delivery, clock)

        assert (delivery.status, delivery.dead_reason) == (status, dead_reason), point
        assert Delivery.objects.filter(event=event).count() == 1
        assert {received.id for received in receiver.received} == {event.id}
        assert len(answers) <= len(receiver.received) <= len(answers) + was_killed
        assert list(delivery.log.values_list("number", flat=True)) == list(range(1, delivery.log.count() + 1))
        assert len(receiver.received) - was_killed <= delivery.log.count() <= len(receiver.received)
        if not was_killed:
            break
    print(f"{answers}: killed at {point - 1} points")
