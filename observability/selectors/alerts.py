"""Which alerts are there, and which of their causes are silenced?"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, DateTimeField, OuterRef, Q, QuerySet, Subquery

from common.clock import now
from common.errors import NotFound
from observability.models import Alert, Silence
from registry.reach import EVERYTHING, Reach

OPEN, RESOLVED, ALL = "open", "resolved", "all"


def alerts(*, state: str = OPEN, reach: Reach = EVERYTHING, **wanted: str) -> QuerySet[Alert]:
    """Newest first, each with `silenced_until`, None unless its cause is silenced now. wanted: kind, prompt, label."""
    silenced = Silence.objects.filter(pk=OuterRef("cause"), until__gt=now()).values("until")
    found = Alert.objects.filter(reach.rows(prompt="prompt", label="label"), **wanted)
    if state != ALL:
        found = found.filter(resolved_at__isnull=state == OPEN)
    return found.annotate(silenced_until=Subquery(silenced, output_field=DateTimeField()))


def find_alert(alert_id: str, reach: Reach = EVERYTHING) -> Alert:
    """Raises NotFound unknown_alert, also for one that was deleted or is out of reach."""
    alert = alerts(state=ALL, reach=reach).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound("unknown_alert", f"There is no alert {alert_id}")
    return alert


def held_between(prompt: str, since: datetime, until: datetime) -> QuerySet[Alert]:
    """The prompt's that held at any moment of a time, the newest first."""
    still_held = Q(resolved_at=None) | Q(resolved_at__gte=since)
    return Alert.objects.filter(still_held, prompt=prompt, fired_at__lt=until).order_by("-fired_at")


def open_by_kind() -> Iterator[tuple[tuple[str, str], int]]:
    """((kind, severity), how many of them are open), of those that there are."""
    rows = Alert.objects.filter(resolved_at=None).order_by().values_list("kind", "severity").annotate(n=Count("pk"))
    return (((kind, severity), n) for kind, severity, n in rows)


def alert_json(alert: Alert) -> dict[str, Any]:
    """alert: of `alerts` or `find_alert`."""
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "cause": alert.cause,
        "severity": alert.severity,
        "prompt": alert.prompt or None,
        "label": alert.label or None,
        "summary": alert.summary,
        "details": alert.data,
        "fired_at": alert.fired_at,
        "seen_at": alert.seen_at,
        "notified_at": alert.notified_at,
        "notices": alert.notices,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by or None,
        "silenced_until": alert.silenced_until,  # type: ignore[attr-defined]  # annotated
        "resolved_at": alert.resolved_at,
    }
