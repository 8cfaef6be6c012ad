"""Why a verdict is what it is: recomputed from what it was computed from, and held against what was stored.

That is the plan, what was frozen of each metric, its closed batches up to then, and the inputs that the verdict itself
keeps. None of it changes afterwards, so a verdict can be explained whenever: after the end, whatever came later.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from common.errors import Conflict, NotFound
from rollout.batches import arms_of, declared, fold_again, freeze, frozen_of
from rollout.core.plan import Plan, dollars
from rollout.core.stats import metric as statistics
from rollout.core.stats import sample_ratio
from rollout.core.verdict import (
    Finding,
    Situation,
    decide,
    is_broken,
    is_harmful,
    is_spent,
    log_threshold,
    waits_for,
)
from rollout.core.verdict_body import Inputs, inputs_of, situation, verdict_body
from rollout.models import Batch, Metric, Verdict

MISSING = "nothing"


@dataclass(frozen=True, slots=True)
class Folded:
    """A closed batch, and the state of its metric before and after it."""

    batch: Batch
    before: statistics.State
    weighed: statistics.Weighed
    after: statistics.State


@dataclass(frozen=True, slots=True)
class Account:
    """A metric up to the verdict. frozen, state: None while it had no batch."""

    metric: Metric
    report: statistics.Report
    folded: tuple[Folded, ...]
    frozen: statistics.Frozen | None
    state: statistics.State | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what is stored and what follows, at a path such as `metrics[error_rate].log_e_harm`."""

    where: str
    stored: Any
    recomputed: Any


@dataclass(frozen=True, slots=True)
class Rule:
    """A question of the decision. answer: None when an earlier yes has decided. why: with the numbers."""

    question: str
    answer: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, everything that it was computed from, and the same computed again. differences: none if it agrees."""

    verdict: Verdict
    plan: Plan
    inputs: Inputs
    accounts: tuple[Account, ...]
    found: Situation
    finding: Finding
    rules: tuple[Rule, ...]
    differences: tuple[Difference, ...]

    @property
    def batches(self) -> int:
        return sum(len(account.folded) for account in self.accounts)


def explain(verdict_id: int) -> Explanation:
    """Raises NotFound, and Conflict (no_inputs) on a verdict of an earlier release that did not keep its inputs."""
    verdict = _find_verdict(verdict_id)
    plan, inputs = Plan.from_json(verdict.rollout.plan), _inputs(verdict)
    metrics = [metric for metric in verdict.rollout.metrics.all() if metric.name in inputs.batches]
    accounts = tuple(_account(metric, inputs.batches[metric.name], plan) for metric in metrics)
    found = situation(tuple(account.report for account in accounts), inputs)
    finding = decide(found, plan)
    differences = (
        *_of_bodies(verdict, verdict_body(found, finding, plan, inputs)),
        *(difference for account in accounts for difference in _of_account(account, inputs, plan)),
    )
    return Explanation(verdict, plan, inputs, accounts, found, finding, tuple(_rules(found, plan)), differences)


def _find_verdict(verdict_id: int) -> Verdict:
    """The verdict with its rollout. Raises NotFound."""
    related = ("rollout__prompt", "rollout__label", "rollout__control", "rollout__canary")
    found = Verdict.objects.select_related(*related).filter(pk=verdict_id).first()
    if found is None:
        raise NotFound("unknown_verdict", f"There is no verdict {verdict_id}")
    return found


def _inputs(verdict: Verdict) -> Inputs:
    try:
        return inputs_of(verdict.body, step=verdict.step)
    except KeyError as missing:
        raise Conflict(
            "no_inputs", f"Verdict {verdict.pk} was stored by an earlier release, which did not keep its {missing}"
        ) from missing


def _account(metric: Metric, batches: int, plan: Plan) -> Account:
    if not batches:
        return Account(metric, statistics.nothing_yet(declared(metric)), (), None, None)
    frozen = frozen_of(metric, plan)
    folded = tuple(_fold(frozen, metric.closed_batches.filter(number__lte=batches).order_by("number")))
    state = folded[-1].after if folded else statistics.start(frozen)
    return Account(metric, statistics.report(frozen, state), folded, frozen, state)


def _fold(frozen: statistics.Frozen, batches: Iterable[Batch]) -> Iterator[Folded]:
    state = statistics.start(frozen)
    for batch in batches:
        before, state = state, fold_again(frozen, state, batch)
        yield Folded(batch, before, statistics.weigh(frozen, before, step=batch.step, **arms_of(batch)), state)


def _of_bodies(verdict: Verdict, recomputed: Mapping[str, Any]) -> Iterator[Difference]:
    yield from _differences("", _by_name(verdict.body), _by_name(_as_stored(recomputed)))
    if verdict.kind != recomputed["kind"]:
        yield Difference("the verdict's kind", verdict.kind, recomputed["kind"])


def _of_account(account: Account, inputs: Inputs, plan: Plan) -> Iterator[Difference]:
    """Batches that are missing, and what is frozen but does not follow from what was declared and the baseline."""
    name, stored = account.metric.name, account.metric.frozen
    if len(account.folded) != inputs.batches[name]:
        yield Difference(f"closed batches of {name}", len(account.folded), inputs.batches[name])
    if account.frozen and stored:
        follows = _as_stored(freeze(account.metric, plan).to_json())
        yield from _differences(f"frozen of {name}", stored, follows)


def _by_name(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with its metrics by name, as people look for them."""
    return {**body, "metrics": {metric["name"]: metric for metric in body["metrics"]}}


def _as_stored(made: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(made))


def _differences(where: str, stored: Any, recomputed: Any) -> Iterator[Difference]:
    match stored, recomputed:
        case dict(), dict():
            for name in sorted({*stored, *recomputed}):
                path = f"metrics[{name}]" if where == "metrics" else f"{where}.{name}".lstrip(".")
                yield from _differences(path, stored.get(name, MISSING), recomputed.get(name, MISSING))
        case list(), list():
            for index, (was, follows) in enumerate(zip_longest(stored, recomputed, fillvalue=MISSING)):
                yield from _differences(f"{where}[{index}]", was, follows)
        case _ if stored != recomputed:
            yield Difference(where, stored, recomputed)


def _rules(found: Situation, plan: Plan) -> Iterator[Rule]:
    """The rules of the decision (core.verdict.decide) in their order: the first yes decides."""
    waits = tuple(waits_for(found, plan))
    decided = False
    for question, answer, why in (
        *([] if plan.canary_spend_cap is None else [_cap_rule(found, plan)]),
        ("Is a sample ratio broken?", is_broken(found), _why_broken(found)),
        ("Is harm found?", is_harmful(found, plan), _why_harmful(found, plan)),
        ("Is nothing left to wait for?", not waits, " ".join(waits) or "Nothing is."),
        ("Is its time up?", found.time_is_up, f"max_duration is {'over' if found.time_is_up else 'not over'}."),
    ):
        yield Rule(question, None if decided else answer, "" if decided else why)
        decided = decided or answer


def _cap_rule(found: Situation, plan: Plan) -> tuple[str, bool, str]:
    cap, spend = plan.canary_spend_cap, found.canary_spend
    held = " It is held for it until a person acts." if found.hold_reason == "spend_cap" else ""
    known = "not recorded" if spend is None else f"{dollars(spend.usd)} USD of {spend.priced} calls"
    why = f"The canary's known cost is {known}; the cap is {dollars(cap or Decimal(0))} USD.{held}"
    return "Has the canary cost what it may, and is no harm found?", is_spent(found, plan), why


def _why_broken(found: Situation) -> str:
    held = " It is held for it until a person acts." if found.hold_reason == "sample_ratio" else ""
    return (
        f"ln B is {found.log_e_sample_ratio:z.6f} of the units and {found.log_e_judged_ratio:z.6f} of the scores; "
        f"broken is from {sample_ratio.LOG_THRESHOLD:z.6f} on.{held}"
    )


def _why_harmful(found: Situation, plan: Plan) -> str:
    held = " It is held for it until a person acts." if found.hold_reason == "harm_found" else ""
    threshold = log_threshold(plan.alpha)
    return f"ln e of harm is {found.log_e_harm:z.6f}; harm is from ln(1/alpha) = {threshold:z.6f} on.{held}"
