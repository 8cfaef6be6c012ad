"""Soft budgets: making, changing and removing them. The next check (watching.budgets) goes by what there is then."""

import logging
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, NotFound
from observability.core.conversions import clean
from observability.models import SpendBudget
from registry import audit

ONE_PER = "There is a {period} budget of {dimension} {value} already: change it instead"

logger = logging.getLogger(__name__)


def find_budget(budget_id: int) -> SpendBudget:
    """Raises NotFound."""
    found = SpendBudget.objects.filter(pk=budget_id).first()
    if found is None:
        raise _unknown(budget_id)
    return found


def add_budget(
    *, dimension: str, value: str = "", period: str, usd: Decimal, active: bool = True, actor: Actor
) -> SpendBudget:
    """value: of the dimension; empty for each by itself. Raises Conflict where there is one for the same."""
    told = {"dimension": dimension, "value": clean(value).strip(), "period": period}
    try:
        with transaction.atomic():
            budget = SpendBudget.objects.create(**told, usd=usd, active=active, created_at=now(), created_by=str(actor))
            _record("added", budget.pk, None, _audited(budget), actor)
    except IntegrityError as error:
        if SpendBudget.objects.filter(**told).exists():
            raise Conflict("budget_exists", ONE_PER.format(**{**told, "value": told["value"] or "each"})) from error
        raise
    return budget


@transaction.atomic
def change_budget(
    *, budget_id: int, usd: Decimal | None = None, active: bool | None = None, actor: Actor
) -> SpendBudget:
    """What it is of stays. Nothing happens where it is so already. Raises NotFound."""
    budget = _lock(budget_id)
    before = _audited(budget)
    changes = {name: given for name, given in (("usd", usd), ("active", active)) if given is not None}
    if all(getattr(budget, name) == given for name, given in changes.items()):
        return budget
    for name, given in changes.items():
        setattr(budget, name, given)
    budget.save(update_fields=list(changes))
    _record("changed", budget.pk, before, _audited(budget), actor)
    return budget


@transaction.atomic
def remove_budget(*, budget_id: int, actor: Actor) -> None:
    """Raises NotFound."""
    budget = _lock(budget_id)
    before = _audited(budget)
    budget.delete()
    _record("removed", budget_id, before, None, actor)


def _lock(budget_id: int) -> SpendBudget:
    budget = SpendBudget.objects.select_for_update().filter(pk=budget_id).first()
    if budget is None:
        raise _unknown(budget_id)
    return budget


def _unknown(budget_id: int) -> NotFound:
    return NotFound("unknown_budget", f"There is no spend budget {budget_id}")


def _audited(budget: SpendBudget) -> dict[str, Any]:
    return {name: getattr(budget, name) for name in ("dimension", "value", "period", "usd", "active")}


def _record(
    what: str, budget_id: int, before: dict[str, Any] | None, after: dict[str, Any] | None, actor: Actor
) -> None:
    target = f"spend-budgets/{budget_id}"
    audit.record(action=f"spend_budget.{what}", target=target, before=before, after=after, actor=actor)
    told = {"budget": budget_id, "actor": str(actor)}
    transaction.on_commit(partial(logger.info, f"spend_budget.{what}", extra=told))
