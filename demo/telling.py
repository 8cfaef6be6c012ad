"""A rollout in words, from what the API and the webhooks say about it."""

import math
from typing import Any

Rollout = dict[str, Any]


def weight(rollout: Rollout) -> str:
    return f"{rollout['weight_bp'] / 100:g} %"


def changes(diff: str) -> str:
    """The lines that a unified diff takes away and adds, without what frames them."""
    changed = (line for line in diff.splitlines()[2:] if line.startswith(("-", "+")))
    return "\n".join(f"{line[0]} {line[1:]}" for line in changed)


def outcome(rollout: Rollout) -> str:
    return f"{rollout['canary']} was {rollout['status'].replace('_', ' ')}"


def verdict(rollout: Rollout) -> str:
    """The verdict with its reasons, which are whole sentences."""
    found = rollout["verdict"]
    return " ".join([f"{found['kind']}.", *found["reasons"]]) if found else "not there yet."


def progress(rollout: Rollout, orders: int, orders_per_s: float) -> str:
    """One line: where the rollout stands, and what its evidence says so far."""
    parts = [f"{rollout['canary']} at {weight(rollout)}", f"{orders} orders, {orders_per_s:.0f}/s"]
    if found := rollout["verdict"]:
        parts.append(f"e-value {_e_value(found['log_e_harm'])} of {_e_value(found['log_threshold'])}")
        parts += [f"{m['name']} {_percent(m['control'])} → {_percent(m['canary'])} %" for m in found["metrics"]]
    return " · ".join(parts)


def evidence(data: dict[str, Any]) -> str:
    """What a webhook says: who ended the rollout and why, a line for each metric, and the evidence of harm."""
    rollout, transition = data["rollout"], data["transition"]
    found = rollout["verdict"]
    harm = f"e-value of harm: {_e_value(found['log_e_harm'])} (rolls back at {_e_value(found['log_threshold'])})"
    cause = f"cause: {transition['cause']}, by {transition['actor']}"
    return "\n".join([cause, *(_estimates(rollout, metric) for metric in found["metrics"]), harm])


def _estimates(rollout: Rollout, metric: dict[str, Any]) -> str:
    arms = (f"{rollout[arm]} {_percent(metric[arm])} % of {metric[arm]['n']}" for arm in ("control", "canary"))
    return f"{metric['name']}: {' calls, '.join(arms)}: {metric['verdict']}"


def _percent(arm: dict[str, Any]) -> str:
    return "?" if arm["estimate"] is None else f"{100 * arm['estimate']:.1f}"


def _e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.1f}" if log_e < math.log(1000) else "over 1000"
