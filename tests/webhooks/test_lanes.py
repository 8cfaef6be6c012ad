"""Receivers that hang hold up nobody else: real receivers, real time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rollout.management.commands import run_sender
from rollout.models import Delivery, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import lanes as lanes_module
from rollout.webhooks import sender, services
from rollout.webhooks.lanes import Lanes, longest_waiting
from tests.make import ANNA
from tests.webhooks.stage import Receiver, delivery_of, happen, record, work

pytestmark = pytest.mark.django_db
HANGING = 50
WITHIN_S = 2.0


@contextmanager
def hanging_receiver() -> Iterator[str]:
    """Takes any number of connections and never answers; the address is good for many endpoints."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"


@pytest.fixture
def fast(receiver: Receiver) -> WebhookEndpoint:
    return services.create_endpoint(url=receiver.url, actor=ANNA)


def make_hanging(url: str, number: int = HANGING) -> list[WebhookEndpoint]:
    return [services.create_endpoint(url=url, actor=ANNA) for _ in range(number)]


def settle_until(lanes: Lanes, delivered: int, within_s: float) -> float:
    """Seconds until that many deliveries were delivered. Raises AssertionError when it takes longer."""
    start = time.monotonic()
    while Delivery.objects.filter(status=DeliveryStatus.DELIVERED).count() < delivered:
        assert time.monotonic() - start < within_s
        lanes.start_due()
        lanes.settle_back(wait_s=0.1)
    return time.monotonic() - start


def test_fifty_endpoints_hang__the_healthy_one_is_told_at_once(receiver: Receiver) -> None:
    lanes = Lanes()
    with hanging_receiver() as url:
        make_hanging(url)
        services.create_endpoint(url=receiver.url, actor=ANNA)
        for _ in range(4):
            happen()

        settle_until(lanes, 4, WITHIN_S)

        assert lanes.under_way == HANGING  # one place each, though four of theirs are due
    lanes.finish(within_s=5)


def test_more_hang_than_there_are_places__a_lively_one_finds_one(
    receiver: Receiver, fast: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "PLACES", 8)
    monkeypatch.setattr(lanes_module, "PLACES_OF_THE_UNPROVEN", 6)
    lanes = Lanes()
    happen()
    settle_until(lanes, 1, WITHIN_S)
    with hanging_receiver() as url:
        make_hanging(url, 10)
        happen()
        lanes.start_due()
        happen()

        settle_until(lanes, 3, WITHIN_S)

        assert lanes.under_way == 6
    lanes.finish(within_s=5)


def test_lively_endpoint__has_several_under_way__one_that_failed_has_one(
    receiver: Receiver, fast: WebhookEndpoint
) -> None:
    lanes = Lanes()
    for _ in range(10):
        happen()
    lanes.start_due()
    at_first = lanes.under_way
    lanes.settle_back(wait_s=5)

    lanes.start_due()

    assert (at_first, lanes.under_way) == (1, lanes_module.PLACES_OF_A_LIVELY_ENDPOINT)
    receiver.answers(500)
    lanes.finish(within_s=5)
    lanes.start_due()
    lanes.finish(within_s=5)
    lanes.start_due()
    assert lanes.under_way == 1
    lanes.finish(within_s=5)


def test_longest_waiting__one_of_each_endpoint_that_is_not_full__oldest_first(fast: WebhookEndpoint) -> None:
    first = happen()
    other = services.create_endpoint(url="http://127.0.0.1:9/", actor=ANNA)
    happen()
    moment = lanes_module.now()

    waiting = longest_waiting(moment, full=[])

    assert waiting[0] == (fast.pk, delivery_of(first).pk)
    assert [endpoint for endpoint, _ in waiting] == [fast.pk, other.pk]
    assert [endpoint for endpoint, _ in longest_waiting(moment, full=[fast.pk])] == [other.pk]


def test_start_due__nothing_due__one_query(fast: WebhookEndpoint, django_assert_num_queries: object) -> None:
    happen()
    work()

    with django_assert_num_queries(1):  # type: ignore[operator]
        Lanes().start_due()


def test_sending__raises__an_attempt_that_failed_and_the_place_is_free_again(
    fast: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(_: Delivery) -> None:
        raise RuntimeError("boom")

    event = happen()
    monkeypatch.setattr(lanes_module, "send", explode)

    assert work() == 1

    assert delivery_of(event).log.get().error == "RuntimeError: boom"
    assert "webhook.sending_failed" in caplog.text


def test_settling__raises__the_others_are_settled_and_the_lease_brings_it_back(
    fast: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(_: Delivery, __: sender.Sent) -> None:
        raise RuntimeError("the database is away")

    event = happen()
    monkeypatch.setattr(lanes_module, "settle", explode)

    assert work() == 1

    assert "webhook.settling_failed" in caplog.text
    assert delivery_of(event).lease_until is not None
    assert delivery_of(event).status == DeliveryStatus.PENDING


def test_finish__one_hangs__the_others_settled_and_not_waited_for_longer(
    receiver: Receiver, fast: WebhookEndpoint
) -> None:
    lanes = Lanes()
    with hanging_receiver() as url:
        (slow,) = make_hanging(url, 1)
        happen()
        lanes.start_due()

        lanes.finish(within_s=0.5)

    assert fast.deliveries.get().status == DeliveryStatus.DELIVERED
    assert slow.deliveries.get().status == DeliveryStatus.PENDING


@pytest.mark.django_db(transaction=True)
def test_run__registrys_event__told_until_it_is_stopped(fast: WebhookEndpoint, receiver: Receiver) -> None:
    stopping = threading.Event()
    receiver.on_receipt = stopping.set
    event = record("version.published")

    run_sender.run(stopping)

    assert [received.id for received in receiver.received] == [event.id]
    assert delivery_of(event).status == DeliveryStatus.DELIVERED


@pytest.mark.django_db(transaction=True)
def test_run__a_tick_fails__logged_and_the_next_one_goes_on(
    fast: WebhookEndpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopping = threading.Event()
    receiver.on_receipt = stopping.set
    happen()
    failures = iter([RuntimeError("the database is away")])

    def fail_once() -> None:
        for failure in failures:
            raise failure

    monkeypatch.setattr(run_sender, "deliver_new_events", fail_once)

    run_sender.run(stopping)

    assert "webhook.tick_failed" in caplog.text
    assert len(receiver.received) == 1
