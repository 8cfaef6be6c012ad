"""A rollout in words, from what the API and the webhooks say about it."""

import math
from collections.abc import Iterator
from typing import Any

Rollout = dict[str, Any]


def weight(rollout: Rollout) -> str:
    return f"{rollout['weight_bp'] / 100:g} %"


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
        parts += [f"{m['name']} {_share(m['control'])} → {_share(m['canary'])}" for m in found["metrics"]]
        parts.append(f"e-value of harm {_harm(found)}")
    return " · ".join(parts)


def evidence(rollout: Rollout) -> str:
    """What the rollout ended on: a line for each metric, then the evidence against its threshold."""
    return "\n".join(_evidence(rollout))


def _evidence(rollout: Rollout) -> Iterator[str]:
    found = rollout["verdict"]
    for metric in found["metrics"]:
        control, canary = metric["control"], metric["canary"]
        yield (
            f"{metric['name']}: {rollout['control']} {_share(control)} of {control['n']} calls, "
            f"{rollout['canary']} {_share(canary)} of {canary['n']}: {metric['verdict']}"
        )
    yield f"e-value of harm {_harm(found)}"


def _share(arm: dict[str, Any]) -> str:
    return "?" if arm["estimate"] is None else f"{arm['estimate']:.1%}"


def _harm(found: dict[str, Any]) -> str:
    return f"{_e_value(found['log_e_harm'])}; rolls back at {_e_value(found['log_threshold'])}"


def _e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.1f}" if log_e < math.log(1000) else "over 1000"
