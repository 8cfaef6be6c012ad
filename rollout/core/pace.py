"""When will so many more calls of the canary have come, with what its steps give it?"""

from collections.abc import Sequence

from rollout.core.plan import PlanStep


def seconds_until(canary_calls: float, *, calls_per_s: float, steps: Sequence[PlanStep], left_s: float) -> float:
    """steps: the present one and those that follow, each left when its hold is served. left_s: of the present one's
    hold. calls_per_s: of both arms, over 0. The last step goes on without end."""
    passed = 0.0
    for step in steps[:-1]:
        hold = max(left_s, 0.0) if step is steps[0] else float(step.hold_s)
        per_s = calls_per_s * step.weight_bp / 10_000
        if canary_calls <= per_s * hold:
            return passed + canary_calls / per_s
        canary_calls, passed = canary_calls - per_s * hold, passed + hold
    return passed + canary_calls / (calls_per_s * steps[-1].weight_bp / 10_000)
