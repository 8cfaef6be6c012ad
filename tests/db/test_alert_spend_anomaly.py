"""Who spends ten times their typical day: the alert's life through its real check."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine

from common.clock import now
from observability import rollups
from observability.models import Alert, AlertKind, Call
from observability.privacy import user_hash
from observability.watching import anomalies
from tests import alerts, observed, traces

NOW = datetime.fromisoformat("2026-01-31T12:30:00+00:00")
ONE_DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db
numbers = iter(range(1, 10**6))


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def spend(usd: float, user: str = "anna", **attributes: str) -> None:
    told = traces.CHAT | {"user.id": user, "gen_ai.usage.cost": usd, "gen_ai.response.model": "house-model"}
    observed.ingest(traces.span(told | attributes, number=next(numbers), age_s=10))


def days_of(clock: time_machine.Traveller, usd: float, user: str = "anna", days: int = 4) -> None:
    for age in range(days, 0, -1):
        clock.move_to(NOW - age * ONE_DAY)
        spend(usd, user)
    clock.move_to(NOW)
    rollups.roll_up()


def open_alerts() -> dict[str, Alert]:
    return {alert.cause: alert for alert in Alert.objects.filter(resolved_at=None)}


def of(user: str) -> str:
    return f"spend_anomaly:user:{user_hash(user)[:12]}"


def test_anomaly__fired_told_again_silenced_and_resolved(clock: time_machine.Traveller) -> None:
    days_of(clock, 1)

    alert = alerts.walk(
        kind=AlertKind.SPEND_ANOMALY,
        begin=lambda: spend(20),
        check=anomalies.check,
        end=lambda: Call.objects.filter(started_at__gte=now() - ONE_DAY).delete(),
    )

    assert alert.cause == of("anna")


def test_anomaly__ten_times__says_who_how_much_and_by_what(clock: time_machine.Traveller) -> None:
    days_of(clock, 1)
    spend(9.9)
    anomalies.check()
    assert open_alerts() == {}

    spend(0.2, **{"gen_ai.prompt.name": "order-extractor"})
    anomalies.check()

    alert = open_alerts()[of("anna")]
    assert (alert.data["spent_usd"], alert.data["typical_usd"]) == ("10.1", "1")
    assert alert.data["by"] == [
        {"prompt": None, "model": "house-model", "usd": "9.9"},
        {"prompt": "order-extractor", "model": "house-model", "usd": "0.2"},
    ]
    assert user_hash("anna") not in f"{alert.summary} {alert.data}"


def test_anomaly__under_the_floor__none(clock: time_machine.Traveller) -> None:
    days_of(clock, 0.01)
    spend(4.9)

    anomalies.check()

    assert open_alerts() == {}


def test_anomaly__median_of_days__one_wild_day_before_does_not_hide_it(clock: time_machine.Traveller) -> None:
    days_of(clock, 1, days=3)
    clock.move_to(NOW - 5 * ONE_DAY)
    spend(500)
    clock.move_to(NOW)
    rollups.roll_up()
    spend(16)

    anomalies.check()

    assert open_alerts()[of("anna")].data["typical_usd"] == "1"


@pytest.mark.parametrize(("usd", "found"), [(19, False), (21, True)])
def test_anomaly__newcomer__against_the_others_day(clock: time_machine.Traveller, usd: float, found: bool) -> None:
    days_of(clock, 2, "old-hand", days=5)
    spend(usd, "newcomer")

    anomalies.check()

    assert (of("newcomer") in open_alerts()) is found


def test_anomaly__newcomer_and_nobody_else__none() -> None:
    spend(1000, "newcomer")

    anomalies.check()

    assert open_alerts() == {}


def test_anomaly__new_day__resolved(clock: time_machine.Traveller) -> None:
    days_of(clock, 1)
    spend(20)
    anomalies.check()

    clock.move_to(NOW + ONE_DAY)
    anomalies.check()

    assert open_alerts() == {}


def test_anomaly__many_users__a_few_alerts_and_the_rest_as_a_number(clock: time_machine.Traveller) -> None:
    days_of(clock, 1, "old-hand", days=5)
    for number in range(9):
        spend(20 + number, f"user-{number}")

    anomalies.check()

    of_users = {cause: alert for cause, alert in open_alerts().items() if cause.startswith("spend_anomaly:user:")}
    assert of_users.pop("spend_anomaly:user:").data["more"] == 4
    assert len(of_users) == 5
