"""Who spends ten times their typical day, already during the day: a user, feature, environment or prompt?

Only who spent more than SPEND_ANOMALY_FLOOR today is looked at, and of these the MOST_LOOKED_AT that spent most: what a
check costs does not grow with the users' past.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from common.clock import now
from observability.core.anomalies import LEAST_DAYS, Anomaly, anomaly_of
from observability.core.times import midnight
from observability.models import Alert, AlertKind, Dimension, Severity
from observability.models.budgets import BUDGETED
from observability.representation import dollars, named
from observability.selectors.spenders import days_of, spenders_over, spent_on, typical_day_of_others
from observability.services import alerts
from observability.watching import slots

MOST_LOOKED_AT = 200  # spenders of a dimension
LOOKS_BACK = timedelta(days=28)
OTHERS_LOOK_BACK = timedelta(days=7)
PARTS_SHOWN = 3  # of prompts and models


def check() -> None:
    """Fire what holds and resolve what does not any more."""
    at = now()
    open_already = alerts.open_causes(AlertKind.SPEND_ANOMALY)
    held: set[str] = set()
    for dimension in BUDGETED:
        held |= _check(dimension, at, open_already)
    for cause in sorted(open_already - held):
        alerts.resolve(cause=cause)


def anomalies(dimension: str, at: datetime) -> dict[str, Anomaly]:
    """By value, those that spent most first."""
    today, floor = midnight(at.date()), settings.SPEND_ANOMALY_FLOOR
    most = spenders_over(dimension, today, at, least=floor, full=floor, limit=MOST_LOOKED_AT).most
    days = days_of(dimension, today - LOOKS_BACK, today, [value for value, _ in most])
    newcomers = [value for value in days if len(days[value]) < LEAST_DAYS]
    others = typical_day_of_others(dimension, today - OTHERS_LOOK_BACK, today, newcomers) if newcomers else None
    judged = ((value, anomaly_of(usd, [*days[value].values()], others=others, floor=floor)) for value, usd in most)
    return {value: found for value, found in judged if found}


def _check(dimension: str, at: datetime, open_already: set[str]) -> set[str]:
    """The causes that hold."""
    found = anomalies(dimension, at)
    causes = {_cause(dimension, value): value for value in found}
    own = slots.chosen(list(causes), open_already=open_already)
    parts = _parts(dimension, at, {cause: causes[cause] for cause in own}, found)
    for cause in sorted(own):
        value = causes[cause]
        _fire(dimension, cause, value, found[value], parts[cause])
    rest = len(found) - len(own)
    if not rest:
        return own
    cause = _cause(dimension, "")
    summary = f"{rest} more {dimension}{'' if rest == 1 else 's'} spent ten times their typical day today."
    data = {"dimension": dimension, "more": rest}
    alerts.fire(kind=AlertKind.SPEND_ANOMALY, cause=cause, severity=Severity.WARNING, summary=summary, data=data)
    return {*own, cause}


def _fire(dimension: str, cause: str, value: str, found: Anomaly, parts: Mapping[str, Any]) -> None:
    whose = "its typical day" if found.own else f"a typical day of other {dimension}s"
    most = parts["by"][0] if parts["by"] else None
    mostly = f", most of it by {most['prompt'] or 'no prompt'} on {most['model'] or 'no model'}" if most else ""
    alerts.fire(
        kind=AlertKind.SPEND_ANOMALY,
        cause=cause,
        severity=Severity.WARNING,
        summary=(
            f"{dimension} {named(dimension, value)} has spent {dollars(found.spent)} today, {found.times:.0f} times "
            f"{whose} of {dollars(found.typical)}{mostly}."
        ),
        data={
            "dimension": dimension,
            "value": named(dimension, value),
            "spent_usd": _plain(found.spent),
            "typical_usd": _plain(found.typical),
            "typical_of": "its own days" if found.own else f"other {dimension}s' days",
            **parts,
        },
        prompt=value if dimension == Dimension.PROMPT else "",
    )


def _parts(
    dimension: str, at: datetime, causes: Mapping[str, str], found: Mapping[str, Anomaly]
) -> dict[str, dict[str, Any]]:
    """By cause, on what it was spent. That takes a reading of all calls of today, and so is done once for an anomaly,
    and again when it has doubled."""
    known = {
        cause: kept
        for cause, kept in _told_before(causes)
        if found[causes[cause]].spent < 2 * Decimal(kept["by_of_usd"])
    }
    new = {cause: value for cause, value in causes.items() if cause not in known}
    spent = spent_on(dimension, midnight(at.date()), new.values(), PARTS_SHOWN) if new else {}
    return known | {
        cause: {
            "by": [{"prompt": prompt, "model": model, "usd": _plain(usd)} for prompt, model, usd in spent[value]],
            "by_of_usd": _plain(found[value].spent),
        }
        for cause, value in new.items()
    }


def _told_before(causes: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    open_alerts = Alert.objects.filter(cause__in=list(causes), resolved_at__isnull=True)
    rows = open_alerts.values_list("cause", "data")
    return [(cause, {name: data[name] for name in ("by", "by_of_usd")}) for cause, data in rows if "by_of_usd" in data]


def _cause(dimension: str, value: str) -> str:
    return f"spend_anomaly:{dimension}:{named(dimension, value)}"


def _plain(usd: Decimal) -> str:
    return f"{round(usd, 6).normalize():f}"
