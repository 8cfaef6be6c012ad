"""While a rollout runs: how many more calls until the canary is proven safe, if it is as good as the control?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rollout.core.plan import Judged
from rollout.core.stats.behaviour import Behaviour, expected
from rollout.core.stats.evidence import Bins
from rollout.core.stats.forecast import Leg, calls_until
from rollout.core.stats.metric import Frozen, State

SEED = 1  # the same question gets the same answer


@dataclass(frozen=True, slots=True)
class Unproven:
    """A guardrail after some batches. control: its control's observations, by bin; observed: share of each arm's calls
    that have one."""

    frozen: Frozen
    state: State
    control: Bins
    observed: Judged

    @property
    def name(self) -> str:
        return self.frozen.metric.name


@dataclass(frozen=True, slots=True)
class Proof:
    """The guardrail that takes longest, and how many more canary calls that is; None for hardly ever."""

    metric: str
    canary_calls: int | None


def foresee_proof(
    unproven: Sequence[Unproven], *, step: int, share: float, log_threshold: float, least_batch: int
) -> Proof:
    """unproven: at least one. share: of the canary on the step, which is taken to last."""
    left = {guardrail.name: _calls_left(guardrail, step, share, log_threshold, least_batch) for guardrail in unproven}
    last = max(left, key=lambda name: left[name])
    return Proof(last, None if math.isinf(left[last]) else math.ceil(share * left[last]))


def _calls_left(guardrail: Unproven, step: int, share: float, log_threshold: float, least_batch: int) -> float:
    """Of both arms, in the median. Calls that are alike count as so many fewer, of the past and to come."""
    alike, process = guardrail.state.design_effect, guardrail.frozen.process
    values = expected(guardrail.frozen.metric, guardrail.control)
    independent = calls_until(
        "safe",
        process,
        control=Behaviour(values, guardrail.observed.control),
        canary=Behaviour(values, guardrail.observed.canary),
        legs=[Leg(step, share, calls=math.inf, look=0.0)],
        log_threshold=log_threshold,
        least_batch=least_batch,
        start=tuple(log / alike for log in guardrail.state.safe),
        seed=SEED,
    )
    return alike * median(independent)
