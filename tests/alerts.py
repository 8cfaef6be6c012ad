"""The life of an alert, walked through by the real check of its kind: fired, told again, silenced, resolved."""

from collections.abc import Callable
from datetime import datetime, timedelta

import time_machine
from django.conf import settings

from common.clock import now
from observability.models import Alert, AlertKind
from observability.services import alerts
from registry.models import Event
from tests.make import ANNA

Work = Callable[[], object]


def told() -> list[str]:
    """The types of all notices of alerts, in their order."""
    notices = Event.objects.filter(type__startswith="alert.").order_by("sequence")
    return list(notices.values_list("type", flat=True))


def walk(*, kind: AlertKind, begin: Work, check: Work, end: Work) -> Alert:
    """Walk one alert of a kind through its life; answers the alert, resolved.

    begin: makes the cause true at the present moment, however long from now it has to hold. check: what the watch task
    calls. end: makes it untrue, again at the present moment. The clock is moved on between them, so begin, check and
    end have to go by common.clock.now.
    """
    begin()
    assert _checked(check, now()) == ["alert.fired"]
    alert = Alert.objects.get(kind=kind, resolved_at=None)
    assert alert.summary
    assert alert.data
    assert alert.cause.startswith(f"{kind}:")
    assert _checked(check, now() + timedelta(minutes=1)) == []  # the same cause, and nothing more is told

    later = now() + settings.ALERT_RENOTIFY + timedelta(minutes=2)
    begin_again = _at(later, begin)
    assert begin_again + _checked(check, later) == ["alert.renotified"]

    with time_machine.travel(later, tick=False):
        alerts.silence(alert_id=alert.pk, until=later + 2 * settings.ALERT_RENOTIFY, reason="known", actor=ANNA)
    silenced = later + settings.ALERT_RENOTIFY + timedelta(minutes=2)
    assert _at(silenced, begin) + _checked(check, silenced) == []

    over = silenced + timedelta(minutes=3)
    assert _at(over, end) + _checked(check, over) == ["alert.resolved"]
    alert.refresh_from_db()
    assert alert.resolved_at is not None
    return alert


def _at(moment: datetime, work: Work) -> list[str]:
    before = len(told())
    with time_machine.travel(moment, tick=False):
        work()
    return told()[before:]


def _checked(check: Work, moment: datetime) -> list[str]:
    """What the check tells at that moment."""
    return _at(moment, check)
