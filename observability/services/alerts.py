"""Alerts: fired while their cause holds, told at most once an interval, resolved when it holds no longer.

Who checks something calls `fire` at every check while it is wrong, and `resolve` when it is not. Whether somebody is
told is decided here. A notice is an event, written in the transaction of the change. A cause gives one notice per
SERINUS_ALERT_RENOTIFY and severity: one that comes back within it reopens its last alert without a word, so that what
flaps does not ring all night. Nothing is repeated of an alert that somebody acknowledged, and of a silenced cause
nothing is told at all, but that it is over, to those who heard that it began.

At most one alert of a cause is open, by the database: of two workers that fire it at once one opens it and tells.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from observability.models import Alert, AlertKind, Severity, Silence
from registry import audit, events

logger = logging.getLogger(__name__)

LONGEST_SILENCE = timedelta(days=30)


@transaction.atomic
def fire(
    *,
    kind: AlertKind,
    cause: str,
    severity: Severity,
    summary: str,
    data: Mapping[str, Any],
    prompt: str = "",
    label: str = "",
) -> Alert:
    """Say that the cause holds; answers its open alert. To be called at every check for as long as it does.

    The first call opens the alert, later ones renew what it says. That a warning has become critical is told at once,
    but not again when it only falls back in between.
    """
    alert = _open_alert(cause) or _reopened(cause) or _opened(cause, kind, severity, prompt, label)
    alert.severity, alert.summary, alert.data, alert.seen_at = severity, summary, _plain(data), now()
    type_ = _notice_due(alert)
    if type_:
        alert.notified_at, alert.notified_severity, alert.notices = alert.seen_at, severity, alert.notices + 1
    alert.save(update_fields=["severity", "summary", "data", "seen_at", "notified_at", "notified_severity", "notices"])
    if type_:
        _tell(type_, alert)
    return alert


@transaction.atomic
def resolve(*, cause: str) -> Alert | None:
    """Say that the cause does not hold any more; None where no alert of it is open."""
    alert = _open_alert(cause)
    if alert is None:
        return None
    alert.resolved_at = now()
    alert.save(update_fields=["resolved_at"])
    if was_told(alert):
        _tell("alert.resolved", alert)
    return alert


def open_causes(kind: AlertKind, prefix: str = "") -> set[str]:
    """The causes of a kind that have an open alert, so that a check can resolve those that it finds no longer."""
    causes = Alert.objects.filter(kind=kind, resolved_at=None).values_list("cause", flat=True)
    return {cause for cause in causes if cause.startswith(prefix)}  # in SQL SQLite would not regard its case


def was_told(alert: Alert) -> bool:
    """Whether anybody was told of it since it was opened, or opened again."""
    return alert.notified_at is not None and alert.notified_at >= (alert.reopened_at or alert.fired_at)


@transaction.atomic
def acknowledge(*, alert_id: str, actor: Actor, reason: str = "") -> Alert:
    """Say that somebody is at it: no notice of it is repeated. Raises NotFound, Conflict."""
    alert = _locked(alert_id)
    if alert.resolved_at:
        raise Conflict("alert_resolved", f"The alert {alert_id} is over since {alert.resolved_at:%Y-%m-%d %H:%M}")
    if alert.acknowledged_at:
        raise Conflict("alert_acknowledged", f"{alert.acknowledged_by} has acknowledged the alert {alert_id}")
    alert.acknowledged_at, alert.acknowledged_by = now(), str(actor)
    alert.notified_severity = alert.notified_severity or alert.severity  # its event says how grave it is
    alert.save(update_fields=["acknowledged_at", "acknowledged_by", "notified_severity"])
    _tell("alert.acknowledged", alert, actor=str(actor), reason=reason)
    _audit("acknowledged", alert, actor, reason, None, {"acknowledged_by": str(actor)})
    return alert


@transaction.atomic
def silence(*, alert_id: str, until: datetime, reason: str, actor: Actor) -> Silence:
    """Tell nobody of the alert's cause until then, whatever comes of it. Raises NotFound, Invalid."""
    if not now() < until <= now() + LONGEST_SILENCE:
        raise Invalid.field("until", f"expected a time within the next {LONGEST_SILENCE.days} days, got {until}")
    alert = _locked(alert_id)
    before = Silence.objects.select_for_update().filter(pk=alert.cause).first()
    found, _ = Silence.objects.update_or_create(
        cause=alert.cause,
        defaults={"until": until, "reason": reason, "created_at": now(), "created_by": str(actor)},
    )
    _tell("alert.silenced", alert, actor=str(actor), reason=reason, until=until)
    _audit("silenced", alert, actor, reason, {"until": before.until} if before else None, {"until": until})
    return found


@transaction.atomic
def unsilence(*, alert_id: str, actor: Actor, reason: str = "") -> Alert:
    """Tell of the alert's cause again. Raises NotFound, Conflict not_silenced."""
    alert = _locked(alert_id)
    silenced = Silence.objects.select_for_update().filter(pk=alert.cause, until__gt=now()).first()
    if silenced is None:
        raise Conflict("not_silenced", f"The alert {alert_id} is not silenced")
    silenced.delete()
    _tell("alert.unsilenced", alert, actor=str(actor), reason=reason)
    _audit("unsilenced", alert, actor, reason, {"until": silenced.until}, None)
    return alert


def _open_alert(cause: str) -> Alert | None:
    return Alert.objects.select_for_update().filter(cause=cause, resolved_at=None).first()


def _reopened(cause: str) -> Alert | None:
    """The cause's last alert, if it was told of within the interval, open again. Who was at it thinks that it is over:
    it waits for somebody anew."""
    since = now() - settings.ALERT_RENOTIFY
    told = Alert.objects.select_for_update().filter(cause=cause, notified_at__gt=since)
    alert = told.order_by("-fired_at").first()
    if alert is None:
        return None
    if alert.resolved_at:  # else another worker has just opened it again
        alert.reopened_at, alert.resolved_at = now(), None
        alert.acknowledged_at, alert.acknowledged_by = None, ""
        alert.save(update_fields=["reopened_at", "resolved_at", "acknowledged_at", "acknowledged_by"])
    return alert


def _opened(cause: str, kind: AlertKind, severity: Severity, prompt: str, label: str) -> Alert:
    """A new alert, or the one that another worker opened meanwhile."""
    at = now()
    fields = {"kind": kind, "severity": severity, "prompt": prompt, "label": label, "fired_at": at, "seen_at": at}
    try:
        with transaction.atomic():
            return Alert.objects.create(id=new_id("alr"), cause=cause, summary="", **fields)
    except IntegrityError:
        return Alert.objects.select_for_update().get(cause=cause, resolved_at=None)


def _notice_due(alert: Alert) -> str:
    """The type of the event to tell now, or nothing."""
    if Silence.objects.filter(pk=alert.cause, until__gt=now()).exists():
        return ""
    if alert.severity == Severity.CRITICAL and alert.notified_severity == Severity.WARNING:
        return "alert.fired"
    if alert.acknowledged_at:
        return ""
    if alert.notified_at is None:
        return "alert.fired"
    return "alert.renotified" if alert.notified_at <= now() - settings.ALERT_RENOTIFY else ""


def _locked(alert_id: str) -> Alert:
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is None:
        raise NotFound("unknown_alert", f"There is no alert {alert_id}")
    return alert


def _tell(type_: str, alert: Alert, **more: Any) -> None:
    told = {
        "id": alert.pk,
        "kind": alert.kind,
        "cause": alert.cause,
        "severity": alert.severity,
        "label": alert.label,
        "summary": alert.summary,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "notices": alert.notices,
        "url": f"{settings.BASE_URL}/alerts/{alert.pk}",
        "details": alert.data,
    }
    events.record(type=type_, prompt=alert.prompt, data=_plain({"alert": told, **more}))
    fields = {"alert": alert.pk, "kind": alert.kind, "prompt": alert.prompt}
    transaction.on_commit(partial(logger.warning if type_ == "alert.fired" else logger.info, type_, extra=fields))


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back: times and money as text, and null for what JSON has no number for (PostgreSQL refuses
    NaN, and the alert would be lost with it)."""
    plain: dict[str, Any] = json.loads(json.dumps(data, cls=DjangoJSONEncoder), parse_constant=lambda _: None)
    return plain


def _audit(
    act: str, alert: Alert, actor: Actor, reason: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    action, target = f"alert.{act}", f"alerts/{alert.pk}"
    audit.record(action=action, target=target, before=before, after=after, actor=actor, reason=reason)
