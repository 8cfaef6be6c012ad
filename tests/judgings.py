"""Given evaluators and who is judged by them, as their services would store them."""

from typing import Any

from common.clock import now
from observability.models import Evaluator, EvaluatorKind, EvaluatorVersion, JudgedShare, Judging, JudgingBudget
from registry.models import Prompt
from tests import make

ARMS = ("control", "canary")


def evaluator(
    name: str = "faithfulness", *, score: str = "", kind: EvaluatorKind = EvaluatorKind.JUDGE, versions: int = 1
) -> Evaluator:
    """An evaluator with so many versions; a judge asks with a prompt of its own, named after it."""
    made = Evaluator.objects.create(name=name, score=score or name, created_at=now(), created_by="user:anna")
    template = make.version(make.prompt(f"{name}-judge"), "1.0") if kind == EvaluatorKind.JUDGE else None
    for ordinal in range(1, versions + 1):
        EvaluatorVersion.objects.create(
            evaluator=made,
            ordinal=ordinal,
            kind=kind,
            template=template,
            notes="a better way",
            sha256=f"{ordinal:064}",
            published_at=now(),
            published_by="user:anna",
        )
    return made


def judging(prompt: Prompt, of: Evaluator, **fields: Any) -> Judging:
    return Judging.objects.create(prompt=prompt, evaluator=of, **fields)


def budget(prompt: Prompt, **fields: Any) -> JudgingBudget:
    return JudgingBudget.objects.create(prompt=prompt, **fields)


def pin(rollout: str, version: EvaluatorVersion, *, steps: int = 1, share: float = 1.0) -> None:
    """The rollout is judged by this version alone, the same share of both arms on each step."""
    for step in range(steps):
        for arm in ARMS:
            JudgedShare.objects.create(rollout=rollout, step=step, arm=arm, evaluator_version=version, share=share)
