"""When is somebody told of an alert, and when not?"""

import math
from datetime import timedelta

import pytest
import time_machine

from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from observability.models import Alert, AlertKind, Severity
from observability.services import alerts
from registry import events
from registry.models import AuditEntry, Event
from registry.reach import Reach
from tests.alerts import told, walk
from tests.make import ANNA

pytestmark = pytest.mark.django_db

CAUSE = "baseline:order-extractor:production:faithfulness"


def fire(cause: str = CAUSE, severity: Severity = Severity.WARNING, now: float = 0.87) -> Alert:
    return alerts.fire(
        kind=AlertKind.BASELINE,
        cause=cause,
        severity=severity,
        summary=f"faithfulness of order-extractor (production) fell from 0.94 to {now}",
        data={"now": now, "baseline": 0.94},
        prompt="order-extractor",
        label="production",
    )


def test_alert__walked_through_its_life__one_notice_each() -> None:
    holds = {"it": True}

    def check() -> None:
        if holds["it"]:
            fire()
        else:
            alerts.resolve(cause=CAUSE)

    alert = walk(kind=AlertKind.BASELINE, begin=lambda: None, check=check, end=lambda: holds.update(it=False))

    assert told() == ["alert.fired", "alert.renotified", "alert.silenced", "alert.resolved"]
    assert alert.notices == 2


def test_fire__again_with_other_numbers__one_alert_with_the_newest_and_one_notice() -> None:
    first = fire(now=0.87)

    again = fire(now=0.85)

    assert (again.pk, again.data["now"], told()) == (first.pk, 0.85, ["alert.fired"])


def test_fire__warning_becomes_critical__told_at_once() -> None:
    fire(severity=Severity.WARNING)

    fire(severity=Severity.CRITICAL)
    fire(severity=Severity.CRITICAL)

    assert told() == ["alert.fired", "alert.fired"]


def test_fire__between_warning_and_critical_all_night__told_once_an_interval() -> None:
    start = now()

    for minute in range(0, 24 * 60, 10):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            fire(severity=Severity.CRITICAL if minute % 20 else Severity.WARNING)

    assert told().count("alert.renotified") <= 6
    assert told().count("alert.fired") <= 4  # it is critical soon after a notice that called it a warning


def test_fire__comes_back_as_critical__told_at_once_and_since_when_stays() -> None:
    first = fire(severity=Severity.WARNING)
    alerts.resolve(cause=CAUSE)

    back = fire(severity=Severity.CRITICAL)

    assert told() == ["alert.fired", "alert.resolved", "alert.fired"]
    assert (back.fired_at, back.resolved_at) == (first.fired_at, None)
    assert back.reopened_at is not None


def test_fire__a_number_that_json_has_not__null() -> None:
    fire(now=math.nan)

    assert Alert.objects.get().data["now"] is None
    assert Event.objects.get().data["alert"]["details"]["now"] is None


def test_acknowledged_while_silenced__the_silence_ends__told_only_that_it_grew() -> None:
    first = fire()
    alerts.silence(alert_id=first.pk, until=now() + timedelta(days=1), reason="a move", actor=ANNA)
    alerts.resolve(cause=CAUSE)
    with time_machine.travel(now() + timedelta(hours=5), tick=False):
        alerts.acknowledge(alert_id=fire().pk, actor=ANNA)
    before = told()

    with time_machine.travel(now() + timedelta(hours=25), tick=False):
        fire()
        quiet = told()
        fire(severity=Severity.CRITICAL)

    assert quiet == before
    assert told() == [*before, "alert.fired"]


def test_fire__resolved_within_the_interval_and_back__reopened_without_a_word() -> None:
    first = fire()
    alerts.resolve(cause=CAUSE)

    back = fire()
    alerts.resolve(cause=CAUSE)

    assert back.pk == first.pk
    assert told() == ["alert.fired", "alert.resolved"]


def test_fire__acknowledged_over_and_back__told_again_when_the_interval_is_over() -> None:
    alerts.acknowledge(alert_id=fire().pk, actor=ANNA)
    alerts.resolve(cause=CAUSE)

    back = fire()
    with time_machine.travel(now() + timedelta(hours=5), tick=False):
        fire()

    assert (back.acknowledged_at, back.acknowledged_by) == (None, "")
    assert told() == ["alert.fired", "alert.acknowledged", "alert.resolved", "alert.renotified"]


def test_fire__flaps_for_a_day__one_notice_an_interval() -> None:
    start = now()

    for minute in range(0, 24 * 60, 10):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            fire()
        with time_machine.travel(start + timedelta(minutes=minute + 5), tick=False):
            alerts.resolve(cause=CAUSE)

    assert sum(type_ in {"alert.fired", "alert.renotified"} for type_ in told()) == 6


def test_fire__after_the_interval__a_new_alert_and_a_notice() -> None:
    first = fire()
    alerts.resolve(cause=CAUSE)

    with time_machine.travel(now() + timedelta(hours=5), tick=False):
        second = fire()

    assert second.pk != first.pk
    assert told() == ["alert.fired", "alert.resolved", "alert.fired"]


def test_acknowledged__holds_on__not_told_again_but_when_it_grows() -> None:
    alert = fire()
    alerts.acknowledge(alert_id=alert.pk, actor=ANNA, reason="the provider is told")

    with time_machine.travel(now() + timedelta(hours=5), tick=False):
        fire()
        quiet = told()
        fire(severity=Severity.CRITICAL)

    assert quiet == ["alert.fired", "alert.acknowledged"]
    assert told() == [*quiet, "alert.fired"]


def test_acknowledge__twice_or_too_late__conflict() -> None:
    alert = fire()
    alerts.acknowledge(alert_id=alert.pk, actor=ANNA)

    with pytest.raises(Conflict, match="user:anna has acknowledged"):
        alerts.acknowledge(alert_id=alert.pk, actor=ANNA)
    alerts.resolve(cause=CAUSE)
    with pytest.raises(Conflict, match="is over since"):
        alerts.acknowledge(alert_id=alert.pk, actor=ANNA)


def test_silenced_before_it_is_told__its_end_is_not_told_either() -> None:
    silenced = fire()
    alerts.silence(alert_id=silenced.pk, until=now() + timedelta(days=1), reason="a move", actor=ANNA)
    alerts.resolve(cause=CAUSE)

    with time_machine.travel(now() + timedelta(hours=5), tick=False):
        fire()
        alerts.resolve(cause=CAUSE)

    assert told() == ["alert.fired", "alert.silenced", "alert.resolved"]


def test_silence__over__told_again() -> None:
    alert = fire()
    alerts.silence(alert_id=alert.pk, until=now() + timedelta(hours=6), reason="a move", actor=ANNA)

    with time_machine.travel(now() + timedelta(hours=7), tick=False):
        fire()

    assert told() == ["alert.fired", "alert.silenced", "alert.renotified"]


def test_unsilence__told_again_at_once() -> None:
    alert = fire()
    alerts.silence(alert_id=alert.pk, until=now() + timedelta(days=3), reason="a move", actor=ANNA)

    alerts.unsilence(alert_id=alert.pk, actor=ANNA)
    with time_machine.travel(now() + timedelta(hours=5), tick=False):
        fire()

    assert told() == ["alert.fired", "alert.silenced", "alert.unsilenced", "alert.renotified"]
    with pytest.raises(Conflict, match="not silenced"):
        alerts.unsilence(alert_id=alert.pk, actor=ANNA)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=31)])
def test_silence__ends_now_or_too_late__refused_and_nothing_written(ahead: timedelta) -> None:
    alert = fire()

    with pytest.raises(Invalid, match="within the next 30 days"):
        alerts.silence(alert_id=alert.pk, until=now() + ahead, reason="", actor=ANNA)

    assert told() == ["alert.fired"]


def test_acts_on_an_unknown_alert__not_found() -> None:
    with pytest.raises(NotFound, match="alr_0"):
        alerts.acknowledge(alert_id="alr_0", actor=ANNA)


def test_resolve__nothing_open__nothing() -> None:
    assert alerts.resolve(cause=CAUSE) is None
    assert told() == []


def test_open_causes__of_the_kind_that_are_open_and_begin_so() -> None:
    fire("baseline:a:production:error_rate")
    fire("baseline:A:production:error_rate")
    fire("baseline:b:production:error_rate")
    fire("baseline:a:production:latency")
    alerts.resolve(cause="baseline:a:production:latency")

    found = alerts.open_causes(AlertKind.BASELINE, "baseline:a:")

    assert found == {"baseline:a:production:error_rate"}


def test_events__of_a_key_that_may_use_another_label__none_of_the_alert() -> None:
    fire()

    production = events.after(None, limit=10, reach=Reach(labels=frozenset({"production"})))
    staging = events.after(None, limit=10, reach=Reach(labels=frozenset({"staging"})))

    assert [event.type for event in production.events] == ["alert.fired"]
    assert staging.events == []


def test_acts__recorded_with_who_and_why() -> None:
    alert = fire()

    alerts.acknowledge(alert_id=alert.pk, actor=ANNA, reason="on it")

    entry = AuditEntry.objects.get(action="alert.acknowledged")
    assert (entry.target, entry.actor, entry.reason) == (f"alerts/{alert.pk}", "user:anna", "on it")
    assert Event.objects.get(type="alert.acknowledged").data["reason"] == "on it"
