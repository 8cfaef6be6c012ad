"""The evaluator: looks at each active rollout when its look is due, and does what the plan says follows.

A look is one transaction: it takes the evidence that arrived since the last one, folds it into the metrics'
e-processes, decides, and applies the decision. It happens wholly or not at all, and once: the row is locked, and a
second evaluator finds it locked or no longer due. Its cost does not depend on the number of calls.
"""

import logging
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from common.actors import EVALUATOR
from common.clock import now
from common.errors import Conflict
from observability import evidence
from rollout import services
from rollout.core.plan import ERROR_RATE, Plan
from rollout.core.stats import metric as statistics
from rollout.core.stats.sample_ratio import StepUnits, effective_units, log_bayes_factor
from rollout.core.verdict import Finding, Situation, decide
from rollout.core.verdict_body import verdict_body
from rollout.models import ACTIVE, Batch, HoldReason, Metric, Rollout, Status, Verdict
from rollout.selectors import find_rollout

logger = logging.getLogger(__name__)

# Under it the permutation of a batch's arms carries too little for the bets to stay fair (statistics.md, formulae).
LEAST_BATCH = 40
# A look that failed is tried again after this long: a fault must not turn into a busy loop.
RETRY_AFTER = timedelta(minutes=1)
LONGEST_REASON = 200
# Evaluators' clocks may differ by this much: what is planned further away was planned by a clock that was wrong.
CLOCKS_DIFFER_BY = timedelta(minutes=5)
DATABASE_AWAY = (OperationalError, InterfaceError)

UnitBuckets = dict[tuple[int, str], dict[str, dict[int, int]]]


def evaluate_due() -> int:
    """Look at every rollout whose look is due; how many were looked at. One that fails does not stop the others."""
    _recall_looks()
    due = Rollout.objects.filter(status__in=ACTIVE, next_look_at__lte=now()).order_by("next_look_at")
    looked = 0
    for rollout_id in list(due.values_list("id", flat=True)):
        try:
            looked += look(rollout_id)
        except DATABASE_AWAY:
            logger.warning("evaluation.database_away", exc_info=True, extra={"rollout": rollout_id})
        except Exception as error:
            logger.exception("evaluation.failed", extra={"rollout": rollout_id})
            _hold_failed(rollout_id, error)
    return looked


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
    rollout.next_look_at = now() + timedelta(seconds=plan.look_every_s)
    rollout.save(update_fields=["next_look_at"])
    closed = _close_batches(rollout)
    buckets = evidence.unit_buckets(rollout.id, _versions(rollout))
    units = {name: effective_units(*_arms(buckets, name)) for name in {name for _, name in buckets}}
    found = _situation(
        rollout, plan, canary_units=max((canary for _, canary in units.values()), default=0), buckets=buckets
    )
    finding = decide(found, plan)
    verdict = _record(rollout, finding, verdict_body(found, finding, plan, units, now()), anything_new=closed > 0)
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


def _versions(rollout: Rollout) -> dict[str, int]:
    return {"control": rollout.control_id, "canary": rollout.canary_id}


def _close_batches(rollout: Rollout) -> int:
    """Fold what arrived into the metrics' states, one batch for each metric and step; how many batches were closed.

    A batch stays open until both arms are in it and it holds LEAST_BATCH observations; nothing but time and numbers of
    observations, never their outcome, decides when it is closed.
    """
    metrics = {metric.name: metric for metric in rollout.metrics.all()}
    closed = 0
    for (step, name), counts in sorted(evidence.open_counts(rollout.id, _versions(rollout)).items()):
        ready = counts["control"] and counts["canary"] and counts["control"] + counts["canary"] >= LEAST_BATCH
        if name in metrics and ready and step < len(rollout.plan["steps"]):
            _close_batch(rollout, metrics[name], step)
            closed += 1
    return closed


def _close_batch(rollout: Rollout, metric: Metric, step: int) -> None:
    arms = evidence.take(rollout_id=rollout.id, step=step, metric=metric.name, versions=_versions(rollout))
    frozen, state = _process(metric)
    state = statistics.fold(frozen, state, step=step, control=arms["control"], canary=arms["canary"])
    Batch.objects.create(
        metric=metric,
        number=metric.batches + 1,
        step=step,
        closed_at=now(),
        control=arms["control"],
        canary=arms["canary"],
    )
    metric.frozen, metric.state, metric.batches = frozen.to_json(), state.to_json(), metric.batches + 1
    metric.save(update_fields=["frozen", "state", "batches"])


def _process(metric: Metric) -> tuple[statistics.Frozen, statistics.State]:
    """What is frozen of the metric and where its e-processes stand; at their beginning before the first batch."""
    if metric.frozen is not None and metric.state is not None:
        return statistics.Frozen.from_json(metric.frozen), statistics.State.from_json(metric.state)
    frozen = statistics.freeze(**metric.declared, baseline_n=metric.baseline_n, baseline_total=metric.baseline_total)
    return frozen, statistics.start(frozen)


def _situation(rollout: Rollout, plan: Plan, *, canary_units: float, buckets: UnitBuckets) -> Situation:
    reports = tuple(statistics.report(*_process(metric)) for metric in rollout.metrics.all())
    at = now()
    return Situation(
        reports=reports,
        log_e_harm=statistics.overall_log_e(reports),
        log_e_sample_ratio=_sample_ratio(buckets, plan),
        canary_units=canary_units,
        step=rollout.step,
        hold_served=bool(rollout.hold_until and rollout.hold_until <= at),
        time_is_up=bool(rollout.deadline_at and rollout.deadline_at <= at and rollout.status == Status.RUNNING),
        paused=rollout.status == Status.PAUSED,
        hold_reason=rollout.hold_reason,
    )


def _sample_ratio(buckets: UnitBuckets, plan: Plan) -> float:
    """Log Bayes factor against the shares that the steps gave the arms, over every call that named an exposure."""
    return log_bayes_factor(
        [
            StepUnits(plan.steps[step].weight_bp / 10_000, arms["control"], arms["canary"])
            for (step, name), arms in sorted(buckets.items())
            if name == ERROR_RATE and step < len(plan.steps)
        ]
    )


def _arms(buckets: UnitBuckets, metric: str) -> tuple[dict[int, int], dict[int, int]]:
    """Observations of the metric by unit bucket, over all steps, of control and canary."""
    control: dict[int, int] = {}
    canary: dict[int, int] = {}
    for (_, name), arms in buckets.items():
        if name == metric:
            for total, counts in ((control, arms["control"]), (canary, arms["canary"])):
                for bucket, n in counts.items():
                    total[bucket] = total.get(bucket, 0) + n
    return control, canary


def _record(rollout: Rollout, finding: Finding, body: dict[str, Any], *, anything_new: bool) -> Verdict | None:
    """Store the verdict, unless it says what the last one said."""
    last = rollout.verdict
    repeats = last and (last.kind, last.body["reasons"]) == (finding.kind, body["reasons"])
    if repeats and not anything_new and not finding.act:
        return None
    verdict = Verdict.objects.create(rollout=rollout, kind=finding.kind, step=rollout.step, found_at=now(), body=body)
    rollout.verdict = verdict
    rollout.save(update_fields=["verdict"])
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
        if planned_at > latest:
            Rollout.objects.filter(pk=rollout_id, next_look_at=planned_at).update(next_look_at=now())
            logger.warning("evaluation.clock_went_back", extra={"rollout": rollout_id})


def _hold_failed(rollout_id: str, error: Exception) -> None:
    """Hold the rollout and look again in a minute. What goes wrong here must not keep others from being looked at."""
    again_at = now() + RETRY_AFTER
    try:
        services.fail_evaluation(
            rollout_id=rollout_id, actor=EVALUATOR, reason=_in_short(error), next_look_at=again_at
        )
    except Conflict:
        pass  # somebody ended it since the look began
    except Exception:
        logger.exception("evaluation.hold_failed", extra={"rollout": rollout_id})
        Rollout.objects.filter(pk=rollout_id, status__in=ACTIVE).update(next_look_at=again_at)


def _in_short(error: Exception) -> str:
    """Its class and the first line of its message: in those that follow databases quote what is stored."""
    message = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {message}"[:LONGEST_REASON]
