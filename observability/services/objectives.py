"""Objectives: made, changed and deleted, each with its line in the audit trail.

What an objective is about (prompt, label, name, metric, comparison) stays: another promise is another objective.
"""

import logging
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, FieldError, Invalid, NotFound
from observability.core.evidence import BUILT_IN_METRICS, ERROR_RATE, OUTPUT_VALID
from observability.core.objectives import OF_EACH_CALL, OUTPUTS_ALONE, TOKENS_PER_SECOND, USUAL_TARGET_BP
from observability.models import Objective
from observability.models.evaluators import SCORE_NAME
from observability.models.objectives import LEAST_DAYS, MOST_DAYS, OBJECTIVE_NAME
from registry import audit
from registry import selectors as registry
from registry.models import LABEL_NAME
from registry.services import LATEST

USUAL_DAYS, DAYS_OF_OUTPUTS = 28, 7
LARGEST = 1e9  # of a threshold, in ms, USD and tokens a second
OF_SHARES = {ERROR_RATE: "below", OUTPUT_VALID: "above"}
CHANGEABLE = ("threshold", "target_bp", "days", "active")
TOLD = ("prompt", "label", "name", "metric", "comparison", *CHANGEABLE)

logger = logging.getLogger(__name__)


def create_objective(
    *,
    prompt_name: str,
    name: str,
    metric: str,
    comparison: str,
    threshold: float,
    target_bp: int | None = None,
    label: str = "production",
    days: int | None = None,
    active: bool = True,
    actor: Actor,
) -> Objective:
    """A new objective. target_bp, days: None for the usual ones of the metric.

    Raises NotFound, Invalid naming each field that is wrong, or Conflict objective_exists.
    """
    objective = Objective(
        prompt=registry.find_prompt(prompt_name),
        label=label,
        name=name,
        metric=metric,
        comparison=comparison,
        threshold=threshold,
        target_bp=usual_target_bp(metric) if target_bp is None else target_bp,
        days=usual_days(metric) if days is None else days,
        active=active,
        created_at=now(),
        created_by=str(actor),
    )
    check_promise(objective)
    try:
        with transaction.atomic():
            objective.save(force_insert=True)
            _record("created", objective, before=None, after=audited(objective), actor=actor)
    except IntegrityError as error:
        if "one_objective_of_a_name" in str(error) or _same(objective):
            raise Conflict(
                "objective_exists", f"{objective.prompt.name} has an objective {name} of the label {label} already"
            ) from error
        raise
    return objective


@transaction.atomic
def change_objective(
    *, objective_id: int, expected_revision: int | None = None, actor: Actor, **changes: Any
) -> Objective:
    """changes: of CHANGEABLE. Raises NotFound, Invalid, or Conflict stale_objective."""
    objective = _lock(objective_id, expected_revision)
    before = audited(objective)
    for name, value in changes.items():
        setattr(objective, name, value)
    check_promise(objective)
    if audited(objective) == before:
        return objective
    objective.revision += 1
    objective.save(update_fields=[*changes, "revision"])
    _record("changed", objective, before=before, after=audited(objective), actor=actor)
    return objective


@transaction.atomic
def delete_objective(*, objective_id: int, expected_revision: int | None = None, actor: Actor) -> None:
    """Its alert is resolved by the next check. Raises NotFound, or Conflict stale_objective."""
    objective = _lock(objective_id, expected_revision)
    _record("deleted", objective, before=audited(objective), after=None, actor=actor)
    objective.delete()


def usual_target_bp(metric: str) -> int | None:
    return USUAL_TARGET_BP if metric in OF_EACH_CALL else None


def usual_days(metric: str) -> int:
    return DAYS_OF_OUTPUTS if metric in OUTPUTS_ALONE else USUAL_DAYS


def check_promise(objective: Objective) -> None:
    """Raises Invalid naming every field that is wrong."""
    wrong = [*_wrong_names(objective), *_wrong_promise(objective)]
    if wrong:
        raise Invalid.fields([FieldError(field, "invalid", message) for field, message in wrong])


def audited(objective: Objective) -> dict[str, Any]:
    return {name: getattr(objective, name) for name in TOLD} | {"prompt": objective.prompt.name}


def _lock(objective_id: int, expected_revision: int | None) -> Objective:
    locked = Objective.objects.select_for_update(of=("self",)).select_related("prompt").filter(pk=objective_id).first()
    if locked is None:
        raise NotFound("unknown_objective", f"There is no objective {objective_id}")
    if expected_revision not in (None, locked.revision):
        raise Conflict(
            "stale_objective",
            f"Objective {objective_id} is at revision {locked.revision}, not {expected_revision}: read it again",
            extra={"revision": locked.revision},
        )
    return locked


def _same(objective: Objective) -> bool:
    return Objective.objects.filter(prompt=objective.prompt, label=objective.label, name=objective.name).exists()


def _wrong_names(objective: Objective) -> Iterator[tuple[str, str]]:
    for field, valid in (("label", LABEL_NAME), ("name", OBJECTIVE_NAME), ("metric", SCORE_NAME)):
        if not re.search(valid.regex, getattr(objective, field)):
            yield field, str(valid.message)
    if objective.label == LATEST:
        yield "label", "expected a label that calls are served by; latest only follows publications"
    if not LEAST_DAYS <= objective.days <= MOST_DAYS:
        yield "days", f"expected {LEAST_DAYS} to {MOST_DAYS} days, got {objective.days}"
    elif objective.metric in OUTPUTS_ALONE and objective.days != DAYS_OF_OUTPUTS:
        yield "days", f"expected {DAYS_OF_OUTPUTS}: so long is {objective.metric} of all calls known"


def _wrong_promise(objective: Objective) -> Iterator[tuple[str, str]]:
    metric, threshold = objective.metric, objective.threshold
    if metric in BUILT_IN_METRICS - {ERROR_RATE, OUTPUT_VALID} - OF_EACH_CALL:
        yield "metric", f"expected {', '.join(sorted({*OF_EACH_CALL, *OF_SHARES}))} or the name of a score"
    expected = _comparison_of(metric)
    if objective.comparison not in expected:
        yield "comparison", f"expected {' or '.join(expected)}: of {metric} that is what can be promised"
    if metric in OF_EACH_CALL:
        if not 1 / LARGEST <= threshold <= LARGEST:
            yield "threshold", f"expected a number over 0, up to {LARGEST:g}, got {threshold}"
        if objective.target_bp is None or not 1 <= objective.target_bp <= 9_999:
            yield "target", "expected the share of calls that keep the threshold, from 0.01 % to 99.99 %"
        return
    if not 1e-6 <= threshold <= 1 - 1e-6:
        yield "threshold", f"expected a mean between 0 and 1, got {threshold}: at 0 or 1 there is no budget to spend"
    if objective.target_bp is not None:
        yield "target", f"expected none: of {metric} the mean is promised"


def _comparison_of(metric: str) -> tuple[str, ...]:
    if metric == TOKENS_PER_SECOND:
        return ("above",)
    if metric in OF_EACH_CALL:
        return ("below",)
    return (OF_SHARES[metric],) if metric in OF_SHARES else ("above", "below")


def _record(act: str, objective: Objective, *, before: Any, after: Any, actor: Actor) -> None:
    action = f"objective.{act}"
    target = f"prompts/{objective.prompt.name}/objectives/{objective.label}/{objective.name}"
    audit.record(action=action, target=target, before=before, after=after, actor=actor)
    told = {"objective": objective.pk, "prompt": objective.prompt.name, "actor": str(actor)}
    transaction.on_commit(partial(logger.info, action, extra=told))
