import json

import pytest
import time_machine
from django.db import transaction

from registry.models import Event
from rollout.models import Delivery, WebhookEndpoint
from rollout.webhooks import services
from rollout.webhooks.fan_out import create_deliveries, deliver_new_events, payload_of
from tests.make import ANNA
from tests.webhooks.stage import happen, record

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/hook"


def subscribe(*types: str) -> WebhookEndpoint:
    return services.create_endpoint(url=URL, events=types or None, actor=ANNA)


def told(endpoint: WebhookEndpoint) -> list[str]:
    return sorted(endpoint.deliveries.values_list("event__type", flat=True))


def test_create_deliveries__one_per_enabled_endpoint_that_wants_the_type() -> None:
    every, rollbacks, moves, gone = subscribe(), subscribe("rollout.rolled_back"), subscribe("label.moved"), subscribe()
    services.disable_endpoint(endpoint_id=gone.id, actor=ANNA)

    happen("rollout.rolled_back")

    assert [told(endpoint) for endpoint in (every, rollbacks, moves, gone)] == [
        ["rollout.rolled_back"],
        ["rollout.rolled_back"],
        [],
        [],
    ]


def test_create_deliveries__twice__once() -> None:
    subscribe()
    event = happen()

    with transaction.atomic():
        create_deliveries(event)

    assert Delivery.objects.count() == 1


def test_create_deliveries__transaction_fails__no_delivery() -> None:
    subscribe()

    with transaction.atomic():
        happen()
        transaction.set_rollback(True)

    assert not Delivery.objects.exists()


def test_deliver_new_events__registry_recorded__delivered_once() -> None:
    endpoint = subscribe()
    record("version.published")
    record("label.moved")

    deliver_new_events()
    deliver_new_events()

    assert told(endpoint) == ["label.moved", "version.published"]


def test_deliver_new_events__rollout_has_delivered_its_own__not_again() -> None:
    subscribe()
    happen("rollout.started")

    deliver_new_events()

    assert Delivery.objects.count() == 1


def test_deliver_new_events__nobody_wanted_it_then__nobody_gets_it_later() -> None:
    record("version.published")
    deliver_new_events()

    endpoint = subscribe()
    deliver_new_events()

    assert told(endpoint) == []


def test_deliver_new_events__endpoint_made_between_event_and_fan_out__only_the_older_endpoint_is_told() -> None:
    older = subscribe()
    record("label.moved")

    newer = subscribe()
    deliver_new_events()
    record("version.published")
    deliver_new_events()

    assert told(older) == ["label.moved", "version.published"]
    assert told(newer) == ["version.published"]


def test_deliver_new_events__nothing_new__two_cheap_reads(django_assert_num_queries: object) -> None:
    subscribe()
    record()
    deliver_new_events()

    with django_assert_num_queries(2):  # type: ignore[operator]
        deliver_new_events()


def test_payload__canonical_and_equal_for_all_endpoints(clock: time_machine.Traveller) -> None:
    subscribe()
    subscribe()

    event = happen(versions={"to": "v2.3", "from": "v2.2"}, text="naïve 🐤")

    expected = (
        '{"data":{"text":"naïve 🐤","versions":{"from":"v2.2","to":"v2.3"}},'
        f'"prompt":"order-extractor","sequence":{event.sequence},"timestamp":"2026-03-01T12:00:00Z","type":"rollout.rolled_back"}}'
    )
    assert [bytes(delivery.payload).decode() for delivery in Delivery.objects.all()] == [expected, expected]


def test_payload__half_a_surrogate_pair__json_in_utf8() -> None:
    event = Event(sequence=1, type="rollout.rolled_back", data={"text": "\ud83d"}, occurred_at=record().occurred_at)

    payload = payload_of(event)

    assert json.loads(payload.decode())["data"] == {"text": "\ud83d"}
