"""The verdict as it is stored and answered (product.md, section 10): every number that the decision was made of.

What went in can be read back from it (`inputs_of`), so that a verdict can be recomputed long after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from observability.core.evidence import ARMS
from rollout.core.plan import Plan, dollars
from rollout.core.spend import ArmSpend
from rollout.core.stats import sample_ratio
from rollout.core.stats.metric import Report, overall_log_e
from rollout.core.stats.sample_ratio import Counted, log_bayes_factor, mean_log_bayes_factor
from rollout.core.verdict import Finding, Situation, log_threshold


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a verdict was computed from, beside the plan and the stored batches.

    batches: by metric, how many of its closed batches were folded. units: by measure, effective units of control and
    canary, for display. sample_ratio, judged_ratio: by planned share, what the arms got. The others as in Situation;
    at: when the look took place. spend: by arm; None where it is not recorded, as of rollouts from before that was.
    """

    batches: Mapping[str, int]
    units: Mapping[str, tuple[float, float]]
    sample_ratio: Sequence[Counted]
    judged_ratio: Mapping[str, Sequence[Counted]]
    canary_units: float
    fresh: bool
    step: int
    hold_served: bool
    time_is_up: bool
    paused: bool
    hold_reason: str
    at: datetime
    spend: Mapping[str, ArmSpend] | None = None


def situation(reports: tuple[Report, ...], inputs: Inputs) -> Situation:
    """What the metrics' reports and the inputs of a look come to."""
    return Situation(
        reports=reports,
        log_e_harm=overall_log_e(reports),
        log_e_sample_ratio=log_bayes_factor(inputs.sample_ratio),
        log_e_judged_ratio=mean_log_bayes_factor(inputs.judged_ratio.values()),
        canary_units=inputs.canary_units,
        fresh=inputs.fresh,
        step=inputs.step,
        hold_served=inputs.hold_served,
        time_is_up=inputs.time_is_up,
        paused=inputs.paused,
        hold_reason=inputs.hold_reason,
        canary_spend=inputs.spend["canary"] if inputs.spend else None,
    )


def verdict_body(found: Situation, finding: Finding, plan: Plan, inputs: Inputs) -> dict[str, Any]:
    """Evidence is in natural logs, estimates are in each metric's unit."""
    return {
        "kind": finding.kind,
        "reasons": list(finding.reasons),
        "guilty": list(finding.guilty),
        "log_e_harm": found.log_e_harm,
        "log_threshold": log_threshold(plan.alpha),
        "sample_ratio": {
            "log_e": found.log_e_sample_ratio,
            "log_threshold": sample_ratio.LOG_THRESHOLD,
            "counted": [asdict(counted) for counted in inputs.sample_ratio],
        },
        "judged_ratio": {
            "log_e": found.log_e_judged_ratio,
            "log_threshold": sample_ratio.LOG_THRESHOLD,
            "counted": {
                name: [asdict(counted) for counted in of_name] for name, of_name in inputs.judged_ratio.items()
            },
        },
        "canary_units": found.canary_units,
        "fresh": found.fresh,
        "hold_served": found.hold_served,
        "time_is_up": found.time_is_up,
        "at": inputs.at.isoformat().replace("+00:00", "Z"),
        "paused": found.paused,
        "hold_reason": found.hold_reason,
        **_spend(plan, inputs),
        "metrics": [_metric(report, finding, plan, inputs) for report in found.reports],
    }


def inputs_of(body: Mapping[str, Any], *, step: int) -> Inputs:
    """Back from what verdict_body made. step: that the look was on."""
    metrics = body["metrics"]
    return Inputs(
        batches={metric["name"]: metric["batches"] for metric in metrics},
        units={metric["measure"]: (metric["control"]["units"], metric["canary"]["units"]) for metric in metrics},
        sample_ratio=_counted(body["sample_ratio"]["counted"]),
        judged_ratio={name: _counted(of_name) for name, of_name in body["judged_ratio"]["counted"].items()},
        canary_units=body["canary_units"],
        fresh=body["fresh"],
        step=step,
        hold_served=body["hold_served"],
        time_is_up=body["time_is_up"],
        paused=body["paused"],
        hold_reason=body["hold_reason"],
        at=datetime.fromisoformat(body["at"]),
        spend=_spend_of(body),
    )


def _spend(plan: Plan, inputs: Inputs) -> dict[str, Any]:
    if inputs.spend is None:
        return {}
    cap = plan.canary_spend_cap
    by_arm = {arm: spend.to_json() for arm, spend in inputs.spend.items()}
    return {"spend": {"cap_usd": None if cap is None else dollars(cap), **by_arm}}


def _spend_of(body: Mapping[str, Any]) -> dict[str, ArmSpend] | None:
    if "spend" not in body:
        return None
    return {arm: ArmSpend.from_json(body["spend"][arm]) for arm in ARMS}


def _counted(stored: Sequence[Mapping[str, float]]) -> list[Counted]:
    return [Counted(**one) for one in stored]


def _metric(report: Report, finding: Finding, plan: Plan, inputs: Inputs) -> dict[str, Any]:
    units = inputs.units.get(report.measure, (0.0, 0.0))
    return {
        "name": report.name,
        "measure": report.measure,
        "kind": report.kind,
        "role": report.role,
        "direction": report.direction,
        "margin": dict(report.margin) or None,
        "limit": report.limit,
        "unit": report.unit,
        "weight": report.weight,
        "control": {"n": report.control_n, "units": round(units[0]), "estimate": report.control_estimate},
        "canary": {"n": report.canary_n, "units": round(units[1]), "estimate": report.canary_estimate},
        "difference": report.difference,
        "interval": list(report.interval) if report.interval else None,
        "batches": inputs.batches[report.name],
        "design_effect": report.design_effect,
        "log_e_harm": report.log_e_harm,
        "log_e_safe": report.log_e_safe,
        "max_log_e_safe": report.max_log_e_safe,
        "verdict": _word(report, finding, plan),
    }


def _word(report: Report, finding: Finding, plan: Plan) -> str:
    if report.name in finding.guilty:
        return "harmful"
    if report.max_log_e_safe >= log_threshold(plan.alpha):
        return "safe"
    return "undecided"
