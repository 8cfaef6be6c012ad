"""What a prompt's figures are held against: its baselines of seven days, and what its objectives promise.

A baseline and a threshold of a time are of its mean. The chart shows its P95, which is above both however well it
does: so these say what they are of, and neither looks like a limit of the lines.
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
        if metric in OF_MEANS:
            found[metric] = [Level("usual mean", mean, "usual"), Level("mean's limit", threshold, "usual")]
        else:
            found[metric] = [Level("usual", mean, "usual"), Level("threshold", threshold, "limit")]
    for objective in objectives:
        promise = Level(objective.name, objective.threshold, "promise")
        found.setdefault(objective.metric, []).append(promise)
    return found
