"""Reading what happened: calls for people and programs, and what a rollout needs to know of the past."""

from observability.selectors.listed import calls, scores, text_of_call
from observability.selectors.past import (
    ScoreName,
    Traffic,
    baseline,
    example_trace_ids,
    measures,
    score_names,
    traffic,
)
from observability.selectors.samples import Sample, Samples, samples
from observability.selectors.traces import trace
from observability.selectors.unpriced import UNPRICED_FOR, unpriced_models

__all__ = [
    "UNPRICED_FOR",
    "Sample",
    "Samples",
    "ScoreName",
    "Traffic",
    "baseline",
    "calls",
    "example_trace_ids",
    "measures",
    "samples",
    "score_names",
    "scores",
    "text_of_call",
    "trace",
    "traffic",
    "unpriced_models",
]
