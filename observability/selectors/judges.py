"""What judging a prompt takes and may take: its evaluators, their shares, its budget, what a judgement has cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Avg, OuterRef, Subquery

from observability.models import (
    Call,
    Evaluation,
    Evaluator,
    EvaluatorKind,
    EvaluatorVersion,
    Judging,
    JudgingBudget,
)
from registry.models import Prompt


@dataclass(frozen=True, slots=True)
class Judge:
    """An evaluator as it is now. score: the name of its scores; newest: the ordinal of its newest version,
    and kind: of that one.

    judges: whether it judges the prompt's calls; share, canary_share: of them, or the defaults where it does not.
    """

    name: str
    score: str
    kind: EvaluatorKind
    newest: int
    judges: bool
    share: float
    canary_share: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Of a prompt, for a day, by all evaluators together that ask a model; None for no limit."""

    calls_a_day: int | None
    usd_a_day: Decimal | None


def judges(prompt: Prompt) -> dict[str, Judge]:
    """By name: every evaluator that has a version. Those that judge the prompt are told with its own shares."""
    of_prompt = {judging.evaluator_id: judging for judging in Judging.objects.filter(prompt=prompt)}
    newest = EvaluatorVersion.objects.filter(evaluator=OuterRef("pk")).order_by("-ordinal")
    rows = (
        Evaluator.objects.annotate(
            newest=Subquery(newest.values("ordinal")[:1]), kind=Subquery(newest.values("kind")[:1])
        )
        .filter(newest__isnull=False)
        .order_by("name")
    )
    found = {}
    for id_, name, score, ordinal, kind in rows.values_list("pk", "name", "score", "newest", "kind"):
        judging = of_prompt.get(id_) or Judging()
        found[name] = Judge(
            name,
            score,
            EvaluatorKind(kind),
            ordinal,
            judges=id_ in of_prompt and judging.active,
            share=judging.share_bp / 10_000,
            canary_share=judging.canary_share_bp / 10_000,
        )
    return found


def budget(prompt: Prompt) -> Budget:
    """The default one where none was set."""
    found = JudgingBudget.objects.filter(prompt=prompt).first() or JudgingBudget()
    return Budget(found.calls_a_day, None if found.usd_a_day is None else Decimal(found.usd_a_day))


def calls(*, prompt: str, since: datetime) -> int:
    """LLM calls of the prompt that started since then."""
    return Call.objects.filter(prompt_name=prompt, is_embedding=False).since(since).count()


def usd_per_call(prompt: Prompt, *, since: datetime) -> Mapping[str, float]:
    """By evaluator: what judging one of the prompt's calls has cost on average, where that is known."""
    settled = Evaluation.objects.filter(prompt=prompt, created_at__gte=since, cost_usd__isnull=False)
    rows = settled.order_by().values_list("evaluator_version__evaluator__name").annotate(Avg("cost_usd"))
    return {name: float(usd) for name, usd in rows}


def version_id(name: str, ordinal: int) -> int:
    """Of an evaluator's version that there is."""
    return EvaluatorVersion.objects.values_list("pk", flat=True).get(evaluator__name=name, ordinal=ordinal)
