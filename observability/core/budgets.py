"""Of soft budgets: when a period of spending begins and ends, and what it will come to.

Spending has a shape: nights and weekends are cheap. So a forecast takes what was spent up to now for the share of the
period's spending that was spent by then in the shape of the last week; by the clock alone where there was no such week.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from observability.core.times import midnight

HOUR = timedelta(hours=1)
HOURS_OF_A_WEEK = 7 * 24
WARN_AT = Decimal("0.8")  # of the budget
FORESEEN_FROM = 0.02  # of the period's spending: less than that tells nothing of the rest


class Period(StrEnum):
    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` to before `until`, both midnight, UTC."""

    since: datetime
    until: datetime


def span_of(period: str, at: datetime) -> Span:
    """The day or month that the moment is in."""
    since = midnight(at.date())
    if period == Period.DAILY:
        return Span(since, since + timedelta(days=1))
    first = since.replace(day=1)
    return Span(first, (first + timedelta(days=32)).replace(day=1))


def shape_of(spent: Mapping[datetime, Decimal], since: datetime) -> Sequence[float] | None:
    """The weight of each hour of the week from Monday on, by what was spent in the week from `since`, a midnight.

    spent: by hour. None where that week has a day without any spending, and so no shape to rely on.
    """
    weights, days = [0.0] * HOURS_OF_A_WEEK, set()
    for hour, usd in spent.items():
        if since <= hour < since + timedelta(days=7) and usd > 0:
            weights[_place(hour)] += float(usd)
            days.add(hour.date())
    return weights if len(days) == 7 else None


def forecast(spent: Decimal, span: Span, at: datetime, shape: Sequence[float] | None) -> Decimal | None:
    """What will have been spent by the end of the span; None while too little of it is over to tell."""
    share = _share_by(span, at, shape or [1.0] * HOURS_OF_A_WEEK)
    return spent / Decimal(share) if share >= FORESEEN_FROM else None


def _share_by(span: Span, at: datetime, shape: Sequence[float]) -> float:
    """The share of the span's weight that is before the moment."""
    whole = before = 0.0
    hour = span.since
    while hour < span.until:
        weight = shape[_place(hour)]
        whole += weight
        before += weight * min(max((at - hour) / HOUR, 0.0), 1.0)
        hour += HOUR
    return before / whole


def _place(hour: datetime) -> int:
    return hour.weekday() * 24 + hour.hour
