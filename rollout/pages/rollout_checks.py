"""Whether the evidence may be trusted, and how near it is to what is allowed."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from rollout.charts import meter
from rollout.core.plan import Plan
from rollout.formats import DASH, GAP, count, estimate, limit, money, of_limit, roughly
from rollout.models import Rollout
from rollout.spending import NOTHING, Spend, reach_of, spend_of, stored_spend
from rollout.wording import State

TAIL = 0.05  # of a latency's limit (core.stats.latencies, which is not for a web process to load)


@dataclass(frozen=True, slots=True)
class Ratio:
    """What the arms got. shares: a sentence for each share that was planned; proof: against a working assignment."""

    shares: list[str]
    proof: str
    state: State


@dataclass(frozen=True, slots=True)
class Budget:
    """what: that is promised or allowed. told: how near the rollout is to its end."""

    what: str
    meter: SafeString
    told: str


def ratio(body: Mapping[str, Any]) -> Ratio:
    """Of all units."""
    found = body["sample_ratio"]
    return _ratio(found, [_share(counted) for counted in _seen(found["counted"])])


def judged_ratio(body: Mapping[str, Any]) -> Ratio:
    """Of those that got a score, by its name."""
    found = body["judged_ratio"]
    shares = (f"{name} {_share(counted)}" for name, of_name in found["counted"].items() for counted in _seen(of_name))
    return _ratio(found, list(shares))


def budgets(rollout: Rollout, at: datetime) -> list[Budget]:
    """Of a false rollback, of what the canary may cost, and of each limit that a guardrail has to keep."""
    body, plan = rollout.verdict.body if rollout.verdict else None, Plan.from_json(rollout.plan)
    cap = [] if plan.canary_spend_cap is None else [_of_cap(rollout, float(plan.canary_spend_cap), at)]
    return [_of_false_rollbacks(plan.alpha, body), *cap, *(_of_limits(body) if body else ())]


def _ratio(found: Mapping[str, Any], shares: list[str]) -> Ratio:
    broken = found["log_e"] >= found["log_threshold"]
    proof = of_limit(found["log_e"], found["log_threshold"])
    return Ratio(shares, proof, State("held", "Broken") if broken else State("safe", "As planned"))


def _seen(counted: Iterable[Mapping[str, float]]) -> Iterator[Mapping[str, float]]:
    return (one for one in counted if one["control"] or one["canary"])


def _share(counted: Mapping[str, float]) -> str:
    """`9 407 control, 496 canary: 5.01 % of the 5 % planned.`"""
    control, canary = counted["control"], counted["canary"]
    return (
        f"{count(round(control))} control, {count(round(canary))} canary: "
        f"{100 * canary / (control + canary):.2f}{GAP}% of the {_written(counted['share'])} planned."
    )


def _of_false_rollbacks(alpha: float, body: Mapping[str, Any] | None) -> Budget:
    """The promise holds however often one looks: no look spends of it. The meter is of the evidence, which rises and
    falls, on the scale of logarithms, on which it adds up."""
    log_e, log_limit = (body["log_e_harm"], body["log_threshold"]) if body else (0.0, -math.log(alpha))
    what = f"at most {_written(alpha)} chance of a false rollback over the whole rollout, whatever is looked at"
    return _budget(what, log_e / log_limit, f"Evidence of harm: {of_limit(log_e, log_limit)}")


def _of_limits(body: Mapping[str, Any]) -> Iterator[Budget]:
    for metric in body["metrics"]:
        if metric["limit"] and metric["role"] == "guardrail":
            what = f"{metric['name']}, {limit(metric['limit'], metric['kind'], metric['direction'], metric['unit'])}"
            used = _used(metric)
            seen = estimate(metric["canary"]["estimate"], metric["unit"])
            told = (
                f"{seen} of the canary's calls take longer" if metric["kind"] == "latency" else f"the canary has {seen}"
            )
            share = DASH if used is None else f"{math.floor(100 * used)}{GAP}%"
            yield _budget(what, used or 0.0, f"{share} of it is used: {told}")


def _of_cap(rollout: Rollout, cap: float, at: datetime) -> Budget:
    """As it is now while the rollout is active, and as its last verdict had it afterwards."""
    what = f"Spend cap of the canary, {money(cap)}"
    body = rollout.verdict.body if rollout.verdict else {}
    spend = (spend_of(rollout) if rollout.active else stored_spend(body)) or {}
    canary = spend.get("canary", NOTHING)
    used = float(canary.usd) / cap
    unknown = f", the cost of {count(canary.unpriced)} more is not known" if canary.unpriced else ""
    spent = f"{money(float(canary.usd))} of {count(canary.priced)} calls{unknown}"
    reached = _reached(rollout, spend, at) if rollout.active and spend else ""
    return _budget(what, used, f"{math.floor(100 * used)}{GAP}% of it is used: {spent}{reached}")


def _reached(rollout: Rollout, spend: Spend, at: datetime) -> str:
    reach = reach_of(rollout, spend, at)
    if reach is None or reach.seconds is None or math.isinf(reach.seconds):
        return ""
    return f"; at recent cost and traffic it is reached in {roughly(reach.seconds)}"


def _used(metric: Mapping[str, Any]) -> float | None:
    """The share of what the limit allows that the canary's estimate comes to."""
    seen = metric["canary"]["estimate"]
    if seen is None:
        return None
    allowed = TAIL if metric["kind"] == "latency" else metric["limit"]
    return float((1 - seen) / (1 - allowed) if metric["direction"] == "higher" else seen / allowed)


def _budget(what: str, share: float, told: str) -> Budget:
    return Budget(what, meter(share, words=f"{what}. {told}"), told)


def _written(share: float) -> str:
    """As people planned it."""
    return f"{100 * share:g}{GAP}%"
