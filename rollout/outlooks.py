"""What the evaluator foresees of rollouts that run, for people to read: nothing is decided by it.

To foresee takes a second where a look takes milliseconds. So it is done for one rollout at a time, and the older the
last outlook of a rollout the longer it keeps.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import F

from common.clock import now
from rollout.batches import LEAST_BATCH, bins_of, report_of, standing_of
from rollout.core.outlook import Unproven, foresee_proof
from rollout.core.plan import Judged, Plan
from rollout.core.stats import metric as statistics
from rollout.core.verdict import log_threshold
from rollout.models import ACTIVE, Metric, Outlook, Rollout, Verdict

LOOKS = 10  # that an outlook keeps at least
AGED = 0.1  # of the rollout's age, for which it keeps at least
RECENT_BATCHES = 20  # whose control is what it is expected to be
LATELY = timedelta(days=1)


def foresee_one(looked: Sequence[str]) -> str | None:
    """Foresee the first of these rollouts whose outlook is too old, the oldest first; its id, or None."""
    waiting = Rollout.objects.filter(pk__in=looked, status__in=ACTIVE).select_related("outlook")
    for rollout in waiting.order_by(F("outlook__foreseen_at").asc(nulls_first=True)):
        plan = Plan.from_json(rollout.plan)
        if plan.promote_when == "proven_safe" and _is_due(rollout, plan) and _foresee(rollout, plan):
            return rollout.pk
    return None


def _is_due(rollout: Rollout, plan: Plan) -> bool:
    outlook: Outlook | None = getattr(rollout, "outlook", None)
    at = now()
    if outlook is None:
        return True
    age = outlook.foreseen_at - (rollout.started_at or at)
    return at - outlook.foreseen_at >= max(timedelta(seconds=LOOKS * plan.look_every_s), AGED * age)


def _foresee(rollout: Rollout, plan: Plan) -> bool:
    """False where nothing can be foreseen: before there is evidence of every guardrail, and when all is proven."""
    metrics = list(rollout.metrics.all())
    guardrails = [metric for metric in metrics if metric.declared["role"] == "guardrail"]
    if not all(metric.batches for metric in guardrails):
        return False
    reports = {metric.name: report_of(metric, plan) for metric in metrics}
    control, canary = (max(getattr(report, n) for report in reports.values()) for n in ("control_n", "canary_n"))
    unproven = [
        _unproven(metric, plan, observed=_observed(reports[metric.name], control, canary))
        for metric in guardrails
        if reports[metric.name].max_log_e_safe < log_threshold(plan.alpha)
    ]
    if not unproven:
        return False
    proof = foresee_proof(
        unproven,
        step=rollout.step,
        share=rollout.weight_bp / 10_000,
        log_threshold=log_threshold(plan.alpha),
        least_batch=LEAST_BATCH,
    )
    found = {
        "foreseen_at": now(),
        "canary_calls": None if proof.canary_calls is None else canary + proof.canary_calls,
        "metric": proof.metric,
        "calls_per_s": _calls_per_s(rollout, control + canary),
    }
    Outlook.objects.update_or_create(rollout=rollout, defaults=found)
    return True


def _unproven(metric: Metric, plan: Plan, *, observed: Judged) -> Unproven:
    control = Counter(bins_of(metric.baseline))
    for batch in metric.closed_batches.order_by("-number")[:RECENT_BATCHES]:
        control += Counter(bins_of(batch.control))
    frozen, state = standing_of(metric, plan)
    return Unproven(frozen, state, control, observed)


def _observed(report: statistics.Report, control: int, canary: int) -> Judged:
    """Which share of each arm's calls; all where there was none yet, as may be of complaints."""
    if not (report.control_n and report.canary_n):
        return Judged()
    return Judged(report.control_n / control, report.canary_n / canary)


def _calls_per_s(rollout: Rollout, calls: int) -> float:
    """Of both arms: in the last day, or since the start."""
    at = now()
    since, before = rollout.started_at or at, 0
    earlier = rollout.verdicts.filter(found_at__lte=at - LATELY).first()
    if earlier:
        since, before = earlier.found_at, _calls(earlier)
    return max(calls - before, 0) / max((at - since).total_seconds(), 1.0)


def _calls(verdict: Verdict) -> int:
    """Of both arms, as far as they were evidence then."""
    metrics = verdict.body["metrics"]
    return sum(max((metric[arm]["n"] for metric in metrics), default=0) for arm in ("control", "canary"))
