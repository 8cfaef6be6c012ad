"""How much of each soft budget is spent now, and what it will come to.

Budgets of one dimension and period are answered together, so that what it costs does not grow with their number.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from observability.core.budgets import WARN_AT, Span, forecast, shape_of, span_of
from observability.core.times import midnight
from observability.models import SpendBudget
from observability.selectors.spenders import Spenders, spenders_over, spent_by_hour, spent_since

Shape = Sequence[float] | None


@dataclass(frozen=True, slots=True)
class ValueStanding:
    """Of one value in the present day or month. share: of the budget; forecast: of the period's end, None while too
    little of it is over to tell."""

    value: str
    span: Span
    spent: Decimal
    share: Decimal
    forecast: Decimal | None

    @property
    def is_warned(self) -> bool:
        return self.share >= WARN_AT

    @property
    def is_spent(self) -> bool:
        return self.share >= 1


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """Of a budget. values: the one that it is of; of each, those that spent most, at most as many as were asked for.
    over, full: how many have spent 80 % and all of it."""

    budget: SpendBudget
    values: list[ValueStanding]
    over: int
    full: int


def standings(
    budgets: Sequence[SpendBudget], at: datetime, *, limit: int, least: Decimal = WARN_AT
) -> Iterator[BudgetStanding]:
    """In the order of dimensions and periods. least: of budgets of each, the share from which values are told."""
    if not budgets:
        return
    shape = _shape(at)
    groups: dict[tuple[str, str], list[SpendBudget]] = defaultdict(list)
    for budget in budgets:
        groups[budget.dimension, budget.period].append(budget)
    for (dimension, period), group in groups.items():
        span = span_of(period, at)
        own = {budget.value for budget in group if budget.value}
        spent = spent_since(dimension, span.since, at, own)
        for budget in group:
            if budget.value:
                yield _of_one(_standing(budget, budget.value, spent[budget.value], span, at, shape), budget)
            else:
                yield _of_each(budget, span, at, shape, limit=limit, least=least)


def _of_one(standing: ValueStanding, budget: SpendBudget) -> BudgetStanding:
    return BudgetStanding(budget, [standing], int(standing.is_warned), int(standing.is_spent))


def _of_each(
    budget: SpendBudget, span: Span, at: datetime, shape: Shape, *, limit: int, least: Decimal
) -> BudgetStanding:
    """Those that have a budget of their own are not among them."""
    same = SpendBudget.objects.filter(active=True, dimension=budget.dimension, period=budget.period).exclude(value="")
    apart = list(same.values_list("value", flat=True))
    found = _spenders(budget, span, at, least * budget.usd, limit, apart)
    over = found if least == WARN_AT else _spenders(budget, span, at, WARN_AT * budget.usd, 1, apart)
    values = [_standing(budget, value, usd, span, at, shape) for value, usd in found.most]
    return BudgetStanding(budget, values, over.over, over.full)


def _spenders(
    budget: SpendBudget, span: Span, at: datetime, least: Decimal, limit: int, apart: Sequence[str]
) -> Spenders:
    return spenders_over(budget.dimension, span.since, at, least=least, full=budget.usd, limit=limit, without=apart)


def _standing(budget: SpendBudget, value: str, spent: Decimal, span: Span, at: datetime, shape: Shape) -> ValueStanding:
    return ValueStanding(value, span, spent, spent / budget.usd, forecast(spent, span, at, shape))


def _shape(at: datetime) -> Shape:
    """Of the last seven whole days."""
    today = midnight(at.date())
    since = today - timedelta(days=7)
    return shape_of(spent_by_hour(since, today), since)
