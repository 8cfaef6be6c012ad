"""Which soft budgets are spent to 80 or 100 %, and what will be spent by the end of their day or month?

A budget of each value by itself gives at most MOST_ALERTS alerts of single values; how many more there are is one more
alert. An alert is resolved when its period is over, or the budget raised: nobody spends less than before in between.

To add up a month of 100 000 users takes seconds, so months of each value are looked at every MONTHS_EVERY minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from common.clock import now
from observability.core.budgets import Period
from observability.models import AlertKind, Dimension, Severity, SpendBudget
from observability.representation import named
from observability.selectors.budgets import BudgetStanding, ValueStanding, standings
from observability.services import alerts
from observability.watching import slots
from observability.watching.amounts import dollars, exact, percent

MONTHS_EVERY = 10  # minutes
LOOKED_AT = 50  # values of a budget of each: those that get alerts, and those that keep theirs


@dataclass(frozen=True, slots=True)
class Warned:
    """An alert that is to be fired."""

    cause: str
    severity: Severity
    summary: str
    data: dict[str, object]
    prompt: str


def check() -> None:
    """Fire what holds and resolve what does not any more."""
    open_already = alerts.open_causes(AlertKind.SPEND_BUDGET)
    at = now()
    budgets = list(SpendBudget.objects.filter(active=True).order_by("id"))
    waiting = [budget for budget in budgets if _waits(budget, at)]
    held = {cause for budget in waiting for cause in open_already if _is_of(cause, budget)}
    for found in standings([budget for budget in budgets if budget not in waiting], at, limit=LOOKED_AT):
        for warned in _warnings(found, open_already):
            held.add(warned.cause)
            alerts.fire(
                kind=AlertKind.SPEND_BUDGET,
                cause=warned.cause,
                severity=warned.severity,
                summary=warned.summary,
                data=warned.data,
                prompt=warned.prompt,
            )
    for cause in sorted(open_already - held):
        alerts.resolve(cause=cause)


def _waits(budget: SpendBudget, at: datetime) -> bool:
    return not budget.value and budget.period == Period.MONTHLY and at.minute % MONTHS_EVERY != 0


def _is_of(cause: str, budget: SpendBudget) -> bool:
    return cause.startswith(f"spend_budget:{budget.dimension}:") and cause.endswith(f":{budget.period}")


def _warnings(found: BudgetStanding, open_already: set[str]) -> Iterator[Warned]:
    budget = found.budget
    over = {_cause(budget, standing.value): standing for standing in found.values if standing.is_warned}
    own = slots.chosen(list(over), open_already=open_already)
    yield from (_of_one(budget, cause, standing) for cause, standing in over.items() if cause in own)
    rest = found.over - len(own)
    if rest > 0:
        full = max(found.full - sum(over[cause].is_spent for cause in own), 0)
        yield _of_the_rest(budget, rest, full)


def _of_one(budget: SpendBudget, cause: str, standing: ValueStanding) -> Warned:
    who = f"{budget.dimension} {named(budget.dimension, standing.value)}"
    foreseen = standing.forecast
    by_its_end = f", about {dollars(foreseen)} by the end of the {_span(budget)}" if foreseen is not None else ""
    return Warned(
        cause,
        Severity.CRITICAL if standing.is_spent else Severity.WARNING,
        f"{who} has spent {dollars(standing.spent)}, {percent(standing.share)} of the {budget.period} "
        f"{dollars(budget.usd)}{by_its_end}",
        {
            **_about(budget),
            "value": named(budget.dimension, standing.value),
            "spent_usd": exact(standing.spent),
            "share": round(float(standing.share), 6),
            "forecast_usd": None if foreseen is None else exact(foreseen),
            "ends_at": standing.span.until.isoformat().replace("+00:00", "Z"),
        },
        standing.value if budget.dimension == Dimension.PROMPT else "",
    )


def _of_the_rest(budget: SpendBudget, rest: int, full: int) -> Warned:
    spent = f", {full} of them all of it" if full else ""
    return Warned(
        _cause(budget, ""),
        Severity.CRITICAL if full else Severity.WARNING,
        f"{rest} more {budget.dimension}{'' if rest == 1 else 's'} spent 80 % of their {budget.period} budget of "
        f"{dollars(budget.usd)}{spent}",
        {**_about(budget), "more": rest, "more_full": full},
        "",
    )


def _cause(budget: SpendBudget, value: str) -> str:
    return f"spend_budget:{budget.dimension}:{named(budget.dimension, value)}:{budget.period}"


def _about(budget: SpendBudget) -> dict[str, object]:
    return {
        "budget": budget.pk,
        "dimension": budget.dimension,
        "period": budget.period,
        "budget_usd": exact(budget.usd),
    }


def _span(budget: SpendBudget) -> str:
    return "day" if budget.period == "daily" else "month"
