"""Which share of each arm's calls is judged, when only some of all calls may be.

Judging costs, and a canary's calls are few: so of all that may be judged up to half are the canary's, where a share of
all calls alike would give it its weight alone. What is compared is then the same as ever, since a batch's arms are
compared by what each got of its scores (docs/explanation/judging-on-a-budget.md).
"""

from collections.abc import Sequence

from rollout.core.plan import Judged

LEAST_SHARE = 1e-6  # of what may be judged: a share must be over 0, whatever a budget leaves


def split(judged: float, *, weight: float, canary_at_most: float = 1.0) -> Judged:
    """The shares of both arms' calls that make up this share of all calls, over 0 and at most 1.

    weight: of the canary, between 0 and 1. canary_at_most: of its calls. Half of what is judged are the canary's,
    unless that is more than there are of either arm, or than is wanted of the canary.
    """
    canary = min(canary_at_most, judged / (2 * weight))
    control = (judged - weight * canary) / (1 - weight)
    if control > 1:
        canary = min(canary_at_most, (judged - (1 - weight)) / weight)
    return Judged(control=min(control, 1.0), canary=canary)


def split_by_step(judged: float, *, weights: Sequence[float], canary_at_most: float = 1.0) -> tuple[Judged, ...]:
    return tuple(split(judged, weight=weight, canary_at_most=canary_at_most) for weight in weights)


def affordable(*, wanted_a_day: float, most_a_day: float | None) -> float:
    """Which part of what is wanted of something a day may be had; all where nothing limits it."""
    if most_a_day is None or wanted_a_day <= most_a_day:
        return 1.0
    return most_a_day / wanted_a_day
