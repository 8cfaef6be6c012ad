"""How much of a prompt may be judged today? So many calls and dollars a day (UTC), by all its evaluators together that
ask a model. What costs nothing, a check, is outside of it.

Ingest asks what was used up a moment ago (judging.sampling); here each call is counted, before its judge is asked.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet

from observability import bulk
from observability.models import PAID_KINDS, JudgingBudget, JudgingDay


def take(prompt_id: int, today: date, *, kind: str, is_first_attempt: bool) -> bool:
    """Whether one more may be asked about, in the caller's transaction: if so, it is counted, at its first attempt.

    kind: of the evaluator; one that asks no model always may, and is not counted.
    """
    if kind not in PAID_KINDS:
        return True
    budget = budget_of(prompt_id)
    bulk.insert(JudgingDay, ("prompt_id", "day", "calls", "usd"), [(prompt_id, today, 0, 0)])
    row = _day(prompt_id, today)
    if budget.usd_a_day is not None:
        row = row.filter(usd__lt=budget.usd_a_day)
    if is_first_attempt and budget.calls_a_day is not None:
        row = row.filter(calls__lt=budget.calls_a_day)
    return bool(row.update(calls=F("calls") + (1 if is_first_attempt else 0)))


def spend(usd: Mapping[int, Decimal], today: date) -> None:
    """Count what judges cost, by prompt, in the caller's transaction."""
    for prompt_id, cost in sorted(usd.items()):
        bulk.insert(JudgingDay, ("prompt_id", "day", "calls", "usd"), [(prompt_id, today, 0, 0)])
        _day(prompt_id, today).update(usd=F("usd") + cost)


def budget_of(prompt_id: int) -> JudgingBudget:
    """The prompt's own, else the default."""
    return JudgingBudget.objects.filter(prompt_id=prompt_id).first() or JudgingBudget(prompt_id=prompt_id)


def is_spent(budget: JudgingBudget, calls: int, usd: Any) -> bool:
    """Whether a day's budget is used up by what was judged on it."""
    by_calls = budget.calls_a_day is not None and calls >= budget.calls_a_day
    return by_calls or (budget.usd_a_day is not None and usd >= budget.usd_a_day)


def _day(prompt_id: int, today: date) -> QuerySet[JudgingDay]:
    return JudgingDay.objects.filter(prompt_id=prompt_id, day=today)
