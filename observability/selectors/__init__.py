"""Reading what happened: calls for people and programs, and what a rollout needs to know of the past."""

from observability.selectors.past import (
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
)
from observability.selectors.traces import trace

__all__ = [
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
]
