"""The soft budgets on the page of spending: a bar for each value that spent most of one, and what it will come to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.safestring import SafeString

from observability.models import SpendBudget
from observability.representation import named
from observability.selectors.budgets import BudgetStanding, ValueStanding, standings
from rollout.charts import meter
from rollout.formats import count, estimate, money
from rollout.wording import State

BUDGETS_SHOWN = 50
VALUES_SHOWN = 5  # of a budget of each
LEAST_SHOWN = Decimal("0.01")  # of such a budget


@dataclass(frozen=True, slots=True)
class BudgetRow:
    who: str
    period: str
    spent: str
    bar: SafeString
    forecast: str
    state: State
    more: str


def budget_rows(dimension: str, at: datetime) -> list[BudgetRow]:
    """Of the active ones of a dimension."""
    budgets = SpendBudget.objects.filter(active=True, dimension=dimension).order_by("period", "value", "id")
    found = standings(list(budgets[:BUDGETS_SHOWN]), at, limit=VALUES_SHOWN, least=LEAST_SHOWN)
    return [row for of_budget in found for row in _rows(of_budget)]


def _rows(found: BudgetStanding) -> Iterator[BudgetRow]:
    shown_over = sum(standing.is_warned for standing in found.values)
    more = found.over - shown_over
    for place, standing in enumerate(found.values, start=1):
        is_last = place == len(found.values)
        yield _row(found.budget, standing, f"{count(more)} more over 80 %" if more > 0 and is_last else "")


def _row(budget: SpendBudget, standing: ValueStanding, more: str) -> BudgetRow:
    who, share = named(budget.dimension, standing.value), estimate(float(standing.share), "share")
    spent = f"{money(float(standing.spent))} of {money(float(budget.usd))}, {share}"
    return BudgetRow(
        who=who,
        period=budget.period,
        spent=spent,
        bar=meter(float(standing.share), words=f"{who}: {spent}"),
        forecast=money(None if standing.forecast is None else float(standing.forecast)),
        state=_state(standing),
        more=more,
    )


def _state(standing: ValueStanding) -> State:
    if standing.is_spent:
        return State("harm", "Spent")
    return State("held", "Over 80 %") if standing.is_warned else State("safe", "Within it")
