"""Events go after their time with all that was delivered of them, but none that is awaited and none from the middle."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from common.clock import now
from observability import retention
from registry.models import Event
from rollout.models import Delivery, DeliveryAttempt, DeliveryStatus
from rollout.webhooks import services
from rollout.webhooks.fan_out import deliver_new_events
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)


@pytest.fixture
def delivered() -> None:
    """Events 1 to 6, 500 days old but for the last, each delivered to two endpoints in one attempt."""
    for number in (1, 2):
        services.create_endpoint(url=f"https://hooks.example.org/{number}", actor=make.ANNA)
    prompt = make.prompt()
    for number in range(6):
        make.version(prompt, template=f"Way {number}")
    Event.objects.filter(sequence__lt=6).update(occurred_at=now() - timedelta(days=500))
    deliver_new_events()
    Delivery.objects.update(status=DeliveryStatus.DELIVERED, next_attempt_at=None)
    for delivery in Delivery.objects.all():
        DeliveryAttempt.objects.create(delivery=delivery, number=1, attempted_at=now(), duration_ms=7, http_status=204)


def kept() -> list[int]:
    return list(Event.objects.order_by("sequence").values_list("sequence", flat=True))


@pytest.mark.usefixtures("delivered")
def test_prune__old_events__gone_with_deliveries_and_attempts() -> None:
    deleted, is_all = retention.prune()

    assert is_all
    assert (deleted["events"], deleted["deliveries"]) == (5, 10)
    assert kept() == [6]
    assert set(Delivery.objects.values_list("event", flat=True)) == {6}
    assert DeliveryAttempt.objects.count() == 2


@pytest.mark.usefixtures("delivered")
def test_prune__one_is_still_delivered__stays_with_all_after_it() -> None:
    Delivery.objects.filter(event=3).update(status=DeliveryStatus.PENDING, next_attempt_at=now())

    retention.prune()

    assert kept() == [3, 4, 5, 6]
    assert Delivery.objects.count() == DeliveryAttempt.objects.count() == 8


@pytest.mark.usefixtures("delivered")
def test_prune__delivery_replayed_after_its_key_was_looked_up__stays(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Delivery.objects.filter(event=1).earliest("pk")
    delete = retention._still

    def replay_before(kind: retention.Kind, keys: Sequence[int | str]) -> Sequence[int | str]:
        if first.pk in keys:
            services.replay(endpoint_id=first.endpoint_id, delivery_id=first.pk, actor=make.ANNA)
        return delete(kind, keys)

    monkeypatch.setattr(retention, "_still", replay_before)
    retention.prune()

    assert Delivery.objects.get(pk=first.pk).status == DeliveryStatus.PENDING
    assert kept() == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("delivered")
def test_prune__event_that_has_no_deliveries_yet__stays(monkeypatch: pytest.MonkeyPatch) -> None:
    make.version(make.prompt("greeter"))
    Event.objects.update(occurred_at=now() - timedelta(days=500))

    assert retention.count()["events"] == 6
    retention.prune()

    assert kept() == [7]


@pytest.mark.usefixtures("delivered")
def test_prune__clock_was_put_back__nothing_from_the_middle() -> None:
    Event.objects.filter(sequence=2).update(occurred_at=now())

    retention.prune()

    assert kept() == [2, 3, 4, 5, 6]
