"""The verdict as it is stored and answered (product.md, section 10): every number that the decision was made of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollout.core.plan import Plan
from rollout.core.stats import sample_ratio
from rollout.core.stats.metric import Report
from rollout.core.verdict import Finding, Situation, log_threshold


def verdict_body(
    found: Situation, finding: Finding, plan: Plan, units: Mapping[str, tuple[float, float]], at: datetime
) -> dict[str, Any]:
    """units: effective units of control and canary by metric. Evidence is in natural logs, estimates are shares."""
    return {
        "kind": finding.kind,
        "reasons": list(finding.reasons),
        "guilty": list(finding.guilty),
        "log_e_harm": found.log_e_harm,
        "log_threshold": log_threshold(plan.alpha),
        "sample_ratio": {
            "log_e": found.log_e_sample_ratio,
            "log_threshold": sample_ratio.LOG_THRESHOLD,
        },
        "canary_units": round(found.canary_units),
        "hold_served": found.hold_served,
        "time_is_up": found.time_is_up,
        "at": at.isoformat().replace("+00:00", "Z"),
        "metrics": [_metric(report, finding, plan, units.get(report.name, (0.0, 0.0))) for report in found.reports],
    }


def _metric(report: Report, finding: Finding, plan: Plan, units: tuple[float, float]) -> dict[str, Any]:
    return {
        "name": report.name,
        "kind": report.kind,
        "role": report.role,
        "direction": report.direction,
        "margin": dict(report.margin),
        "weight": report.weight,
        "control": {"n": report.control_n, "units": round(units[0]), "estimate": report.control_estimate},
        "canary": {"n": report.canary_n, "units": round(units[1]), "estimate": report.canary_estimate},
        "difference": report.difference,
        "interval": list(report.interval) if report.interval else None,
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
