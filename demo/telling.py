"""A rollout in words, from what the API and the webhooks say about it: the words of its page (rollout.wording)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Rollout = dict[str, Any]


def weight(rollout: Rollout) -> str:
    return f"{rollout['weight_bp'] / 100:g} %"


def changes(diff: str) -> str:
    """The lines that a unified diff takes away and adds, without what frames them."""
    changed = (line for line in diff.splitlines()[2:] if line.startswith(("-", "+")))
    return "\n".join(f"{line[0]} {line[1:]}" for line in changed)


def outcome(rollout: Rollout) -> str:
    """How it ended and why: `v2.3 was rolled back by the verdict: hallucination 5.4 % against 1.9 %`."""
    ended = f"{rollout['canary']} was {rollout['status'].replace('_', ' ')}"
    match rollout["verdict"]:
        case {"kind": "harmful", "guilty": guilty, "metrics": metrics}:
            harm = "; ".join(_against(metric) for metric in metrics if metric["name"] in guilty)
            return f"{ended} by the verdict: {harm}"
        case {"kind": "safe"}:
            return f"{ended} by the verdict: every guardrail proven safe"
    return ended


def verdict(rollout: Rollout) -> str:
    """The verdict with its reasons, which are whole sentences."""
    found = rollout["verdict"]
    return " ".join([f"{found['kind']}.", *found["reasons"]]) if found else "not there yet."


def progress(rollout: Rollout, orders: int, orders_per_s: float) -> str:
    """One line: where the rollout stands, and what its evidence says so far."""
    parts = [f"{rollout['canary']} at {weight(rollout)}", f"{orders} orders, {orders_per_s:.0f}/s"]
    if found := rollout["verdict"]:
        parts.append(f"evidence of harm {_of_limit(found)}")
        parts += [_against(metric) for metric in found["metrics"]]
    return " · ".join(parts)


def evidence(data: dict[str, Any]) -> str:
    """What a webhook says: who ended the rollout and why, a line for each metric, and the evidence of harm."""
    rollout, transition = data["rollout"], data["transition"]
    found = rollout["verdict"]
    cause = f"Cause: {transition['cause']}, by {transition['actor']}"
    return "\n".join([cause, f"Evidence of harm: {_of_limit(found)}", *map(_numbers, found["metrics"])])


def alert(alert: Mapping[str, Any], what: str) -> str:
    """`baseline (warning) fired: faithfulness of orders (production) fell from 0.94 to 0.87`."""
    return f"{alert['kind']} ({alert['severity']}) {what}: {alert['summary']}"


def mean(values: Sequence[float]) -> str:
    """`0.871, of 117`."""
    return f"{sum(values) / len(values):.3f}, of {len(values)}" if values else "none yet"


def counts(numbers: Mapping[str, int]) -> str:
    """`120 unreachable, 3 timeout`, the most first."""
    return ", ".join(f"{n} {name}" for name, n in sorted(numbers.items(), key=lambda item: -item[1]))


def _numbers(metric: dict[str, Any]) -> str:
    arms = (f"{_percent(metric[arm])} (n {metric[arm]['n']})" for arm in ("canary", "control"))
    return f"{metric['name']}: {' against '.join(arms)}: {metric['verdict']}"


def _against(metric: dict[str, Any]) -> str:
    return f"{metric['name']} {_percent(metric['canary'])} against {_percent(metric['control'])}"


def _percent(arm: dict[str, Any]) -> str:
    """A share as the pages show it."""
    if arm["estimate"] is None:
        return "\N{EN DASH}"
    points = 100 * arm["estimate"]
    return f"{points:.{1 if points >= 1 else 2 if points else 0}f} %"


def _of_limit(found: dict[str, Any]) -> str:
    return f"{_e_value(found['log_e_harm'])} of {math.exp(found['log_threshold']):g}"


def _e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.1f}" if log_e < math.log(1000) else "over 1000"
