"""Sample ratio: do the arms get the shares of the traffic that the plan gives them?

Evidence against it is the Bayes factor of a Dirichlet-multinomial against the planned share w, an e-process for
independent units. Calls of one unit stay together in one arm, so what is counted are effective units: calls / design
effect. That is estimated from the calls in 256 buckets, which are a hash of the unit independent of the arm.
Source: Lindon and Malek 2022, "Anytime-valid inference for multinomial count data".
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from rollout.core.stats.design_effect import BUCKETS, crowding
from rollout.core.stats.grid import Array, log_mean

CONCENTRATION = 1000.0  # how near the share is expected to the planned one when it is wrong
LOG_THRESHOLD = math.log(1000)  # alpha .001


@dataclass(frozen=True, slots=True)
class StepUnits:
    """What one step assigned. weight: planned share of the canary; control, canary: calls by unit bucket (256,)."""

    weight: float
    control: Array
    canary: Array


@dataclass(frozen=True, slots=True)
class Counted:
    """Effective units of both arms, on all steps of one planned share of the canary."""

    share: float
    control: float
    canary: float


def count(steps: Iterable[StepUnits]) -> list[Counted]:
    """The steps in effective units, those of one weight together, since they assign the same units.

    Steps of weight 0 or 1 are left out: there every call of the wrong arm is a late one. Raises ValueError on
    impossible input.
    """
    by_weight: dict[float, tuple[Array, Array]] = {}
    for step in steps:
        _check(step)
        control, canary = by_weight.get(step.weight, (np.zeros(BUCKETS), np.zeros(BUCKETS)))
        by_weight[step.weight] = (control + step.control, canary + step.canary)
    return [_count(weight, *arms) for weight, arms in by_weight.items() if 0 < weight < 1]


def log_bayes_factor(counted: Iterable[Counted]) -> float:
    """ln of the evidence that the sample ratio is broken; compare with LOG_THRESHOLD. 0 without units."""
    return math.fsum(
        log_dirichlet_multinomial(one.control, one.canary, weight=one.share, concentration=CONCENTRATION)
        for one in counted
    )


def mean_log_bayes_factor(counted: Iterable[Sequence[Counted]]) -> float:
    """ln of the mean of several such numbers, which is evidence of the same kind however they depend on each other."""
    logs = [log_bayes_factor(of_one) for of_one in counted]
    return float(log_mean(logs, [1.0] * len(logs))) if logs else 0.0


def planned_share(weight: float, *, control: float, canary: float) -> float:
    """The canary's share of what is judged, when these shares of each arm's calls are."""
    return weight * canary / (weight * canary + (1 - weight) * control)


def effective_units(control: Array, canary: Array) -> tuple[float, float]:
    """How many independent units each arm's calls are worth, from the calls by bucket (256,): at most the calls."""
    control_units, canary_units = (float(calls.sum()) / crowding(calls) for calls in (control, canary))
    return control_units, canary_units


def log_dirichlet_multinomial(control: float, canary: float, *, weight: float, concentration: float) -> float:
    """ln B = ln Beta(k w + c) - ln Beta(k w) - sum of c ln w, for counts c, planned shares w and concentration k."""
    prior_canary, prior_control = concentration * weight, concentration * (1 - weight)
    marginal = betaln(prior_canary + canary, prior_control + control) - betaln(prior_canary, prior_control)
    return float(marginal - canary * math.log(weight) - control * math.log1p(-weight))


def splitting(control: Array, canary: Array) -> float:
    """Design effect by how unevenly the arms split the buckets, at least 1. It sees what a single heavy unit does."""
    calls = control + canary
    n, share = float(calls.sum()), float(canary.sum() / max(calls.sum(), 1))
    if share in (0, 1):
        return 1.0
    return max(1.0, _unbiased(((canary - share * calls) ** 2).sum()) / (share * (1 - share) * n))


def _count(weight: float, control: Array, canary: Array) -> Counted:
    """The larger of the two design effects counts: each alone was fooled in simulations where the other was not."""
    worth = max(crowding(control + canary), splitting(control, canary))
    return Counted(weight, float(control.sum()) / worth, float(canary.sum()) / worth)


def _unbiased(sum_of_squares: float) -> float:
    return float(sum_of_squares) * BUCKETS / (BUCKETS - 1)


def _check(step: StepUnits) -> None:
    for calls in (step.control, step.canary):
        if calls.shape != (BUCKETS,) or calls.min() < 0:
            raise ValueError(f"expected calls of 0 or more in buckets 0 to {BUCKETS - 1}, got {calls.tolist()}")
