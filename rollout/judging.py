"""By whom is a plan's rollout judged, and how many calls of each arm? Resolved when it starts, and fixed from then on.

An evaluator's newest version then is the rollout's for its life, whatever is published meanwhile. How many calls are
judged follows from the share that the prompt's judging has, where a model is asked lowered to what the budget allows at
recent traffic, and is parted between the arms for each step (core.judged). Whoever chooses calls reads the shares that
are stored here.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

from common.errors import Invalid
from observability.core.evidence import ARMS
from observability.models import PAID_KINDS, EvaluatorKind, JudgedShare
from observability.selectors import judges
from observability.selectors.judges import Budget, Judge
from registry.models import Prompt
from rollout.core.judged import LEAST_SHARE, affordable, split_by_step
from rollout.core.plan import Plan, PlanMetric
from rollout.past import calls_a_day, since_when


@dataclass(frozen=True, slots=True)
class Demand:
    """What judging a prompt takes in a day while a plan's rollout runs, by all that asks a model together.

    evaluators: by name. wanted: calls by the shares that were set, and afforded: the part of them that the budget
    allows. usd_a_day: of what is afforded; None where it is not known what a judgement costs.
    """

    evaluators: Collection[str]
    wanted: float
    afforded: float
    usd_a_day: float | None
    budget: Budget

    @property
    def calls_a_day(self) -> float:
        return self.wanted * self.afforded


def pinned(plan: Plan, prompt: Prompt) -> Plan:
    """The plan with each evaluator's newest version, unless it names one, and with the judged shares of each step.

    Raises Invalid on an evaluator that there is no more.
    """
    if not names_evaluators(plan):
        return plan
    since = since_when(prompt)
    return judged(plan, prompt, calls=judges.calls(prompt=prompt.name, since=since), since=since)[0]


def judged(plan: Plan, prompt: Prompt, *, calls: int, since: datetime) -> tuple[Plan, Demand | None]:
    """As `pinned`, and what that takes of the prompt's budget; None where nobody asks a model. calls: of the prompt."""
    known = judges.judges(prompt)
    _check(plan, known)
    demand = _demand(plan, prompt, known, calls_a_day(calls, since=since))
    metrics = (_judged(metric, plan, known, demand) if metric.evaluator else metric for metric in plan.metrics)
    return replace(plan, metrics=tuple(metrics)), demand


def store_shares(rollout_id: str, plan: Plan) -> None:
    """What is to be judged of each arm on each step, in the transaction that starts the rollout."""
    versions = {metric.evaluator: metric for metric in plan.metrics if metric.evaluator}
    JudgedShare.objects.bulk_create(
        JudgedShare(
            rollout=rollout_id,
            step=step,
            arm=arm,
            evaluator_version_id=version_id,
            share=getattr(metric.judged_on(step), arm),
        )
        for version_id, metric in _by_version(versions)
        for step, arm in product(range(len(plan.steps)), ARMS)
    )


def names_evaluators(plan: Plan) -> bool:
    return any(metric.evaluator for metric in plan.metrics)


def _check(plan: Plan, known: Mapping[str, Judge]) -> None:
    """A draft may have been made long before."""
    for index, metric in enumerate(plan.metrics):
        name = metric.evaluator.partition("@")[0]
        if name and name not in known:
            raise Invalid.field(f"plan.metrics[{index}].evaluator", f"expected an evaluator that there is, got {name}")


def _by_version(versions: Mapping[str, PlanMetric]) -> Iterator[tuple[int, PlanMetric]]:
    for written, metric in versions.items():
        name, _, ordinal = written.partition("@")
        yield judges.version_id(name, int(ordinal)), metric


def _judged(metric: PlanMetric, plan: Plan, known: Mapping[str, Judge], demand: Demand | None) -> PlanMetric:
    name, _, ordinal = metric.evaluator.partition("@")
    judge = known[name]
    version = f"{name}@{ordinal or judge.newest}"
    if metric.judged_by_step or judge.kind == EvaluatorKind.EXTERNAL:
        return replace(metric, evaluator=version)
    afforded = demand.afforded if demand and name in demand.evaluators else 1.0
    shares = split_by_step(
        max(judge.share * afforded, LEAST_SHARE),
        weights=[step.weight_bp / 10_000 for step in plan.steps],
        canary_at_most=judge.canary_share,
    )
    return replace(metric, evaluator=version, judged_by_step=shares)


def _demand(plan: Plan, prompt: Prompt, known: Mapping[str, Judge], a_day: float) -> Demand | None:
    shares = dict(_shares(plan, known.values()))
    if not shares:
        return None
    budget, usd = judges.budget(prompt), judges.usd_per_call(prompt, since=since_when(prompt))
    wanted = a_day * sum(shares.values())
    usd_wanted = a_day * sum(share * usd.get(name, 0.0) for name, share in shares.items())
    afforded = min(
        affordable(wanted_a_day=wanted, most_a_day=budget.calls_a_day),
        affordable(wanted_a_day=usd_wanted, most_a_day=None if budget.usd_a_day is None else float(budget.usd_a_day)),
    )
    is_known = all(name in usd for name in shares)
    return Demand(shares.keys(), wanted, afforded, usd_wanted * afforded if is_known else None, budget)


def _shares(plan: Plan, known: Iterable[Judge]) -> Iterator[tuple[str, float]]:
    """Of all calls, by evaluator that asks a model: of those that judge the prompt, and those that the plan names."""
    named = {metric.evaluator.partition("@")[0]: metric for metric in plan.metrics if metric.evaluator}
    for judge in known:
        if judge.kind not in PAID_KINDS or not (judge.judges or judge.name in named):
            continue
        metric = named.get(judge.name)
        yield judge.name, _most_of_a_step(metric, plan) if metric and metric.judged_by_step else judge.share


def _most_of_a_step(metric: PlanMetric, plan: Plan) -> float:
    """Of all calls, where people have written the arms' shares."""
    weights = (step.weight_bp / 10_000 for step in plan.steps)
    return max(
        weight * judged.canary + (1 - weight) * judged.control
        for weight, judged in zip(weights, metric.judged_by_step, strict=True)
    )
