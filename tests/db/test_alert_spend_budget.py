"""Soft budgets that are spent: the alert's life through its real check, and that many spenders make no flood."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine

from common.clock import now
from observability import rollups
from observability.models import Alert, AlertKind, Severity, SpendBudget
from observability.privacy import user_hash
from observability.services.budgets import add_budget, change_budget, remove_budget
from observability.watching import budgets
from tests import alerts, observed, traces
from tests.make import ANNA

NOW = "2026-01-31T12:30:00Z"

pytestmark = pytest.mark.django_db
numbers = iter(range(1, 10**6))


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def spend(usd: float, user: str = "anna", age_s: float = 10.0, **attributes: str) -> None:
    told = traces.CHAT | {"user.id": user, "gen_ai.usage.cost": usd} | attributes
    observed.ingest(traces.span(told, number=next(numbers), age_s=age_s))


def budget(usd: str, dimension: str = "user", value: str = "", period: str = "daily") -> SpendBudget:
    return add_budget(dimension=dimension, value=value, period=period, usd=Decimal(usd), actor=ANNA)


def open_alerts() -> dict[str, Alert]:
    return {alert.cause: alert for alert in Alert.objects.filter(resolved_at=None)}


def test_budget__fired_told_again_silenced_and_resolved_when_it_is_raised() -> None:
    limit = budget("10", "environment", "production")

    alert = alerts.walk(
        kind=AlertKind.SPEND_BUDGET,
        begin=lambda: spend(10, **{"deployment.environment.name": "production"}),
        check=budgets.check,
        end=lambda: change_budget(budget_id=limit.pk, usd=Decimal(1000), actor=ANNA),
    )

    assert alert.cause == "spend_budget:environment:production:daily"
    assert alert.data["budget_usd"] == "10"


def test_budget__80_percent_then_all__a_warning_that_becomes_critical() -> None:
    budget("10", value=user_hash("anna"))
    spend(7.9)
    budgets.check()
    assert open_alerts() == {}

    spend(0.1)
    budgets.check()

    (warning,) = open_alerts().values()
    assert (warning.severity, warning.data["spent_usd"], warning.data["share"]) == (Severity.WARNING, "8", 0.8)
    spend(2)
    budgets.check()
    (critical,) = open_alerts().values()
    assert (critical.pk, critical.severity) == (warning.pk, Severity.CRITICAL)


def test_budget__new_day__resolved(clock: time_machine.Traveller) -> None:
    budget("10")
    spend(11)
    budgets.check()
    assert len(open_alerts()) == 1

    clock.move_to(now() + timedelta(days=1))
    budgets.check()

    assert open_alerts() == {}


def test_budget__of_a_user__names_the_beginning_of_the_hash_only() -> None:
    budget("1")
    spend(2)

    budgets.check()

    (alert,) = open_alerts().values()
    whole = user_hash("anna")
    assert alert.cause == f"spend_budget:user:{whole[:12]}:daily"
    assert whole not in f"{alert.summary} {alert.data}"
    assert alert.data["value"] == whole[:12]


def test_budget__each_user__a_few_alerts_and_the_rest_as_a_number() -> None:
    budget("1")
    for number in range(12):
        spend(0.9 if number < 4 else 2 + number, f"user-{number}")

    budgets.check()

    rest = open_alerts().pop("spend_budget:user::daily")
    assert len(open_alerts()) == 5 + 1
    assert (rest.severity, rest.data["more"], rest.data["more_full"]) == (Severity.CRITICAL, 7, 3)


def test_budget__overtaken_by_others__keeps_its_alert() -> None:
    budget("1")
    spend(1, "the-first")
    budgets.check()

    for number in range(8):
        spend(10, f"user-{number}")
    budgets.check()

    assert f"spend_budget:user:{user_hash('the-first')[:12]}:daily" in open_alerts()


def test_budget__one_of_its_own__is_not_of_each_any_more() -> None:
    budget("1")
    budget("100", value=user_hash("anna"))
    spend(5)

    budgets.check()

    assert open_alerts() == {}


def test_budget__monthly__days_that_are_rolled_up_and_calls_together(clock: time_machine.Traveller) -> None:
    clock.move_to("2026-01-03T12:30:00Z")
    spend(3)
    clock.move_to("2026-01-04T12:30:00Z")
    spend(3)
    clock.move_to("2026-01-05T12:30:00Z")
    rollups.roll_up()
    spend(3)
    budget("10", period="monthly")

    budgets.check()

    (alert,) = open_alerts().values()
    assert alert.data["spent_usd"] == "9"
    assert alert.data["ends_at"] == "2026-02-01T00:00:00Z"


def test_budget__month_of_each_between_its_looks__stays_open(clock: time_machine.Traveller) -> None:
    budget("1", period="monthly")
    spend(2)
    budgets.check()

    clock.move_to("2026-01-31T12:33:00Z")
    budgets.check()

    assert len(open_alerts()) == 1


def test_budget__removed__resolved() -> None:
    made = budget("1")
    spend(2)
    budgets.check()

    remove_budget(budget_id=made.pk, actor=ANNA)
    budgets.check()

    assert open_alerts() == {}
