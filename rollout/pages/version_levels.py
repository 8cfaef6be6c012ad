"""What a prompt's figures are held against: its baselines of seven days, and what its objectives promise.

A baseline and a threshold of a time are of its mean, which is under the P95 that the chart shows, and say so.
"""

from collections.abc import Iterable, Mapping, Sequence

from observability.core.evidence import LATENCY, TTFT
from observability.models import Objective
from rollout.charts import Level

OF_MEANS = frozenset({LATENCY, TTFT})
Levels = Mapping[str, Sequence[Level]]


def levels_of(baselines: Mapping[str, tuple[float, float]], objectives: Iterable[Objective]) -> Levels:
    """By metric. baselines: (mean, threshold), of the label that the objectives are of too."""
    found: dict[str, list[Level]] = {}
    for metric, (mean, threshold) in baselines.items():
        usual, limit = ("usual mean", "its threshold") if metric in OF_MEANS else ("usual", "threshold")
        found[metric] = [Level(usual, mean, "usual"), Level(limit, threshold, "limit")]
    for objective in objectives:
        promise = Level(objective.name, objective.threshold, "promise")
        found.setdefault(objective.metric, []).append(promise)
    return found
