"""Batches: what arrived since the last look is taken, kept, and folded into the metrics' states.

A batch of a measure and step stays open until both arms are in it and it holds LEAST_BATCH observations; nothing but
time and numbers of observations, never their outcome, decides when it is closed. What comes later is in the next one.
What arrives in the warm-up is dropped before it is looked at.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial, reduce
from itertools import product

from common.clock import now
from observability import evidence
from observability.core.evidence import ARMS
from rollout.core.plan import ERROR_RATE, Plan, PlanMetric
from rollout.core.stats import metric as statistics
from rollout.models import Batch, Metric, Rollout
from rollout.units import Units

# Under it the permutation of a batch's arms carries too little for the bets to stay fair (statistics.md, formulae).
LEAST_BATCH = 40

Arms = dict[str, dict[int, int]]  # observations by bin


def close_batches(rollout: Rollout, plan: Plan, metrics: Sequence[Metric], units: Units) -> int:
    """Take what is ready and fold it into the rollout's metrics; how many batches were closed."""
    taken = _take(rollout, plan, metrics)
    return sum(
        _close(metric, step, arms, plan, units)
        for (step, measure), arms in taken.items()
        for metric in metrics
        if metric.measure == measure
    )


def report_of(metric: Metric, plan: Plan) -> statistics.Report:
    """What the metric says now."""
    if metric.batches == 0:
        return statistics.nothing_yet(declared(metric))
    return statistics.report(*standing_of(metric, plan))


def absorb(metric: Metric, plan: Plan, *, step: int, arms: Arms, design_effect: float) -> bool:
    """Fold a batch into the metric, unsaved; False where it only belongs to its baseline."""
    if metric.batches == 0 and statistics.learns_first(declared(metric), bins_of(metric.baseline)):
        metric.baseline = dict(Counter(bins_of(metric.baseline)) + Counter(arms["control"]))
        return False
    frozen, state = standing_of(metric, plan)
    state = statistics.fold(frozen, state, step=step, **arms, design_effect=design_effect)
    metric.frozen, metric.state, metric.batches = frozen.to_json(), state.to_json(), metric.batches + 1
    return True


def standing_of(metric: Metric, plan: Plan) -> tuple[statistics.Frozen, statistics.State]:
    """What is frozen of the metric and where its e-processes stand; after an upgrade that has to be found out again."""
    frozen = frozen_of(metric, plan)
    if metric.state is None:
        return frozen, refold(frozen, metric.closed_batches.order_by("number") if metric.batches else ())
    return frozen, statistics.State.from_json(metric.state)


def declared(metric: Metric) -> PlanMetric:
    return PlanMetric.from_json(metric.declared)


def frozen_of(metric: Metric, plan: Plan) -> statistics.Frozen:
    """What is fixed of the metric, now at the latest."""
    return freeze(metric, plan) if metric.frozen is None else statistics.Frozen.from_json(metric.frozen)


def freeze(metric: Metric, plan: Plan) -> statistics.Frozen:
    shares = [step.weight_bp / 10_000 for step in plan.steps]
    return statistics.freeze(declared(metric), baseline=bins_of(metric.baseline), shares=shares)


def refold(frozen: statistics.Frozen, batches: Iterable[Batch]) -> statistics.State:
    """The state after these closed batches, from the first on: the same to the last bit as when they were closed."""
    return reduce(partial(fold_again, frozen), batches, statistics.start(frozen))


def fold_again(frozen: statistics.Frozen, state: statistics.State, batch: Batch) -> statistics.State:
    """The state after one more of them."""
    arms = arms_of(batch)
    return statistics.fold(frozen, state, step=batch.step, **arms, design_effect=batch.design_effect)


def arms_of(batch: Batch) -> Arms:
    return {"control": bins_of(batch.control), "canary": bins_of(batch.canary)}


def bins_of(stored: Mapping[str, int]) -> dict[int, int]:
    """Observations by bin, whose keys JSON has made text."""
    return {int(place): n for place, n in stored.items()}


def _take(rollout: Rollout, plan: Plan, metrics: Sequence[Metric]) -> dict[tuple[int, str], Arms]:
    """(step, measure) → what was open of it and is ready, taken in the writers' order.

    Complaints are always ready, and come with the calls that were taken of their step.
    """
    complaints = {metric.measure for metric in metrics if metric.declared["kind"] == "complaint"}
    wanted = {metric.measure for metric in metrics} | ({ERROR_RATE} if complaints else set())
    taken: dict[tuple[int, str], Arms] = {}
    for (step, measure), counts in sorted(evidence.open_counts(rollout.id, rollout.versions).items()):
        if measure in wanted and step < len(plan.steps) and (measure in complaints or _is_ready(counts)):
            taken[step, measure] = evidence.take(
                rollout_id=rollout.id, step=step, metric=measure, versions=rollout.versions
            )
    for step, measure in product(range(len(plan.steps)), complaints):
        if calls := taken.get((step, ERROR_RATE)):
            arms = taken.setdefault((step, measure), {arm: {} for arm in ARMS})
            for arm in ARMS:
                arms[arm] = {**arms[arm], 0: sum(calls[arm].values())}
    return taken


def _is_ready(counts: Mapping[str, int]) -> bool:
    return bool(counts["control"] and counts["canary"]) and counts["control"] + counts["canary"] >= LEAST_BATCH


def is_warming_up(rollout: Rollout, plan: Plan) -> bool:
    """Whether any of what is open now may have arrived within the warm-up."""
    since = rollout.looked_at or rollout.started_at
    return bool(since and rollout.started_at and since < rollout.started_at + timedelta(seconds=plan.warm_up_s))


def _close(metric: Metric, step: int, arms: Arms, plan: Plan, units: Units) -> bool:
    """Fold what was taken into the metric and keep it; False where it only belongs to its baseline."""
    design_effect = units.design_effect(declared(metric))
    closed = absorb(metric, plan, step=step, arms=arms, design_effect=design_effect)
    if not closed:
        metric.save(update_fields=["baseline"])
        return False
    Batch.objects.create(
        metric=metric, number=metric.batches, step=step, closed_at=now(), **arms, design_effect=design_effect
    )
    metric.save(update_fields=["frozen", "state", "batches"])
    return True
