"""A delivery from its event to its end, against a receiver that speaks real HTTP: faults 34 and 36."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils.http import http_date
from werkzeug import Response

from registry.models import Event
from rollout.models import DeadReason, Delivery, DeliveryAttempt, DeliveryStatus, WebhookEndpoint
from rollout.webhooks import sender, services
from rollout.webhooks.retries import BACK_OFF_S
from tests.make import ANNA
from tests.webhooks.stage import Receiver, attempt, delivery_of, happen, raw_receiver, work

pytestmark = pytest.mark.django_db
Clock = time_machine.Traveller


def work_when_due(clock: Clock, delivery: Delivery) -> None:
    """Let the time of the next attempt come, and the sender do its part."""
    delivery.refresh_from_db()
    assert delivery.next_attempt_at is not None
    clock.move_to(delivery.next_attempt_at)
    assert work() == 1
    delivery.refresh_from_db()


def at(*, minute: int) -> datetime:
    return datetime(2026, 3, 1, 12, minute, tzinfo=UTC)


def attempts(delivery: Delivery) -> list[tuple[int | None, str]]:
    return list(delivery.log.values_list("http_status", "error"))


def test_delivery__receiver_takes_it__delivered_signed_and_logged(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    event = happen(rollout="rol_1")

    work()

    delivery = delivery_of(event)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 1)
    assert delivery.next_attempt_at is delivery.lease_until is None
    assert attempts(delivery) == [(204, "")]
    assert receiver.verified(endpoint) == {
        "type": "rollout.rolled_back",
        "timestamp": "2026-03-01T12:00:00Z",
        "sequence": event.sequence,
        "prompt": "order-extractor",
        "data": {"rollout": "rol_1"},
    }
    assert receiver.received[0].id == event.id
    assert receiver.received[0].headers["content-type"] == "application/json"


def test_delivery__fails_twice__same_id_and_bytes_with_new_timestamp_and_signature(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(500, 503, 200)
    delivery = delivery_of(happen(text="naïve"))

    work()
    assert receiver.verified(endpoint)
    for _ in range(2):
        work_when_due(clock, delivery)
        assert receiver.verified(endpoint)

    first, second, third = receiver.received
    assert first.id == second.id == third.id
    assert first.body == second.body == third.body
    assert first.timestamp < second.timestamp < third.timestamp
    assert len({received.headers["webhook-signature"] for received in receiver.received}) == 3
    assert delivery.status == DeliveryStatus.DELIVERED
    assert attempts(delivery) == [(500, ""), (503, ""), (200, "")]


def test_delivery__before_it_is_due__not_sent(endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock) -> None:
    receiver.answers(500)
    event = happen()
    work()

    clock.shift(BACK_OFF_S[0] * 0.8)  # earlier than the jitter of a tenth allows

    assert work() == 0
    assert sender.claim(delivery_of(event).pk) is None
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
def test_delivery__any_status_but_2xx_and_410__tried_again(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock, status: int
) -> None:
    receiver.answers(Response(status=status, headers={"Location": receiver.url}))
    event = happen()

    work()

    delivery = delivery_of(event)
    assert (delivery.status, attempts(delivery)) == (DeliveryStatus.PENDING, [(status, "")])
    assert len(receiver.received) == 1


def test_delivery__connection_closed__tried_again(db: None, clock: Clock) -> None:
    with raw_receiver(lambda _connection, _over: None) as url:
        services.create_endpoint(url=url, actor=ANNA)
        delivery = delivery_of(happen())
        work()

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.PENDING
    assert attempts(delivery) == [(None, "RemoteDisconnected: Remote end closed connection without response")]


@pytest.mark.parametrize("as_date", [False, True])
def test_delivery__retry_after__waits_as_long_as_asked(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock, as_date: bool
) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=20)
    receiver.answers(
        Response(status=429, headers={"Retry-After": http_date(moment.timestamp()) if as_date else "1200"})
    )
    event = happen()

    work()

    assert delivery_of(event).next_attempt_at == moment


def test_delivery__never_taken__dead_after_about_three_days(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(500)
    started_at, delivery = datetime.now(UTC), delivery_of(happen())

    work()
    for _ in BACK_OFF_S:
        work_when_due(clock, delivery)

    assert (delivery.status, delivery.dead_reason) == (DeliveryStatus.DEAD, DeadReason.RETRIES_USED_UP)
    assert delivery.next_attempt_at is None
    assert len(receiver.received) == len(attempts(delivery)) == len(BACK_OFF_S) + 1
    assert timedelta(days=3) * 0.89 < datetime.now(UTC) - started_at < timedelta(days=3) * 1.1
    clock.shift(timedelta(days=30))
    assert work() == 0


def test_endpoint__takes_nothing_for_a_whole_schedule__disabled_and_says_since_when(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(500)
    delivery = delivery_of(happen())
    work()
    for _ in BACK_OFF_S[:-1]:
        work_when_due(clock, delivery)
    clock.shift(BACK_OFF_S[-1] * 1.1)
    waiting = delivery_of(happen())

    work()

    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "took nothing since 2026-03-01 12:00 UTC, at last: HTTP 500"
    waiting.refresh_from_db()
    assert (waiting.status, waiting.dead_reason) == (DeliveryStatus.DEAD, DeadReason.ENDPOINT_DISABLED)
    assert waiting.log.count() == 0


def test_endpoint__takes_others_while_one_delivery_dies__stays_enabled(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(500)
    delivery = delivery_of(happen())
    work()
    for _ in BACK_OFF_S[:-1]:
        work_when_due(clock, delivery)
    clock.shift(1)
    receiver.answers(204, 500)
    happen()
    work()

    work_when_due(clock, delivery)

    endpoint.refresh_from_db()
    assert (delivery.status, endpoint.disabled_at) == (DeliveryStatus.DEAD, None)


def test_endpoint__health__of_its_last_attempts(endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock) -> None:
    receiver.answers(204, 500, 500, 204)
    seen = []

    for minute in range(4):
        happen()
        Delivery.objects.filter(event__sequence__lte=minute).update(
            status=DeliveryStatus.DELIVERED, next_attempt_at=None
        )
        work()
        endpoint.refresh_from_db()
        seen.append((endpoint.consecutive_failures, endpoint.failing_since))
        clock.shift(60)

    assert seen == [(0, None), (1, at(minute=1)), (2, at(minute=1)), (0, None)]
    assert (endpoint.last_success_at, endpoint.last_failure_at) == (at(minute=3), at(minute=2))


def test_delivery__410__endpoint_disabled_and_all_that_was_pending_is_dead(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(410)
    first, second = happen(), happen()

    assert work() == 1

    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "answered 410 Gone"
    for event in (first, second):
        delivery = delivery_of(event)
        assert (delivery.status, delivery.dead_reason) == (DeliveryStatus.DEAD, DeadReason.ENDPOINT_GONE)
    assert len(receiver.received) == 1
    assert attempts(delivery_of(first)) == [(410, "")]
    assert not Delivery.objects.filter(event=happen()).exists()


def test_delivery__endpoint_disabled_while_the_event_was_recorded__dead_without_an_attempt(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    delivery = delivery_of(happen())
    WebhookEndpoint.objects.update(disabled_at=datetime.now(UTC))

    work()

    delivery.refresh_from_db()
    assert (delivery.status, delivery.dead_reason) == (DeliveryStatus.DEAD, DeadReason.ENDPOINT_DISABLED)
    assert receiver.received == []


def test_delivery__disabled_while_an_attempt_is_under_way__a_failure_changes_nothing_more(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(500)
    claimed = sender.claim(delivery_of(happen()).pk)
    assert claimed is not None
    sent = sender.send(claimed)
    services.disable_endpoint(endpoint_id=endpoint.id, actor=ANNA)

    sender.settle(claimed, sent)

    claimed.refresh_from_db()
    assert (claimed.status, claimed.dead_reason) == (DeliveryStatus.DEAD, DeadReason.ENDPOINT_DISABLED)
    assert attempts(claimed) == [(500, "")]


class Killed(Exception):
    """Stands for SIGKILL between the POST and what was to be written about it."""


def test_delivery__worker_killed_after_the_post__sent_again_with_the_same_id_after_the_lease(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    event = happen()
    with monkeypatch.context() as patch:
        patch.setattr(sender, "settle", die)
        with pytest.raises(Killed):
            attempt(delivery_of(event).pk)

    clock.shift(sender.LEASE - timedelta(seconds=1))
    assert work() == 0  # the lease still stands
    clock.shift(1)
    assert work() == 1

    first, second = receiver.received
    assert first.id == second.id == event.id
    assert first.body == second.body
    assert second.timestamp - first.timestamp == 60
    assert delivery_of(event).status == DeliveryStatus.DELIVERED


def test_delivery__lease_ran_out_during_the_attempt__the_later_worker_decides(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers(500)
    delivery = delivery_of(happen())
    slow = sender.claim(delivery.pk)
    assert slow is not None
    sent = sender.send(slow)
    clock.shift(sender.LEASE)
    fast = sender.claim(delivery.pk)
    assert fast is not None

    sender.settle(slow, sent)

    delivery.refresh_from_db()
    assert (delivery.lease_until, delivery.attempts) == (fast.lease_until, 0)
    assert attempts(delivery) == [(500, "")]


def test_delivery__acknowledged_after_its_lease__delivered(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock
) -> None:
    delivery = delivery_of(happen())
    slow = sender.claim(delivery.pk)
    assert slow is not None
    clock.shift(sender.LEASE)
    sender.claim(delivery.pk)

    sender.settle(slow, sender.send(slow))

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.DELIVERED


def test_attempt__twice_and_late__sent_once(endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock) -> None:
    delivery = delivery_of(happen())

    work()
    attempt(delivery.pk)
    clock.shift(timedelta(days=1))
    attempt(delivery.pk)

    assert len(receiver.received) == 1


@pytest.mark.parametrize("earlier", [DeliveryStatus.DELIVERED, DeliveryStatus.DEAD])
def test_replay__sent_once_more_with_the_same_id_and_all_retries(
    endpoint: WebhookEndpoint, receiver: Receiver, clock: Clock, earlier: DeliveryStatus
) -> None:
    receiver.answers(204 if earlier == DeliveryStatus.DELIVERED else 500)
    delivery = delivery_of(happen())
    work()
    while earlier == DeliveryStatus.DEAD and delivery.status != earlier:
        work_when_due(clock, delivery)
    services.enable_endpoint(endpoint_id=endpoint.id, actor=ANNA)
    before = delivery.log.count()
    receiver.answers(500, 200)

    services.replay(endpoint_id=endpoint.id, delivery_id=delivery.pk)
    work()
    work_when_due(clock, delivery)

    assert delivery.status == DeliveryStatus.DELIVERED
    assert attempts(delivery)[before:] == [(500, ""), (200, "")]
    assert {received.id for received in receiver.received} == {Event.objects.get().id}
    assert list(delivery.log.values_list("number", flat=True)) == list(range(1, before + 3))


def test_attempt_log__an_error_of_any_length_and_kind__fits(endpoint: WebhookEndpoint, clock: Clock) -> None:
    with raw_receiver(lambda connection, _over: connection.sendall(b"\x00" * 1000 + b"\r\n\r\n")) as url:
        WebhookEndpoint.objects.update(url=url)
        delivery = delivery_of(happen())
        work()

    assert DeliveryAttempt.objects.get(delivery=delivery).error.startswith("BadStatusLine")
