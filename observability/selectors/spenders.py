"""Who has spent much since a midnight: the few values of a dimension that matter, however many there are.

The database adds up, over sums of whole days, roll-ups of hours and calls, and answers with these few alone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from observability.models import Call, Dimension, SpendDay, SpendHour
from observability.models.calls import first_place
from observability.selectors.hours import COST, HOUR, VALUES, hour_of, spending_by_value_and_day, spending_calls
from observability.selectors.rolled import days_between, hours_between

NAMED = Q(value__isnull=False)
MOST_NAMED = 500  # in one statement
NEARLY = 1 - 1e-9  # SQLite adds up floats; what is told is compared again
_SQLITE = Context(prec=15)  # as Django reads decimals there


@dataclass(frozen=True, slots=True)
class Spenders:
    """most: values and what each has spent, the most first. over: how many spent at least `least`; full: at least
    `full`."""

    most: list[tuple[str, Decimal]]
    over: int
    full: int


def spenders_over(
    dimension: str,
    since: datetime,
    at: datetime,
    *,
    least: Decimal,
    full: Decimal,
    limit: int,
    without: Collection[str] = (),
) -> Spenders:
    """Of the calls that started from `since` on, a midnight, up to the moment. without: values that are left out."""
    chosen = NAMED & ~Q(value__in=list(without)) if without else NAMED
    parts, parameters = _parts(dimension, since, at, chosen)
    sql = (
        f"WITH parts (value, cost_usd) AS ({parts})"  # noqa: S608 (Django's own SQL)
        " SELECT value, SUM(cost_usd), COUNT(*) OVER (), SUM(CASE WHEN SUM(cost_usd) >= %s THEN 1 ELSE 0 END) OVER ()"
        " FROM parts GROUP BY value HAVING SUM(cost_usd) >= %s ORDER BY 2 DESC, value LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, _amount(full), _amount(least), limit])
        rows = cursor.fetchall()
    most = [(value, usd) for value, sums, *_ in rows if (usd := _exact(sums)) >= least]
    return Spenders(most, rows[0][2], int(rows[0][3])) if most else Spenders([], 0, 0)


def spent_since(dimension: str, since: datetime, at: datetime, values: Collection[str]) -> dict[str, Decimal]:
    """What each of these values has spent; 0 for those that spent nothing."""
    spent = dict.fromkeys(values, Decimal(0))
    for chunk in _chunks(values):
        parts, parameters = _parts(dimension, since, at, Q(value__in=chunk))
        sql = f"WITH parts (value, cost_usd) AS ({parts}) SELECT value, SUM(cost_usd) FROM parts GROUP BY value"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            spent |= {value: _exact(usd) for value, usd in cursor.fetchall()}
    return spent


def days_of(
    dimension: str, since: datetime, until: datetime, values: Collection[str]
) -> dict[str, dict[date, Decimal]]:
    """What each of these values spent on each whole day of the range on which it spent something."""
    between = days_between(since, until)
    days: dict[str, dict[date, Decimal]] = {value: defaultdict(Decimal) for value in values}
    for chunk in _chunks(values):
        # Each day and value by itself in the index, which the database does for lists and not for ranges.
        whole = SpendDay.objects.filter(dimension=dimension, day__in=between.days, value__in=chunk)
        hours = SpendHour.objects.filter(between.stored, dimension=dimension, value__in=chunk)
        by_day = hours.order_by().values_list("value", TruncDate("hour", tzinfo=UTC)).annotate(Sum("cost_usd"))
        for rows in (whole.values_list("value", "day", "cost_usd"), by_day):
            for value, day, usd in rows:
                days[value or ""][day] += usd
        for stretch in between.live:
            for (named, day), sums in spending_by_value_and_day(stretch, dimension, chunk).items():
                days[named or ""][day] += sums.cost_usd
    return {value: {day: usd for day, usd in of_value.items() if usd > 0} for value, of_value in days.items()}


def typical_day_of_others(dimension: str, since: datetime, until: datetime, without: Collection[str]) -> Decimal | None:
    """The median over the days on which a value spent something, each value and day by itself; None of none."""
    days = days_between(since, until).days
    rows = SpendDay.objects.filter(NAMED, dimension=dimension, day__in=days, cost_usd__gt=0)
    others = rows.exclude(value__in=list(without)).order_by("cost_usd").values_list("cost_usd", flat=True)
    n = others.count()
    return others[n // 2] if n else None


def spent_on(
    dimension: str, since: datetime, values: Collection[str], limit: int
) -> dict[str, list[tuple[str | None, str | None, Decimal]]]:
    """By value: prompt, model and cost of what it spent most on, from its calls of that day on."""
    calls = Call.objects.filter(place__gte=first_place(since), held=False).order_by()
    of_values = calls.alias(value=VALUES[Dimension(dimension)]).filter(value__in=list(values))
    rows = of_values.values_list(VALUES[Dimension(dimension)], "prompt_name", VALUES[Dimension.MODEL])
    found: dict[str, list[tuple[str | None, str | None, Decimal]]] = {value: [] for value in values}
    for value, prompt, model, usd in rows.annotate(usd=COST).order_by("-usd"):
        if len(found[value]) < limit:
            found[value].append((prompt, model, usd))
    return found


def spent_by_hour(since: datetime, until: datetime) -> dict[datetime, Decimal]:
    """Of all calls whose hours are rolled up: every dimension has all of them, and environments are the fewest."""
    between = hours_between(since, until)
    rows = SpendHour.objects.filter(between.stored, dimension=Dimension.ENVIRONMENT).order_by()
    return dict(rows.values_list("hour").annotate(Sum("cost_usd")))


def _parts(dimension: str, since: datetime, at: datetime, chosen: Q) -> tuple[str, list[Any]]:
    """Rows of value and cost that add up to what was spent, in SQL."""
    between = days_between(since, max(hour_of(at) + HOUR, since + HOUR))
    days = SpendDay.objects.filter(chosen, dimension=dimension, day__in=between.days)
    hours = SpendHour.objects.filter(between.stored, chosen, dimension=dimension)
    value = VALUES[Dimension(dimension)]
    live = [
        spending_calls(stretch).alias(value=value).filter(chosen).values_list(value).annotate(usd=COST)
        for stretch in between.live
    ]
    stored = [rows.order_by().values_list("value", "cost_usd") for rows in (days, hours)]
    parts = [part for rows in (*stored, *live) if (part := _sql(rows))]
    return " UNION ALL ".join(sql for sql, _ in parts), [one for _, of_part in parts for one in of_part]


def _sql(rows: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]] | None:
    """None where it is known beforehand that there are none."""
    try:
        sql, parameters = rows.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return None
    return sql, parameters


def _chunks(values: Collection[str]) -> Iterator[Sequence[str]]:
    every = list(values)
    return (every[start : start + MOST_NAMED] for start in range(0, len(every), MOST_NAMED))


def _amount(usd: Decimal) -> Any:
    return usd if connection.vendor == "postgresql" else float(usd) * NEARLY


def _exact(usd: Any) -> Decimal:
    """SQLite tells decimals as floats."""
    return usd if isinstance(usd, Decimal) else _SQLITE.create_decimal(usd)
