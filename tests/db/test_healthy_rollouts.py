"""Fault 24: the same text twice, 50 000 calls, a look every 1 000 of them: none of 20 rollouts is rolled back."""

import numpy as np
import pytest

from observability import evidence
from observability.core.evidence import Exposure, Observation
from rollout.models import Rollout
from tests import rollouts as given

pytestmark = pytest.mark.django_db

CALLS, CALLS_A_LOOK = 50_000, 1_000
TRUTH = {"error_rate": 0.01, "hallucination": 0.018}  # the base rates of the design's simulations


@pytest.mark.parametrize("seed", range(20))
def test_same_text_twice__is_not_rolled_back(seed: int) -> None:
    rollout = given.rollout(steps=[{"weight": "5%", "hold": "7d"}])
    dice = np.random.default_rng(seed)

    for _ in range(CALLS // CALLS_A_LOOK):
        observe(rollout, dice)
        rollout = given.look_now(rollout)

        assert (rollout.status, rollout.hold_reason) == ("running", "")

    assert rollout.verdict
    assert sum(arm["n"] for arm in arms(rollout)) == CALLS


def observe(rollout: Rollout, dice: np.random.Generator) -> None:
    """CALLS_A_LOOK calls by as many units, 5 % of them expected in the canary, both arms with the same true rates."""
    canary = dice.random(CALLS_A_LOOK) < 0.05
    buckets = dice.integers(256, size=CALLS_A_LOOK)
    for metric, rate in TRUTH.items():
        ones = dice.random(CALLS_A_LOOK) < rate
        cells, counts = np.unique(np.stack([canary, buckets, ones]), axis=1, return_counts=True)
        evidence.add(
            Observation(
                Exposure(rollout.id, 0, "canary" if in_canary else "control", int(bucket)),
                rollout.canary_id if in_canary else rollout.control_id,
                metric,
                1000 * int(one),
                int(count),
            )
            for in_canary, bucket, one, count in zip(*cells, counts, strict=True)
        )


def arms(rollout: Rollout) -> list[dict[str, int]]:
    assert rollout.verdict
    metric = rollout.verdict.body["metrics"][1]
    return [metric["control"], metric["canary"]]
