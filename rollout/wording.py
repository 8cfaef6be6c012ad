"""Rollouts as people read them: the state they are in, why, and what happens next. The one place of these words.

*No harm found* is not *Proven safe*. *Held* says by what. *Rolled back* says why, when, and how many calls saw it.
What comes back as SafeString holds a <time>; everything that people or programs named is escaped in it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from rollout.core.pace import seconds_until
from rollout.core.plan import ERROR_RATE, Plan
from rollout.formats import about, count, duration, e_value, estimate, limit, moment, money, of_limit, roughly, weight
from rollout.models import Delivery, DeliveryStatus, HoldReason, Outlook, Rollout, Status, Transition, Verdict


@dataclass(frozen=True, slots=True)
class State:
    """A state in words. icon: harm, safe, held or open, the class that gives the words their icon and colour."""

    icon: str
    words: str


NO_EVIDENCE = State("open", "No evidence yet")
ENDED = {
    Status.PROMOTED: State("safe", "Promoted"),
    Status.ROLLED_BACK: State("harm", "Rolled back"),
    Status.CANCELLED: State("open", "Cancelled"),
}
HELD = {
    HoldReason.SAMPLE_RATIO: State("held", "Held: sample ratio broken"),
    HoldReason.INCONCLUSIVE: State("held", "Held: its time is up"),
    HoldReason.HARM_FOUND: State("harm", "Held: harm found"),
    HoldReason.PROVEN_SAFE: State("held", "Held: waits for a person to promote it"),
    HoldReason.EVALUATION_FAILED: State("held", "Held: a look at it failed"),
    HoldReason.SPEND_CAP: State("held", "Held: the canary has cost what it may"),
}
HAPPENED = {
    "paused": State("held", "Paused"),
    "resumed": State("open", "Resumed"),
    "invalid": HELD[HoldReason.SAMPLE_RATIO],
    "inconclusive": HELD[HoldReason.INCONCLUSIVE],
    "harm_found": HELD[HoldReason.HARM_FOUND],
    "proven_safe": HELD[HoldReason.PROVEN_SAFE],
    "evaluation_failed": HELD[HoldReason.EVALUATION_FAILED],
    "spend_cap_reached": HELD[HoldReason.SPEND_CAP],
    "recovered": State("open", "Looked at again"),
    "promoted": ENDED[Status.PROMOTED],
    "rolled_back": ENDED[Status.ROLLED_BACK],
    "cancelled": ENDED[Status.CANCELLED],
}
CAUSES = {
    "hold_served": "by the verdict: hold served, no harm found",
    "proven_safe": "by the verdict: every guardrail proven safe",
    "no_harm_found": "by the verdict: no harm found, which is all that the plan asks for",
    "sample_ratio": "by the verdict: the arms do not get the shares of units that they were given",
    "judged_ratio": "by the verdict: the arms' calls do not get scores in the shares that the plan says",
    "evaluation_succeeded": "by the first look that succeeded again",
    "max_duration": "by the plan: its time was up before there was proof",
}
# Held or not, it goes on to be judged until it is proven safe.
FORESEEN = ("", HoldReason.INCONCLUSIVE, HoldReason.EVALUATION_FAILED)
PROMOTE_WHEN = {
    "proven_safe": "every guardrail is proven safe",
    "no_harm_found": "no harm was found",
}
ON_INCONCLUSIVE = {
    "hold": "it is held for a person",
    "rollback": "it is rolled back",
    "promote": "it is promoted if every guardrail looks safe, and held for a person if not",
}
NOT_FRESH = "No evidence has come since the last look."  # core.verdict's sentence
REPLACES = "A rollout of the label that is still active is cancelled for it, unless harm was found in that."


def headline(*, attention: int, alarms: Sequence[str], active: int) -> str:
    """What is true of everything at once. alarms: what is wrong beside the rollouts that need attention."""
    needed = [_counted(attention, "rollout needs attention", "rollouts need attention")] if attention else []
    running = _counted(active, "rollout is active", "rollouts are active") if active else "no rollout is active"
    found = ", ".join([*([*needed, *alarms] or ["nothing needs attention"]), running])
    return found[0].upper() + found[1:]


def state_of(rollout: Rollout) -> State:
    """What is true of the rollout now, in a few words."""
    if rollout.status in ENDED:
        return ENDED[Status(rollout.status)]
    if _waits_for_resume(rollout):
        return State("held", "Held: paused")
    if rollout.hold_reason:
        return HELD[HoldReason(rollout.hold_reason)]
    if rollout.status == Status.DRAFT:
        return State("open", "Not started")
    return _finding(rollout.verdict)


def state_of_metric(metric: Mapping[str, Any]) -> State:
    if metric["verdict"] == "harmful":
        return State("harm", "Harmful")
    if metric["verdict"] == "safe":
        return State("safe", "Proven safe")
    if not (metric["control"]["n"] and metric["canary"]["n"]):
        return NO_EVIDENCE
    return State("open", "No harm found")


def state_after(transition: Transition) -> State:
    if transition.action == "started":
        return State("open", f"Started at {weight(transition.to_weight_bp)}")
    if transition.action == "step_advanced":
        return State("open", f"From {weight(transition.from_weight_bp)} to {weight(transition.to_weight_bp)}")
    return HAPPENED[transition.action]


def state_of_delivery(delivery: Delivery) -> State:
    if delivery.status == DeliveryStatus.DELIVERED:
        return State("safe", "Delivered")
    if delivery.status == DeliveryStatus.DEAD:
        return State("harm", f"Dead: {delivery.dead_reason.replace('_', ' ')}")
    return State("open", "Waiting")


def sentence(rollout: Rollout, last: Transition | None, now: datetime) -> SafeString:
    """Goes on where `state_of` ends: why, what it means for those who are served, and what happens next.

    last: the rollout's newest transition; None before its start.
    """
    if last is None:
        return format_html("Nobody is given {} by it until it is started.", rollout.canary.number)
    if rollout.status in ENDED:
        return _how_it_ended(rollout, last, now)
    if _waits_for_resume(rollout):
        return _why_paused(rollout, last, now)
    if rollout.hold_reason:
        return _why_held(rollout, last)
    return format_html("{} {}", _share(rollout, now), _next(rollout, now))


def why(transition: Transition) -> str:
    """`by the verdict: hallucination 4.1 % against 1.8 %`, `by anna: “too early”`: who or what caused it."""
    if transition.cause in CAUSES:
        return CAUSES[transition.cause]
    if transition.cause == "spend_cap" and transition.verdict:
        return f"by the plan: {_spent(transition.verdict)}"
    if transition.cause.startswith("guardrail:") and transition.verdict:
        return f"by the verdict: {_harm(transition.verdict)}"
    reason = f": “{transition.reason}”" if transition.reason else ""
    return f"by {who(transition.actor)}{reason}"


def who(actor: str) -> str:
    """A stored actor (common.actors) as people say it."""
    kind, _, name = actor.partition(":")
    return {"key": f"the key {name}", "system": f"Serinus ({name})"}.get(kind, name)


def missing(rollout: Rollout, last: Transition | None) -> list[str]:
    """What the newest verdict still waits for, as sentences; of proofs `needs` tells more, where it has an answer."""
    verdict = rollout.verdict
    if verdict is None or not rollout.active or verdict.step != rollout.step:
        return []
    reasons: list[str] = verdict.body["reasons"]
    if verdict.kind == "inconclusive":
        return _telling(reasons[1:])  # the first says that its time is up
    acted_upon = last and last.verdict and last.verdict.body["reasons"] == reasons
    return _telling(reasons) if verdict.kind in {"undecided", "safe"} and not acted_upon else []


def needs(rollout: Rollout, now: datetime) -> str:
    """`Needs about 1 900 more canary calls to prove it safe, 3 h at today's traffic.`; empty where nothing is known."""
    outlook: Outlook | None = getattr(rollout, "outlook", None)
    waits = rollout.active and rollout.hold_reason in FORESEEN and _finding(rollout.verdict).icon != "safe"
    if outlook is None or not waits:
        return ""
    if outlook.canary_calls is None:
        return f"At this margin {outlook.metric} is hardly ever proven safe."
    left = outlook.canary_calls - (canary_calls(rollout.verdict) or 0)
    if left <= 0:
        return f"As many {judged(rollout)}canary calls as {outlook.metric} usually needs for its proof have come."
    more = f"{about(left)} more {judged(rollout)}canary {'call' if left == 1 else 'calls'}"
    calls = f"Needs about {more} to prove it safe"
    seconds = _seconds_until(left, rollout, outlook, now)
    if seconds is None:
        return f"{calls}, and no calls come."
    ends_s = (rollout.deadline_at - now).total_seconds() if rollout.deadline_at else math.inf
    is_short = seconds > ends_s > 0 and rollout.status != Status.PAUSED  # the time of a pause is given back
    short = f", but its time is up in {roughly(ends_s)}" if is_short else ""
    return f"{calls}, {roughly(seconds)} at today's traffic{short}."


def evidence_of_harm(rollout: Rollout) -> str:
    """Of the picture beside a rollout: `Evidence of harm: 1.2 of 20 now, 2.4 at its highest`."""
    logs = [log_e for _, log_e in rollout.course]
    if not logs:
        return "No evidence of harm yet"
    limit = -math.log(rollout.plan["alpha"])
    return f"Evidence of harm: {of_limit(logs[-1], limit)} now, {e_value(max(logs))} at its highest"


def numbers(verdict: Verdict) -> list[str]:
    """The evidence of a verdict, a line for all and one for each metric that has any."""
    body = verdict.body
    overall = f"Evidence of harm: {of_limit(body['log_e_harm'], body['log_threshold'])}"
    spent = [_spent(verdict)] if verdict.kind == "spent" else []
    return [*spent, overall, *(_numbers_of(metric) for metric in body["metrics"] if metric["canary"]["n"])]


def plan_in_words(plan: Plan) -> list[tuple[str, str]]:
    """What the plan does by itself and when, as pairs of a term and its explanation."""
    limit, share = f"{1 / plan.alpha:g}", f"{100 * plan.alpha:g} of 100"
    harm = "It is rolled back" if plan.auto_rollback else "It is held for a person to roll back"
    good = "It is promoted" if plan.auto_promote else "It is held for a person to promote"
    return [
        ("On harm", f"{harm} when the e-value of harm reaches {limit}: {share} healthy versions ever would at most."),
        ("On success", f"{good} when the last hold is served and {PROMOTE_WHEN[plan.promote_when]}."),
        ("Least units", f"{count(plan.min_units)} must have seen the canary before it goes on."),
        ("Time", f"After {duration(plan.max_duration_s)} without an answer {ON_INCONCLUSIVE[plan.on_inconclusive]}."),
        ("Looks", f"A look at the evidence every {duration(plan.look_every_s)}."),
        *([("Spend cap", f"{harm} when its calls have cost {money(cap)}.")] if (cap := _cap(plan)) else []),
        *([("At its start", REPLACES)] if plan.when_superseded == "replace" else []),
    ]


def e_values_in_words(plan: Plan) -> str:
    limit = f"{1 / plan.alpha:g}"
    return (
        "An e-value says how much better the data fit “worse” than “not worse”. A healthy version ever reaches "
        f"{limit} with a chance of at most 1 in {limit}, however often one looks. Harm is found when the weighted mean "
        f"over the guardrails reaches {limit}; a guardrail is proven safe when its own proof reaches {limit}."
    )


def what_will_happen(act: str, rollout: Rollout) -> str:
    """What an act that the rollout's state allows does to those who are served, and what comes after it."""
    control, canary, label = rollout.control.number, rollout.canary.number, rollout.label.name
    share = weight(rollout.weight_bp)
    match act:
        case "start":
            first = weight(Plan.from_json(rollout.plan).steps[0].weight_bp)
            return f"{first} of units will get {canary}, the others {control}; the plan goes on from there by itself."
        case "pause":
            return f"The canary stays where it is: {_kept(rollout, 'somebody resumes it')}"
        case "resume":
            return f"{share} of units keep {canary}, and the plan goes on with what was left of this step's hold."
        case "promote":
            return f"Everyone will get {canary}: the label {label} moves to it at once, and the rollout ends."
        case "rollback":
            return (
                f"Everyone will get {control} back at once, and the rollout ends. "
                f"What {canary} says counts as rolled back from then on: starting it again takes a reason."
            )
        case _:
            back = "Nobody is given" if rollout.started_at is None else f"Everyone will get {control} back at once, not"
            return f"{back} {canary}, and the rollout ends without a judgement of it."


def canary_calls(verdict: Verdict | None) -> int | None:
    """Calls of the canary that were counted: of the metric that has most of them (see `judged`)."""
    if verdict is None:
        return None
    return max((metric["canary"]["n"] for metric in verdict.body["metrics"]), default=None)


def judged(rollout: Rollout) -> str:
    """`judged `, before a number of calls, where the plan counts no others; every call has an error rate."""
    every = any(metric.measure == ERROR_RATE for metric in Plan.from_json(rollout.plan).metrics)
    return "" if every else "judged "


def took(rollout: Rollout) -> str:
    """From the start to the end."""
    since, until = rollout.started_at or rollout.created_at, rollout.ended_at or rollout.created_at
    return duration((until - since).total_seconds())


def _telling(reasons: Sequence[str]) -> list[str]:
    """Between two calls no evidence is fresh: that tells something only where all else is there."""
    return [reason for reason in reasons if reason != NOT_FRESH] or list(reasons)


def _counted(n: int, one: str, many: str) -> str:
    return f"{count(n)} {one if n == 1 else many}"


def _finding(verdict: Verdict | None) -> State:
    guardrails = [m for m in verdict.body["metrics"] if m["role"] == "guardrail"] if verdict else []
    proven = sum(metric["verdict"] == "safe" for metric in guardrails)
    if guardrails and proven == len(guardrails):
        return State("safe", "Proven safe")
    if proven:
        return State("open", f"Proven safe on {proven} of {len(guardrails)} guardrails")
    if any(metric["canary"]["n"] for metric in guardrails):
        return State("open", "No harm found yet")
    return NO_EVIDENCE


def _how_it_ended(rollout: Rollout, last: Transition, now: datetime) -> SafeString:
    version = rollout.canary if rollout.status == Status.PROMOTED else rollout.control
    back = "" if rollout.status == Status.PROMOTED else " back"
    ended = moment(last.happened_at, now)
    if rollout.started_at is None:
        return format_html("{} at {}; it was never started.", why(last), ended)
    saw = (
        f"; {count(calls)} {judged(rollout) or 'counted '}calls saw {rollout.canary.number}"
        if (calls := canary_calls(rollout.verdict))
        else ""
    )
    return format_html(
        "{}. Everyone got {}{} at {}, {} after the start{}.", why(last), version.number, back, ended, took(rollout), saw
    )


def _waits_for_resume(rollout: Rollout) -> bool:
    """It is paused, and held for nothing that matters more: also with its time up it only goes on when resumed."""
    return rollout.status == Status.PAUSED and rollout.hold_reason in ("", HoldReason.INCONCLUSIVE)


def _why_paused(rollout: Rollout, last: Transition, now: datetime) -> SafeString:
    """last: which may have come after the pause."""
    since = moment(rollout.paused_at or last.happened_at, now)
    caused = f" {why(last)}" if last.action == "paused" else ""
    time_is_up = " Its time is up." if rollout.hold_reason else ""
    return format_html("Since {}{}.{} {}", since, caused, time_is_up, _kept(rollout, "a person acts"))


def _why_held(rollout: Rollout, last: Transition) -> SafeString:
    plan, verdict = Plan.from_json(rollout.plan), rollout.verdict
    match rollout.hold_reason:
        case HoldReason.SAMPLE_RATIO:
            broken = verdict.body["reasons"][0] if verdict else "The sample ratio is broken."
            return format_html(
                "{} Nothing is decided on this data. {} of units keep {} until a person rolls back or cancels.",
                broken,
                weight(rollout.weight_bp),
                rollout.canary.number,
            )
        case HoldReason.INCONCLUSIVE:
            kept = _kept(rollout, "a person acts or nothing is missing any more")
            return format_html("{} were over before there was proof. {}", duration(plan.max_duration_s), kept)
        case HoldReason.EVALUATION_FAILED:
            return format_html(
                "The evidence could not be looked at{}. It is tried again every minute; "
                "{} of units keep {} until that succeeds or a person acts.",
                f" ({last.reason})" if last.action == "evaluation_failed" else "",
                weight(rollout.weight_bp),
                rollout.canary.number,
            )
        case HoldReason.SPEND_CAP:
            spent = f"{_spent(verdict)}. " if verdict else ""
            found = f"{spent[:1].upper()}{spent[1:]}The plan leaves the rollback"
        case HoldReason.HARM_FOUND:
            found = f"{_harm(verdict)}. The plan leaves the rollback" if verdict else "The plan leaves the rollback"
        case _:
            proven = _finding(verdict).icon == "safe"
            found = (
                f"{'Every guardrail is proven safe' if proven else 'No harm was found'}. The plan leaves the promotion"
            )
    share, canary = weight(rollout.weight_bp), rollout.canary.number
    return format_html("{} to a person; until then {} of units get {}.", found, share, canary)


def _kept(rollout: Rollout, until: str) -> str:
    harm = "still rolls it back" if rollout.plan["auto_rollback"] else "is still announced"
    return f"{weight(rollout.weight_bp)} of units keep {rollout.canary.number} until {until}; harm {harm}."


def _seconds_until(calls: int, rollout: Rollout, outlook: Outlook, now: datetime) -> float | None:
    """None while no calls come. What is held or paused stays on its step."""
    plan = Plan.from_json(rollout.plan)
    if not outlook.calls_per_s:
        return None
    goes_on = rollout.status == Status.RUNNING and not rollout.hold_reason
    steps = plan.steps[rollout.step :] if goes_on else plan.steps[rollout.step : rollout.step + 1]
    left_s = (rollout.hold_until - now).total_seconds() if rollout.hold_until else 0.0
    return seconds_until(calls, calls_per_s=outlook.calls_per_s, steps=steps, left_s=left_s)


def _share(rollout: Rollout, now: datetime) -> SafeString:
    since = format_html(" since {}", moment(rollout.step_entered_at, now)) if rollout.step_entered_at else ""
    control, canary = rollout.control.number, rollout.canary.number
    return format_html("{} of units get {}{}, the others {}.", weight(rollout.weight_bp), canary, since, control)


def _next(rollout: Rollout, now: datetime) -> SafeString:
    plan = Plan.from_json(rollout.plan)
    if rollout.step + 1 < len(plan.steps):
        goal = weight(plan.steps[rollout.step + 1].weight_bp)
    else:
        goal = "promotion" if plan.auto_promote else "a person may promote it"
    if rollout.hold_until and rollout.hold_until > now:
        return format_html("Next: {}, not before {}.", goal, moment(rollout.hold_until, now))
    return format_html("Next: {}, as soon as nothing is missing.", goal)


def _harm(verdict: Verdict) -> str:
    return "; ".join(
        f"{metric['name']} {estimate(metric['canary']['estimate'], metric['unit'])} against {_against(metric)}"
        for metric in verdict.body["metrics"]
        if metric["name"] in verdict.body["guilty"]
    )


def _spent(verdict: Verdict) -> str:
    """`calls of the canary cost $25.04, of $25.00 at most`; what it says of calls whose cost is not known with it."""
    spend = verdict.body.get("spend")
    if not spend or spend["cap_usd"] is None:
        return "the canary has cost what it may"
    canary = spend["canary"]
    unknown = canary["unpriced_calls"]
    beside = f"; the cost of {_counted(unknown, 'more call', 'more calls')} is not known" if unknown else ""
    return (
        f"calls of the canary cost {money(float(canary['usd']))}, of {money(float(spend['cap_usd']))} at most{beside}"
    )


def _cap(plan: Plan) -> float | None:
    return None if plan.canary_spend_cap is None else float(plan.canary_spend_cap)


def _against(metric: Mapping[str, Any]) -> str:
    if metric["limit"]:
        return limit(metric["limit"], metric["kind"], metric["direction"], metric["unit"])
    return estimate(metric["control"]["estimate"], metric["unit"])


def _numbers_of(metric: Mapping[str, Any]) -> str:
    arms = (
        f"{estimate(metric[arm]['estimate'], metric['unit'])} (n {count(metric[arm]['n'])})"
        for arm in ("canary", "control")
    )
    return f"{metric['name']}: {' against '.join(arms)}, e-value of harm {e_value(metric['log_e_harm'])}"
