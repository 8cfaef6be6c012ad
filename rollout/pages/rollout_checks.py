"""Whether the evidence may be trusted, and how much of what was allowed is used up."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from rollout.charts import meter
from rollout.core.plan import Plan
from rollout.formats import DASH, GAP, count, estimate, limit, of_limit
from rollout.models import Rollout
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
    """what: that may be used up. spent: how much of it is."""

    what: str
    meter: SafeString
    spent: str


def ratio(body: Mapping[str, Any]) -> Ratio:
    """Of all units."""
    found = body["sample_ratio"]
    return _ratio(found, [_share(counted) for counted in _seen(found["counted"])])


def judged_ratio(body: Mapping[str, Any]) -> Ratio:
    """Of those that got a score, by its name."""
    found = body["judged_ratio"]
    shares = (f"{name} {_share(counted)}" for name, of_name in found["counted"].items() for counted in _seen(of_name))
    return _ratio(found, list(shares))


def budgets(rollout: Rollout) -> list[Budget]:
    """Of a false rollback, and of each limit that a guardrail has to keep."""
    body = rollout.verdict.body if rollout.verdict else None
    return [_of_false_rollbacks(Plan.from_json(rollout.plan).alpha, body), *(_of_limits(body) if body else ())]


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
    """On the scale of logarithms, on which evidence adds up."""
    log_e, log_limit = (body["log_e_harm"], body["log_threshold"]) if body else (0.0, -math.log(alpha))
    spent = min(max(log_e / log_limit, 0.0), 1.0)
    what = f"{_written(alpha)} chance of a false rollback, over all metrics and looks"
    e = f"an e-value of harm of {of_limit(log_e, log_limit)}"
    if spent == 1:
        return _budget(what, spent, f"All of it is spent: {e}")
    return _budget(what, spent, f"{math.floor(100 * spent)}{GAP}% of it is spent, by the logarithm: {e}")


def _of_limits(body: Mapping[str, Any]) -> Iterator[Budget]:
    for metric in body["metrics"]:
        if metric["limit"] and metric["role"] == "guardrail":
            what = f"{metric['name']}, {limit(metric['limit'], metric['kind'], metric['direction'], metric['unit'])}"
            used = _used(metric)
            seen = estimate(metric["canary"]["estimate"], metric["unit"])
            told = (
                f"{seen} of the canary's calls take longer" if metric["kind"] == "latency" else f"the canary has {seen}"
            )
            spent = DASH if used is None else f"{math.floor(100 * used)}{GAP}%"
            yield _budget(what, used or 0.0, f"{spent} of it is used: {told}")


def _used(metric: Mapping[str, Any]) -> float | None:
    """The share of what the limit allows that the canary's estimate comes to."""
    seen = metric["canary"]["estimate"]
    if seen is None:
        return None
    allowed = TAIL if metric["kind"] == "latency" else metric["limit"]
    return float((1 - seen) / (1 - allowed) if metric["direction"] == "higher" else seen / allowed)


def _budget(what: str, used: float, spent: str) -> Budget:
    return Budget(what, meter(used, words=f"{what}. {spent}"), spent)


def _written(share: float) -> str:
    """As people planned it."""
    return f"{100 * share:g}{GAP}%"
