"""Reading what happened: calls for people and programs, and what a rollout needs to know of the past."""

from observability.selectors.past import (
    UNPRICED_FOR,
    ScoreName,
    Traffic,
    baseline,
    calls,
    example_trace_ids,
    measures,
    score_names,
    scores,
    text_of_call,
    traffic,
    unpriced_models,
)
from observability.selectors.traces import trace

__all__ = [
    "UNPRICED_FOR",
    "ScoreName",
    "Traffic",
    "baseline",
    "calls",
    "example_trace_ids",
    "measures",
    "score_names",
    "scores",
    "text_of_call",
    "trace",
    "traffic",
    "unpriced_models",
]
