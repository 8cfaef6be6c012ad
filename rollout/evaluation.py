"""The evaluator: looks at each active rollout when its look is due, and does what the plan says follows.

A look is one transaction: it takes the evidence that arrived since the last one, folds it into the metrics'
e-processes, decides, and applies the decision. It happens wholly or not at all, and once: the row is locked, and a
second evaluator finds it locked or no longer due. Its cost does not depend on the number of calls, and an evaluator
that was away makes up for it in one look.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from common.actors import EVALUATOR
from common.clock import now
from common.errors import Conflict
from observability import evidence
from rollout import services
from rollout.batches import close_batches, is_warming_up, report_of
from rollout.core.course import longer
from rollout.core.plan import Plan
from rollout.core.verdict import Finding, decide
from rollout.core.verdict_body import Inputs, situation, verdict_body
from rollout.models import ACTIVE, HoldReason, Metric, Rollout, Status, Verdict
from rollout.outlooks import foresee_one
from rollout.selectors import find_rollout
from rollout.spending import spend_of
from rollout.units import Units

logger = logging.getLogger(__name__)

# A look that failed is tried again after this long: a fault must not turn into a busy loop.
RETRY_AFTER = timedelta(minutes=1)
LONGEST_REASON = 200
# Evaluators' clocks may differ by this much: what is planned further away was planned by a clock that was wrong.
CLOCKS_DIFFER_BY = timedelta(minutes=5)
DATABASE_AWAY = (OperationalError, InterfaceError)


def evaluate_due() -> int:
    """Look at every rollout whose look is due; how many were looked at. One that fails does not stop the others.

    After the looks, since nothing waits for it, one of the rollouts may be foreseen anew.
    """
    _recall_looks()
    due = Rollout.objects.filter(status__in=ACTIVE, next_look_at__lte=now()).order_by("next_look_at")
    looked = []
    for rollout_id in list(due.values_list("id", flat=True)):
        try:
            looked += [rollout_id] if look(rollout_id) else []
        except DATABASE_AWAY:
            logger.warning("evaluation.database_away", exc_info=True, extra={"rollout": rollout_id})
        except Exception as error:
            logger.exception("evaluation.failed", extra={"rollout": rollout_id})
            _hold_failed(rollout_id, error)
    _foresee_one(looked)
    return len(looked)


@transaction.atomic
def look(rollout_id: str) -> bool:
    """One look, if it is due and nobody else is at it; whether it took place."""
    due = Rollout.objects.filter(pk=rollout_id, status__in=ACTIVE, next_look_at__lte=now())
    if not due.select_for_update(no_key=True, skip_locked=True).first():
        return False
    rollout = find_rollout(rollout_id)
    if rollout.hold_reason == HoldReason.EVALUATION_FAILED:
        rollout = services.recover(rollout_id=rollout_id, actor=EVALUATOR, expected_revision=rollout.revision)
    plan = Plan.from_json(rollout.plan)
    if is_warming_up(rollout, plan):
        evidence.drop(rollout.id)
    units = Units(evidence.unit_buckets(rollout.id, rollout.versions), plan)
    metrics = list(rollout.metrics.all())
    closed = close_batches(rollout, plan, metrics, units)
    rollout.looked_at, rollout.next_look_at = now(), now() + timedelta(seconds=plan.look_every_s)
    rollout.save(update_fields=["looked_at", "next_look_at"])
    inputs = _inputs(rollout, metrics, units, fresh=closed > 0)
    found = situation(tuple(report_of(metric, plan) for metric in metrics), inputs)
    finding = decide(found, plan)
    verdict = _record(rollout, finding, verdict_body(found, finding, plan, inputs), anything_new=inputs.fresh)
    if finding.act and verdict:
        _apply(rollout, finding, verdict)
    return True


def discard_leftovers() -> None:
    """Delete the evidence of rollouts that have ended, which late arrivals still bring, or that there never were."""
    named = evidence.rollout_ids()  # before the active ones: none can be named that is not active by then
    active = set(Rollout.objects.filter(pk__in=named, status__in=ACTIVE).values_list("pk", flat=True))
    for rollout_id in sorted(named - active):
        with transaction.atomic():
            evidence.discard(rollout_id)


def _inputs(rollout: Rollout, metrics: Sequence[Metric], units: Units, *, fresh: bool) -> Inputs:
    at = now()
    return Inputs(
        batches={metric.name: metric.batches for metric in metrics},
        units=units.effective,
        sample_ratio=units.sample_ratio,
        judged_ratio=units.judged_ratio,
        canary_units=max((canary for _, canary in units.effective.values()), default=0),
        fresh=fresh,
        step=rollout.step,
        hold_served=bool(rollout.hold_until and rollout.hold_until <= at),
        time_is_up=bool(rollout.deadline_at and rollout.deadline_at <= at and rollout.status == Status.RUNNING),
        paused=rollout.status == Status.PAUSED,
        hold_reason=rollout.hold_reason,
        at=at,
        spend=spend_of(rollout),
    )


def _record(rollout: Rollout, finding: Finding, body: dict[str, Any], *, anything_new: bool) -> Verdict | None:
    """Store the verdict, unless it says what the last one said."""
    last = rollout.verdict
    repeats = last and (last.kind, last.body["reasons"]) == (finding.kind, body["reasons"])
    if repeats and not anything_new and not finding.act:
        return None
    verdict = Verdict.objects.create(rollout=rollout, kind=finding.kind, step=rollout.step, found_at=now(), body=body)
    rollout.verdict = verdict
    rollout.course = longer(rollout.course, verdict.found_at, body["log_e_harm"])
    rollout.save(update_fields=["verdict", "course"])
    return verdict


def _apply(rollout: Rollout, finding: Finding, verdict: Verdict) -> None:
    """Do what follows, through the same services as a person."""
    how: dict[str, Any] = {
        "rollout_id": rollout.id,
        "actor": EVALUATOR,
        "cause": finding.cause,
        "verdict": verdict,
        "expected_revision": rollout.revision,
    }
    match finding.act:
        case "rollback":
            services.rollback(**how)
        case "promote":
            services.promote(**how)
        case "advance_step":
            services.advance_step(**how)
        case "hold":
            services.hold(hold_reason=finding.hold_reason, **how)


def _recall_looks() -> None:
    """Make due what a clock that has been put back since has planned for a time that may not come for years."""
    active = Rollout.objects.filter(status__in=ACTIVE, next_look_at__gt=now() + CLOCKS_DIFFER_BY)
    for rollout_id, planned_at, every_s in active.values_list("id", "next_look_at", "plan__look_every_s"):
        latest = now() + max(timedelta(seconds=every_s), RETRY_AFTER) + CLOCKS_DIFFER_BY
        if planned_at and planned_at > latest:
            Rollout.objects.filter(pk=rollout_id, next_look_at=planned_at).update(next_look_at=now())
            logger.warning("evaluation.clock_went_back", extra={"rollout": rollout_id})


def _foresee_one(looked: Sequence[str]) -> None:
    try:
        foresee_one(looked)
    except DATABASE_AWAY:
        logger.warning("evaluation.database_away", exc_info=True)
    except Exception:  # it is only for display
        logger.exception("evaluation.foresight_failed")


def _hold_failed(rollout_id: str, error: Exception) -> None:
    """Hold the rollout and look again in a minute. What goes wrong here must not keep others from being looked at."""
    again_at = now() + RETRY_AFTER
    try:
        services.fail_evaluation(rollout_id=rollout_id, actor=EVALUATOR, reason=_in_short(error), next_look_at=again_at)
    except Conflict:
        pass  # somebody ended it since the look began
    except Exception:
        logger.exception("evaluation.hold_failed", extra={"rollout": rollout_id})
        Rollout.objects.filter(pk=rollout_id, status__in=ACTIVE).update(next_look_at=again_at)


def _in_short(error: Exception) -> str:
    """Its class and the first line of its message: in those that follow databases quote what is stored."""
    message = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {message}"[:LONGEST_REASON]
