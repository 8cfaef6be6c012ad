"""Has the label enough of its error budgets left for a rollout? What a plan demands of them (`needs_budget`).

A canary may go wrong, and what it does wrong is paid from the same budget. A plan that demands some of it keeps a label
whose promise is all but broken from taking the risk, unless somebody says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.clock import now
from common.errors import Conflict, FieldError, Invalid
from observability.models import Objective
from observability.selectors.objectives import objectives, standings
from rollout.core.plan import Plan


@dataclass(frozen=True, slots=True)
class BudgetNeed:
    """Of one objective: the least share of its budget that has to be left, and what is. n: calls that tell so.

    left: None where nothing was measured, which is no budget that is known to be left.
    """

    name: str
    needed: float
    left: float | None
    n: float

    @property
    def met(self) -> bool:
        return self.left is not None and self.left >= self.needed


def needs(plan: Plan, *, prompt_name: str, label: str) -> list[BudgetNeed]:
    """What the plan demands of the label's objectives, as they are now. Raises Invalid for one that there is not."""
    if not plan.needs_budget_bp:
        return []
    watched = {each.name: each for each in objectives(prompt=prompt_name, label=label).filter(active=True)}
    asked = _asked(plan, watched.values(), label)
    if unknown := [name for name in asked if name not in watched]:
        raise Invalid.fields([_unknown(name, watched, label) for name in unknown], code="invalid_plan")
    stand = standings([watched[name] for name in asked], now())
    budgets = {name: stand[watched[name].pk].budget for name in asked}
    return [BudgetNeed(name, bp / 10_000, budgets[name].left, budgets[name].n) for name, bp in asked.items()]


def check_budget(plan: Plan, *, prompt_name: str, label: str, force_reason: str) -> None:
    """Raises Conflict budget_spent, unless there is a reason to start all the same; Invalid as `needs`."""
    asked = needs(plan, prompt_name=prompt_name, label=label)
    short = [need for need in asked if not need.met]
    if short and not force_reason:
        raise Conflict(
            "budget_spent",
            f"{'; '.join(map(in_words, short))}. Wait until there is more, or say in force_reason why it is to be "
            "rolled out all the same",
            extra={"budgets": needs_json(short)},
        )


def needs_json(asked: Sequence[BudgetNeed]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "needed": each.needed, "left": each.left, "n": each.n, "met": each.met} for each in asked
    ]


def in_words(need: BudgetNeed) -> str:
    needed = f"the plan needs {100 * need.needed:g} %"
    if need.left is None:
        return f"How much is left of the error budget of {need.name} is not known, and {needed}"
    return f"{100 * need.left:.1f} % is left of the error budget of {need.name}, and {needed}"


def _asked(plan: Plan, watched: Any, label: str) -> dict[str, int]:
    """Name → basis points. A single share is of all objectives that are watched; it takes at least one."""
    if not isinstance(plan.needs_budget_bp, int):
        return dict(plan.needs_budget_bp or {})
    found = {objective.name: plan.needs_budget_bp for objective in watched}
    if not found:
        expected = f"expected no budget to be needed: nothing is promised of the label {label}"
        raise Invalid.fields([FieldError("plan.needs_budget", "invalid", expected)], code="invalid_plan")
    return found


def _unknown(name: str, watched: dict[str, Objective], label: str) -> FieldError:
    there_are = ", ".join(watched) or "none"
    return FieldError(
        f"plan.needs_budget.{name}",
        "invalid",
        f"expected an objective of the label {label} that is watched: there are {there_are}",
    )
