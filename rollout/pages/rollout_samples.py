"""Traces of both arms to look into."""

from dataclasses import dataclass
from typing import Any

from observability.core.evidence import ARMS, BUILT_IN_METRICS
from observability.selectors import Sample, samples
from rollout.core.plan import Plan
from rollout.formats import milliseconds
from rollout.models import Rollout


@dataclass(frozen=True, slots=True)
class Trace:
    """why: it is shown, beside the others."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class OfArm:
    """An arm's traces."""

    arm: str
    version: str
    worst: list[Trace]
    random: list[Trace]


def samples_of_arms(rollout: Rollout) -> list[OfArm]:
    """Of both arms, or none where no call was seen of either."""
    score, higher = _accused(rollout)
    found = []
    for arm, version in zip(ARMS, (rollout.control, rollout.canary), strict=True):
        of_arm = samples(rollout.pk, arm, score=score, higher_is_better=higher)
        worst = [_trace(sample, score, of_worst=True) for sample in of_arm.worst]
        found.append(OfArm(arm, version.number, worst, [_trace(sample, score) for sample in of_arm.random]))
    return found if any(of_arm.random for of_arm in found) else []


def _accused(rollout: Rollout) -> tuple[str, bool]:
    """The score that speaks most against the canary, and whether higher is better: the guilty one if there is one."""
    metrics: list[Any] = rollout.verdict.body["metrics"] if rollout.verdict else []
    scored = [metric for metric in metrics if metric["measure"] not in BUILT_IN_METRICS]
    if scored:
        metric = max(scored, key=lambda metric: (metric["verdict"] == "harmful", metric["log_e_harm"]))
        return metric["measure"], metric["direction"] == "higher"
    planned = [metric for metric in Plan.from_json(rollout.plan).metrics if metric.measure not in BUILT_IN_METRICS]
    return (planned[0].measure, planned[0].direction == "higher") if planned else ("", True)


def _trace(sample: Sample, score: str, *, of_worst: bool = False) -> Trace:
    told = [
        "failed" if sample.failed else "",
        f"{score} {sample.score:g}" if of_worst and sample.score is not None else "",
        milliseconds(sample.duration_ms) if sample.duration_ms is not None else "",
    ]
    return Trace(sample.trace_id.hex(), ", ".join(filter(None, told)))
