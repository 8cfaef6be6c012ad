"""From what a look at the evidence found to what happens: the rules of the decision, in their order.

1. A canary that has cost what it may is rolled back, whatever its evidence is worth; harm, where it is found, is why.
2. A broken sample ratio makes everything that was measured after it worthless: nothing is decided.
3. Harm rolls back, whatever else is true: also while paused, or while waiting for a person.
4. A step is left, and a version promoted, only when nothing is left to wait for.
5. When max_duration is over before that, the plan says what becomes of it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rollout.core.plan import Plan, dollars
from rollout.core.spend import ArmSpend
from rollout.core.stats import sample_ratio
from rollout.core.stats.latencies import TAIL
from rollout.core.stats.metric import Report

# A step is left only while the e-value of harm is under this: far from a rollback, and not yet worth a worry.
LOW_E_HARM = 3.0

Kind = Literal["undecided", "harmful", "safe", "invalid", "inconclusive", "spent"]
Act = Literal["advance_step", "promote", "rollback", "hold"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a look found.

    log_e_*: natural logs of e-values now; of the sample ratio among all calls, and among those that got a score.
    canary_units: effective units that saw the canary. fresh: whether any evidence came since the last look.
    canary_spend: None where it was not recorded.
    """

    reports: tuple[Report, ...]
    log_e_harm: float
    log_e_sample_ratio: float
    log_e_judged_ratio: float
    canary_units: float
    fresh: bool
    step: int
    hold_served: bool
    time_is_up: bool
    paused: bool
    hold_reason: str
    canary_spend: ArmSpend | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """kind: of the verdict; act: what is to be done now, or None; cause: why, as transitions record it.

    guilty: the metrics that harm is blamed on. reasons: sentences for people. hold_reason: with the act `hold`.
    """

    kind: Kind
    reasons: tuple[str, ...]
    act: Act | None = None
    cause: str = ""
    guilty: tuple[str, ...] = ()
    hold_reason: str = ""


def log_threshold(alpha: float) -> float:
    """What the log of an e-value must reach: 1/alpha, by Ville's inequality."""
    return -math.log(alpha)


def decide(found: Situation, plan: Plan) -> Finding:
    """What follows from the situation under the plan."""
    if is_spent(found, plan):
        return _spent(found, plan)
    if is_broken(found):
        return _invalid(found)
    if is_harmful(found, plan):
        return _harmful(found, plan)
    waits = tuple(waits_for(found, plan))
    if not waits:
        return _go_on(found, plan)
    if found.time_is_up:
        return _inconclusive(found, plan, waits)
    return Finding("safe" if unproven(found.reports, plan.alpha) == () else "undecided", waits)


def is_spent(found: Situation, plan: Plan) -> bool:
    """Whether the canary has cost what it may, or had, when the rollout was held for it; unless harm is the reason."""
    if plan.canary_spend_cap is None:
        return False
    reached = found.canary_spend is not None and found.canary_spend.usd >= plan.canary_spend_cap
    harmful = is_harmful(found, plan) and not is_broken(found)
    return (reached or found.hold_reason == "spend_cap") and not harmful


def is_broken(found: Situation) -> bool:
    """Whether a sample ratio is, or was, when the rollout was held for it."""
    broken = max(found.log_e_sample_ratio, found.log_e_judged_ratio) >= sample_ratio.LOG_THRESHOLD
    return broken or found.hold_reason == "sample_ratio"


def is_harmful(found: Situation, plan: Plan) -> bool:
    """Whether harm is found, or was, when the rollout was held for it."""
    return found.log_e_harm >= log_threshold(plan.alpha) or found.hold_reason == "harm_found"


def waits_for(found: Situation, plan: Plan) -> Iterator[str]:
    """What is still missing before the rollout may go on, as sentences."""
    guardrails = [report for report in found.reports if report.role == "guardrail"]
    if found.paused:
        yield "It is paused."
    if not found.hold_served:
        yield f"The hold of step {found.step + 1} of {len(plan.steps)} is not served yet."
    if found.canary_units < plan.min_units:
        yield f"{int(found.canary_units)} of at least {plan.min_units} units have seen the canary."
    if found.log_e_harm >= math.log(LOW_E_HARM):
        yield f"The e-value of harm, {math.exp(found.log_e_harm):.1f}, is not under {LOW_E_HARM:g}."
    for report in guardrails:
        if found.step not in report.steps:
            yield f"There is no evidence of {report.name} from this step yet."
    if not found.fresh:
        yield "No evidence has come since the last look."
    if found.step == len(plan.steps) - 1 and plan.promote_when == "proven_safe":
        for name in unproven(found.reports, plan.alpha):
            yield f"{name} is not proven safe yet."


def unproven(reports: Sequence[Report], alpha: float) -> tuple[str, ...]:
    """The guardrails that were not yet proven to stay inside their margin; a proof once reached counts for good."""
    return tuple(
        report.name for report in reports if report.role == "guardrail" and report.max_log_e_safe < log_threshold(alpha)
    )


def guilty(reports: Sequence[Report], alpha: float) -> tuple[str, ...]:
    """The guardrails to blame for harm: by e-BH, and always the one with the most evidence; worst first.

    Source: Wang & Ramdas 2022, False discovery rate control with e-values (the base e-BH procedure).
    """
    ranked = sorted((r for r in reports if r.role == "guardrail"), key=lambda r: r.log_e_harm, reverse=True)
    blamed = 1
    for rank, report in enumerate(ranked, start=1):
        if report.log_e_harm >= math.log(len(ranked) / (rank * alpha)):
            blamed = rank
    return tuple(report.name for report in ranked[:blamed])


def _spent(found: Situation, plan: Plan) -> Finding:
    reasons = tuple(_spending(found, plan))
    if plan.auto_rollback:
        return Finding("spent", reasons, act="rollback", cause="spend_cap")
    if found.hold_reason == "spend_cap":
        return Finding("spent", reasons)
    return Finding("spent", reasons, act="hold", cause="spend_cap", hold_reason="spend_cap")


def _spending(found: Situation, plan: Plan) -> Iterator[str]:
    spend, cap = found.canary_spend, plan.canary_spend_cap
    if spend is None or cap is None:
        yield "The canary's spend cap was reached."
        return
    known = f"The canary's {spend.priced} calls of known cost came to {dollars(spend.usd)} USD"
    yield f"{known}, its cap is {dollars(cap)} USD."
    if spend.unpriced:
        yield f"The cost of {spend.unpriced} more of its calls is not known, and in none of this."


def _invalid(found: Situation) -> Finding:
    if found.log_e_judged_ratio > found.log_e_sample_ratio:
        cause, what = "judged_ratio", "of scores is broken: the arms' calls do not get scores in the plan's shares."
    else:
        cause, what = "sample_ratio", "is broken: the arms do not get the shares of units that they were given."
    reasons = (f"The sample ratio {what}",)
    if found.hold_reason == "sample_ratio":
        return Finding("invalid", reasons)
    return Finding("invalid", reasons, act="hold", cause=cause, hold_reason="sample_ratio")


def _harmful(found: Situation, plan: Plan) -> Finding:
    names = guilty(found.reports, plan.alpha)
    reasons = tuple(_harm(report) for report in found.reports if report.name in names)
    cause = f"guardrail:{','.join(names)}"
    if plan.auto_rollback:
        return Finding("harmful", reasons, act="rollback", cause=cause, guilty=names)
    if found.hold_reason == "harm_found":
        return Finding("harmful", reasons, guilty=names)
    return Finding("harmful", reasons, act="hold", cause=cause, guilty=names, hold_reason="harm_found")


def _harm(report: Report) -> str:
    canary = f"{_estimate(report, report.canary_estimate)} of {report.canary_n} canary calls"
    if report.limit is not None and report.kind == "latency":
        return f"{report.name}: {canary} take longer than {report.limit:g} ms, against {TAIL:.0%} at most."
    if report.limit is not None:
        return f"{report.name}: {canary} against a limit of {_estimate(report, report.limit)}."
    control = f"{_estimate(report, report.control_estimate)} of {report.control_n} control calls"
    return f"{report.name}: {canary} against {control}."


def _estimate(report: Report, value: float | None) -> str:
    if value is None:
        return "nothing"
    match report.unit:
        case "share":
            return f"{value:.2%}"
        case "score":
            return f"{value:.3f} on average"
        case unit:
            return f"{value:.4g} {unit} on average"


def _go_on(found: Situation, plan: Plan) -> Finding:
    proven = unproven(found.reports, plan.alpha) == ()
    kind: Kind = "safe" if proven else "undecided"
    if found.step < len(plan.steps) - 1:
        return Finding(
            kind, ("The step's hold is served and no harm was found.",), act="advance_step", cause="hold_served"
        )
    reasons = ("Every guardrail is proven to stay inside its margin.",) if proven else ("No harm was found.",)
    if plan.auto_promote:
        return Finding(kind, reasons, act="promote", cause=plan.promote_when)
    if found.hold_reason == "proven_safe":
        return Finding(kind, reasons)
    return Finding(kind, reasons, act="hold", cause=plan.promote_when, hold_reason="proven_safe")


def _inconclusive(found: Situation, plan: Plan, waits: tuple[str, ...]) -> Finding:
    reasons = ("Its time is up.", *waits)
    if plan.on_inconclusive == "rollback":
        return Finding("inconclusive", reasons, act="rollback", cause="max_duration")
    if plan.on_inconclusive == "promote" and _looks_safe(found.reports):
        return Finding("inconclusive", reasons, act="promote", cause="max_duration")
    if found.hold_reason == "inconclusive":
        return Finding("inconclusive", reasons)
    return Finding("inconclusive", reasons, act="hold", cause="max_duration", hold_reason="inconclusive")


def _looks_safe(reports: Sequence[Report]) -> bool:
    """Whether every guardrail has data, an estimate inside its margin, and little evidence of harm."""
    return all(
        report.log_e_harm < math.log(LOW_E_HARM) and _inside_margin(report)
        for report in reports
        if report.role == "guardrail"
    )


def _inside_margin(report: Report) -> bool:
    control, canary = report.control_estimate, report.canary_estimate
    if canary is None:
        return False
    if report.limit is not None:
        limit = TAIL if report.kind == "latency" else report.limit
        return canary <= limit if report.direction == "lower" else canary >= limit
    if control is None:
        return False
    if report.direction == "higher":
        control, canary = 1 - control, 1 - canary
    if "absolute" in report.margin:
        return canary <= control + report.margin["absolute"]
    if report.kind == "rate":  # whose ratio is one of odds
        return canary * (1 - control) <= report.margin["ratio"] * control * (1 - canary)
    return canary <= control * report.margin["ratio"]
