"""What calls cost, by user, feature, environment, prompt or model, and by day."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate

from observability.models import Dimension, SpendHour
from observability.selectors.hours import Spending, spending
from observability.selectors.rolled import Range, hours_between
from registry.reach import EVERYTHING, Reach

SUMS = ("calls", "input_tokens", "output_tokens", "cost_usd", "unpriced", "unpriced_tokens")

SpendingByValue = dict[str | None, Spending]


@dataclass(frozen=True, slots=True)
class Spender:
    """A value of the dimension, null for calls that name none. days: those with calls, UTC, in order."""

    value: str | None
    total: Spending
    days: dict[date, Spending]


@dataclass(frozen=True, slots=True)
class Spent:
    """The spenders that cost most, how many more there are, and the sum over all of them."""

    spenders: list[Spender]
    left_out: int
    total: Spending


def spent(*, by: str, since: datetime, until: datetime, limit: int, reach: Reach = EVERYTHING) -> Spent:
    """All calls that started in these hours, embeddings too. reach: of prompts alone, and only with `by` prompt."""
    between = hours_between(since, until)
    live = {hour: spending(hour, by) for hour in between.live}
    totals = {value: sums for value, sums in _totals(between, by, live).items() if reach.sees(value)}
    most = sorted(totals, key=lambda value: (-totals[value].cost_usd, -totals[value].calls, value or ""))
    days = _days(between, by, most[:limit])
    for hour, found in live.items():
        for value in days.keys() & found.keys():
            days[value][hour.date()].add(found[value])
    everything = Spending()
    for sums in totals.values():
        everything.add(sums)
    spenders = [Spender(value, totals[value], dict(sorted(days[value].items()))) for value in most[:limit]]
    return Spent(spenders, len(most) - len(spenders), everything)


def spent_by_value(*, by: str, since: datetime, until: datetime) -> SpendingByValue:
    """Only the sums over the whole range."""
    between = hours_between(since, until)
    return _totals(between, by, {hour: spending(hour, by) for hour in between.live})


def spent_by_day(*, since: datetime, until: datetime) -> dict[date, Spending]:
    """Over all values: every dimension has all calls, and environments are the fewest."""
    between = hours_between(since, until)
    days: defaultdict[date, Spending] = defaultdict(Spending)
    by_day = _stored(between, Dimension.ENVIRONMENT).values_list(TruncDate("hour", tzinfo=UTC))
    for day, *sums in by_day.annotate(**{f"sum_{name}": Sum(name) for name in SUMS}):
        days[day] = Spending(*sums)
    for hour in between.live:
        for of_hour in spending(hour, Dimension.ENVIRONMENT).values():
            days[hour.date()].add(of_hour)
    return dict(days)


def _totals(between: Range, by: str, live: Mapping[datetime, SpendingByValue]) -> SpendingByValue:
    totals: SpendingByValue = defaultdict(Spending)
    rows = _stored(between, by).values_list("value").annotate(**{f"sum_{name}": Sum(name) for name in SUMS})
    for value, *sums in rows.iterator():
        totals[value] = Spending(*sums)
    for found in live.values():
        for value, of_hour in found.items():
            totals[value].add(of_hour)
    return totals


def _days(between: Range, by: str, values: list[str | None]) -> dict[str | None, defaultdict[date, Spending]]:
    days: dict[str | None, defaultdict[date, Spending]] = {value: defaultdict(Spending) for value in values}
    stored = _stored(between, by)
    named = stored.filter(value__in=[value for value in values if value is not None])
    for rows in (named, stored.filter(value__isnull=True) if None in days else stored.none()):
        by_day = rows.values_list("value", TruncDate("hour", tzinfo=UTC))
        for value, day, *sums in by_day.annotate(**{f"sum_{name}": Sum(name) for name in SUMS}):
            days[value][day] = Spending(*sums)
    return days


def _stored(between: Range, by: str) -> QuerySet[SpendHour]:
    return SpendHour.objects.filter(between.stored, dimension=by).order_by()
