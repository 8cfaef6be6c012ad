"""What calls cost, by user, feature, environment, prompt or model, and by day."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate

from observability.models import Dimension, SpendHour
from observability.selectors.hours import Spending, spending, spending_by_day, spending_by_value_and_day, spending_rows
from observability.selectors.rolled import Range, hours_between
from registry.reach import EVERYTHING, Reach

SUMS = ("calls", "input_tokens", "output_tokens", "cost_usd", "unpriced", "unpriced_tokens")

SpendingByValue = dict[str | None, Spending]
_SQLITE = Context(prec=15)  # as Django reads decimals there


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
    """All calls that started in these hours, embeddings too. reach: of prompts alone, and only with `by` prompt.

    The database adds up, over roll-ups and calls alike, and answers with the spenders alone: there may be as many of
    them as users.
    """
    between = hours_between(since, until)
    totals, values, everything = _most(between, by, limit, reach)
    days = _days(between, by, list(totals))
    spenders = [Spender(value, sums, dict(sorted(days[value].items()))) for value, sums in totals.items()]
    return Spent(spenders, values - len(spenders), everything)


def spent_by_value(*, by: str, since: datetime, until: datetime) -> SpendingByValue:
    """Only the sums over the whole range."""
    between = hours_between(since, until)
    totals: SpendingByValue = defaultdict(Spending)
    rows = _stored(between, by).values_list("value").annotate(**_sums())
    for value, *sums in rows.iterator():
        totals[value] = Spending(*sums)
    for stretch in between.live:
        for value, of_stretch in spending(stretch, by).items():
            totals[value].add(of_stretch)
    return totals


def spent_by_day(*, since: datetime, until: datetime) -> dict[date, Spending]:
    """Over all values: every dimension has all calls, and environments are the fewest."""
    between = hours_between(since, until)
    days: defaultdict[date, Spending] = defaultdict(Spending)
    by_day = _stored(between, Dimension.ENVIRONMENT).values_list(TruncDate("hour", tzinfo=UTC))
    for day, *sums in by_day.annotate(**_sums()):
        days[day] = Spending(*sums)
    for stretch in between.live:
        for day, of_day in spending_by_day(stretch).items():
            days[day].add(of_day)
    return dict(days)


def _most(between: Range, by: str, limit: int, reach: Reach) -> tuple[dict[str | None, Spending], int, Spending]:
    """(those that cost most, in order; how many values there are; the sums over all of them)."""
    stored = _stored(between, by).filter(reach.rows(prompt="value")).values_list("value", *SUMS)
    live = [spending_rows(stretch, by).filter(reach.rows(prompt="prompt_name")) for stretch in between.live]
    parts = [part.query.get_compiler(connection=connection).as_sql() for part in (stored, *live)]
    columns, all_parts = ", ".join(SUMS), " UNION ALL ".join(part for part, _ in parts)
    added, over_all = (", ".join(f"SUM({name}){over}" for name in SUMS) for over in ("", " OVER ()"))
    sql = (
        f"WITH parts (value, {columns}) AS ({all_parts}),"  # noqa: S608 (names from this file, and Django's own SQL)
        f" sums (value, {columns}) AS (SELECT value, {added} FROM parts GROUP BY value)"
        f" SELECT value, {columns}, COUNT(*) OVER (), {over_all} FROM sums"
        " ORDER BY cost_usd DESC, calls DESC, COALESCE(value, '') LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*(parameter for _, of_part in parts for parameter in of_part), limit])
        rows = cursor.fetchall()
    if not rows:
        return {}, 0, Spending()
    end = 1 + len(SUMS)
    return {row[0]: _read(row[1:end]) for row in rows}, rows[0][end], _read(rows[0][end + 1 :])


def _read(sums: Iterable[Any]) -> Spending:
    """SQLite tells decimals as floats, PostgreSQL sums of integers as decimals."""
    named = dict(zip(SUMS, sums, strict=True))
    cost = named.pop("cost_usd")
    exact = cost if isinstance(cost, Decimal) else _SQLITE.create_decimal(cost)
    return Spending(cost_usd=exact, **{name: int(n) for name, n in named.items()})


def _days(between: Range, by: str, values: list[str | None]) -> dict[str | None, defaultdict[date, Spending]]:
    days: dict[str | None, defaultdict[date, Spending]] = {value: defaultdict(Spending) for value in values}
    stored = _stored(between, by)
    named = stored.filter(value__in=[value for value in values if value is not None])
    for rows in (named, stored.filter(value__isnull=True) if None in days else stored.none()):
        by_day = rows.values_list("value", TruncDate("hour", tzinfo=UTC))
        for value, day, *sums in by_day.annotate(**_sums()):
            days[value][day] = Spending(*sums)
    for stretch in between.live:
        for (value, day), of_day in spending_by_value_and_day(stretch, by, values).items():
            days[value][day].add(of_day)
    return days


def _stored(between: Range, by: str) -> QuerySet[SpendHour]:
    return SpendHour.objects.filter(between.stored, dimension=by).order_by()


def _sums() -> dict[str, Sum]:
    return {f"sum_{name}": Sum(name) for name in SUMS}
