"""What does a version of an evaluator say of one call?

Either a judgement, or what kept it away with whether it is worth another try: never a score that stands for "unknown".
"""

from observability.core.prices import NO_OVERRIDES, Overrides
from observability.judging import checks, judge, ragas
from observability.judging.judgements import Judgement, Material, Missed
from observability.models.evaluations import Missing
from observability.models.evaluators import EvaluatorKind, EvaluatorVersion

__all__ = ["Judgement", "Material", "Missed", "evaluate"]


def evaluate(
    version: EvaluatorVersion, material: Material, *, deadline_s: float, overrides: Overrides = NO_OVERRIDES
) -> Judgement | Missed:
    """What the version says. Touches no database and may run in a thread: a judge's template has been loaded with it.

    deadline_s: after so many seconds it has answered, whatever a provider does. overrides: the project's own prices.
    """
    match version.kind:
        case EvaluatorKind.CHECK:
            return checks.evaluate(version, material)
        case EvaluatorKind.JUDGE:
            return judge.evaluate(version, material, deadline_s=deadline_s, overrides=overrides)
        case EvaluatorKind.RAGAS:
            return ragas.evaluate(version, material, deadline_s=deadline_s, overrides=overrides)
    return Missed(Missing.FAILED, "others post the scores of this evaluator", try_again=False)
