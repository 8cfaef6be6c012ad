"""Faults 1 and 36: a worker killed between any two statements of a delivery, and started again.

Each endpoint has one delivery of the event, which comes to what it would have come to undisturbed. Its receiver may
have seen one attempt more, with the same webhook-id.
"""

from collections.abc import Callable
from functools import partial
from itertools import count

import pytest
import time_machine
from werkzeug import Response

from registry.models import Event
from rollout.models import Delivery, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import sender, services
from tests.crash import killed
from tests.make import ANNA
from tests.webhooks.stage import Receiver, delivery_of, happen

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_S = 3600


def begin(receiver: Receiver, answers: list[int]) -> Event:
    """An event for one endpoint, and a receiver that will answer it like this."""
    for older in WebhookEndpoint.objects.filter(disabled_at=None):
        services.disable_endpoint(endpoint_id=older.id, actor=ANNA)
    receiver.received.clear()
    receiver.answers(*[Response(status=answer) for answer in answers])
    services.create_endpoint(url=receiver.url, actor=ANNA)
    return happen()


def attempt(delivery_id: str) -> None:
    """What a worker does."""
    if delivery := sender.claim(delivery_id):
        sender.settle(delivery, sender.send(delivery))


def run_to_quiet(delivery_id: str, clock: time_machine.Traveller) -> Delivery:
    """Start workers again, hour after hour."""
    for _ in range(3):
        clock.shift(HOUR_S)
        attempt(delivery_id)
    return Delivery.objects.get(pk=delivery_id)


@pytest.mark.parametrize(
    ("answers", "status", "dead_reason"),
    [
        ([204], DeliveryStatus.DELIVERED, ""),
        ([500, 204], DeliveryStatus.DELIVERED, ""),
        ([410], DeliveryStatus.DEAD, "endpoint_gone"),
    ],
)
def test_delivery__worker_killed_between_any_two_statements__one_delivery_and_at_most_one_attempt_more(
    answers: list[int],
    status: str,
    dead_reason: str,
    receiver: Receiver,
    clock: time_machine.Traveller,
    record_property: Callable[[str, object], None],
) -> None:
    for point in count(1):
        event = begin(receiver, answers)
        delivery_id = delivery_of(event).pk

        was_killed = killed.run_to(point, partial(attempt, delivery_id))
        delivery = run_to_quiet(delivery_id, clock)

        assert (delivery.status, delivery.dead_reason) == (status, dead_reason), point
        assert Delivery.objects.filter(event=event).count() == 1
        assert {received.id for received in receiver.received} == {event.id}
        assert len(answers) <= len(receiver.received) <= len(answers) + was_killed
        assert list(delivery.log.values_list("number", flat=True)) == list(range(1, delivery.log.count() + 1))
        assert len(receiver.received) - was_killed <= delivery.log.count() <= len(receiver.received)
        if not was_killed:
            break
    record_property(f"points of a delivery answered {answers}", point - 1)
