"""What another plan would have decided on the evidence that a rollout really got, and when.

The looks are those that were: each stored verdict says which batches were closed by then, how many units had seen the
canary, what share each arm got and whether a person had paused. The steps are those that were, too, since there is no
evidence of other shares: that the other plan would have left one earlier is only said. A rollback or a promotion ends
the replay.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from common.errors import Conflict, FieldError, Invalid
from rollout.batches import absorb, arms_of, bins_of, report_of
from rollout.core.plan import KIND_OF, Plan, PlanMetric
from rollout.core.verdict import Finding, decide
from rollout.core.verdict_body import Inputs, inputs_of, situation, verdict_body
from rollout.models import Batch, Metric, Rollout, Transition
from rollout.plans import Judges, Seen, read_plan, resolve_margin
from rollout.selectors import find_rollout
from rollout.units import is_judged

ENDS = ("promote", "rollback")


@dataclass(frozen=True, slots=True)
class Look:
    """A look of the rollout, as the other plan would have found it. body: the verdict that it would have stored."""

    verdict_id: int
    at: datetime
    step: int
    canary_calls: int
    finding: Finding
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Replay:
    """changes: the looks at which the finding was another one than at the look before. outcome: the look that ended or
    held the rollout, None if none did. last: the last look that there was. untested: the metrics whose scores' sample
    ratio was not counted."""

    rollout: Rollout
    plan: Plan
    changes: tuple[Look, ...]
    outcome: Look | None
    last: Look
    really: Transition
    untested: tuple[str, ...]


def replay(*, rollout_id: str, written: Any) -> Replay:
    """written: the other plan, as people write it (rollout.plans).

    Raises NotFound, Conflict (no_verdicts), and Invalid on a plan that is wrong, has other weights, or judges what the
    rollout did not.
    """
    rollout = find_rollout(rollout_id)
    really = rollout.transitions.order_by("id").last()
    if really is None or not rollout.verdicts.exists():
        raise Conflict("no_verdicts", f"There is no verdict of {rollout.pk} yet that could be replayed")
    judged = list(rollout.metrics.all())
    real = Plan.from_json(rollout.plan)
    plan = _judged_as(read_plan(written, seen=_seen(rollout, judged, real)), real)
    _check_weights(plan, real)
    course = Course(rollout, plan, judged)
    changes: list[Look] = []
    outcome = None
    for look in course.looks():
        if not changes or _gist(look) != _gist(changes[-1]):
            changes.append(look)
        if look.finding.act in (*ENDS, "hold"):
            outcome = look
    return Replay(rollout, plan, tuple(changes), outcome, look, really, course.untested)


class Rerun:
    """A metric of the other plan. source: the rollout's metric of the same measure, whose batches it gets."""

    def __init__(self, index: int, metric: PlanMetric, source: Metric) -> None:
        margin = resolve_margin(index, metric, bins_of(source.baseline))
        self.source = source
        self.metric = Metric(  # never saved
            name=metric.name,
            measure=metric.measure,
            declared=replace(metric, margin=margin).to_json(),
            baseline=source.baseline,
        )
        self._waiting: deque[Batch] = deque(source.closed_batches.order_by("number"))

    def catch_up(self, batches: int, plan: Plan) -> int:
        """Fold what had been closed when the source had so many batches; how many count."""
        closed = 0
        while self._waiting and self._waiting[0].number <= batches:
            batch = self._waiting.popleft()
            arms = arms_of(batch)
            closed += absorb(self.metric, plan, step=batch.step, arms=arms, design_effect=batch.design_effect)
        return closed


class Clock:
    """When steps were entered, and what pauses took; a plan that waits as long as the real one finds what it found."""

    def __init__(self, rollout: Rollout) -> None:
        self._real = Plan.from_json(rollout.plan)
        self._entered: dict[int, datetime] = {}
        self._pauses: list[tuple[datetime, datetime]] = []
        paused_at = None
        for change in rollout.transitions.order_by("id"):
            if change.action in ("started", "step_advanced"):
                self._entered[change.step] = change.happened_at
            elif change.action == "paused":
                paused_at = change.happened_at
            elif change.action == "resumed" and paused_at:
                self._pauses.append((paused_at, change.happened_at))

    def hold_served(self, plan: Plan, was: Inputs) -> bool:
        hold_s = plan.steps[was.step].hold_s
        if hold_s == self._real.steps[was.step].hold_s:
            return was.hold_served
        return self._is_over(hold_s, since=self._entered[was.step], at=was.at)

    def time_is_up(self, plan: Plan, was: Inputs) -> bool:
        if plan.max_duration_s == self._real.max_duration_s:
            return was.time_is_up
        return not was.paused and self._is_over(plan.max_duration_s, since=self._entered[0], at=was.at)

    def _is_over(self, seconds: int, *, since: datetime, at: datetime) -> bool:
        """Pauses that have ended by then prolong it, as services.resume does."""
        paused = (end - start for start, end in self._pauses if since <= start and end <= at)
        return since + timedelta(seconds=seconds) + sum(paused, timedelta()) <= at


class Course:
    """The other plan's way through the looks that there were."""

    def __init__(self, rollout: Rollout, plan: Plan, judged: Sequence[Metric]) -> None:
        self._rollout, self._plan, self._clock = rollout, plan, Clock(rollout)
        sources = _sources(plan, judged)
        self._reruns = [Rerun(index, *pair) for index, pair in enumerate(zip(plan.metrics, sources, strict=True))]
        self._counted = _counted_as(plan, Plan.from_json(rollout.plan))

    @property
    def untested(self) -> tuple[str, ...]:
        return tuple(m.name for m in self._plan.metrics if is_judged(m) and m.name not in self._counted)

    def looks(self) -> Iterator[Look]:
        """At least one, up to the first that ends the rollout."""
        held = ""
        for verdict in self._rollout.verdicts.order_by("id").iterator():
            look = self._look(verdict.pk, inputs_of(verdict.body, step=verdict.step), held)
            yield look
            held = look.finding.hold_reason or held
            if look.finding.act in ENDS:
                return

    def _look(self, verdict_id: int, was: Inputs, held: str) -> Look:
        closed = sum(rerun.catch_up(was.batches[rerun.source.name], self._plan) for rerun in self._reruns)
        inputs = replace(
            was,
            batches={rerun.metric.name: rerun.metric.batches for rerun in self._reruns},
            judged_ratio={name: was.judged_ratio[counted] for name, counted in self._counted.items()},
            fresh=closed > 0,
            hold_served=self._clock.hold_served(self._plan, was),
            time_is_up=self._clock.time_is_up(self._plan, was),
            hold_reason=held,
        )
        found = situation(tuple(report_of(rerun.metric, self._plan) for rerun in self._reruns), inputs)
        finding = decide(found, self._plan)
        return Look(
            verdict_id,
            at=was.at,
            step=was.step,
            canary_calls=max(report.canary_n for report in found.reports),
            finding=finding,
            body=verdict_body(found, finding, self._plan, inputs),
        )


def _seen(rollout: Rollout, judged: Sequence[Metric], real: Plan) -> Seen:
    """What the other plan may leave unsaid is what the rollout judged, and by whom."""
    return Seen(
        judges=tuple(_judge(metric) for metric in real.metrics if metric.evaluator),
        scores={metric.measure: metric.declared["kind"] for metric in judged if metric.measure not in KIND_OF},
        measured=frozenset(metric.measure for metric in judged),
        has_response_schema=rollout.canary.response_schema is not None,
    )


def _judge(metric: PlanMetric) -> Judges:
    name, _, ordinal = metric.evaluator.partition("@")
    return Judges(name, metric.measure, metric.kind, newest=int(ordinal), by_default=True)


def _judged_as(plan: Plan, real: Plan) -> Plan:
    """The other plan with each evaluator's calls chosen as they really were. Raises Invalid on another version."""
    chosen = {metric.measure: metric for metric in real.metrics if metric.evaluator}
    return replace(plan, metrics=tuple(_chosen_as(index, metric, chosen) for index, metric in enumerate(plan.metrics)))


def _chosen_as(index: int, metric: PlanMetric, chosen: Mapping[str, PlanMetric]) -> PlanMetric:
    was = chosen.get(metric.measure)
    if was is None or not metric.evaluator:
        return metric
    if "@" in metric.evaluator and metric.evaluator != was.evaluator:
        message = f"the rollout kept evidence of {was.evaluator} alone"
        raise Invalid.fields(
            [FieldError(f"plan.metrics[{index}].evaluator", "no_evidence", message)], code="invalid_plan"
        )
    return replace(metric, evaluator=was.evaluator, judged=was.judged, judged_by_step=was.judged_by_step)


def _check_weights(plan: Plan, real: Plan) -> None:
    wanted, were = ([step.weight_bp for step in steps] for steps in (plan.steps, real.steps))
    if wanted != were:
        written = " - ".join(f"{weight / 100:g} %" for weight in were)
        raise Invalid.field(
            "plan.steps",
            f"expected the weights that the rollout had, {written}: of other weights there is no evidence. "
            "Holds may differ",
        )


def _sources(plan: Plan, judged: Sequence[Metric]) -> list[Metric]:
    """For each metric of the plan, the rollout's of its measure: rather one that has a limit, or none, as it does."""
    found, errors = [], []
    for index, metric in enumerate(plan.metrics):
        same = [one for one in judged if one.measure == metric.measure]
        same.sort(key=lambda one: (one.declared["limit"] is None) != (metric.limit is None))
        if not same:
            measures = ", ".join(sorted({one.measure for one in judged}))
            message = f"the rollout kept no evidence of {metric.measure}, only of {measures}"
        elif (same[0].declared["kind"] == "complaint") != (metric.kind == "complaint"):
            message = f"expected {metric.measure} to be a {same[0].declared['kind']}, as which its evidence was kept"
        else:
            found.append(same[0])
            continue
        errors.append(FieldError(f"plan.metrics[{index}]", "no_evidence", message))
    if errors:
        raise Invalid.fields(errors, code="invalid_plan")
    return found


def _counted_as(plan: Plan, real: Plan) -> dict[str, str]:
    """By metric whose scores' sample ratio is tested, the name under which the rollout counted them."""
    counted = {_chosen(metric): metric.name for metric in real.metrics if is_judged(metric)}
    wanted = ((metric.name, _chosen(metric)) for metric in plan.metrics if is_judged(metric))
    return {name: counted[key] for name, key in wanted if key in counted}


def _chosen(metric: PlanMetric) -> tuple[Any, ...]:
    """What its calls' shares in the arms are told by."""
    return metric.measure, metric.judged, metric.judged_by_step


def _gist(look: Look) -> tuple[Any, ...]:
    finding = look.finding
    return look.step, finding.kind, finding.act, finding.cause, finding.guilty
