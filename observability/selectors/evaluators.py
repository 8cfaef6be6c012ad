"""Reading evaluators, their versions, and which prompts they judge."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from common.errors import NotFound
from observability.models import Evaluator, EvaluatorVersion, JudgedShare, Judging, JudgingBudget
from registry.models import Prompt


def evaluators() -> QuerySet[Evaluator]:
    """The one that was made last first."""
    return Evaluator.objects.order_by("-id")


def find_evaluator(name: str) -> Evaluator:
    """Raises NotFound unknown_evaluator."""
    # PostgreSQL refuses to be asked for a text with a NUL.
    evaluator = Evaluator.objects.filter(name=name).first() if "\0" not in name else None
    if evaluator is None:
        raise NotFound("unknown_evaluator", f"There is no evaluator {name[:128]}")
    return evaluator


def evaluator_versions(evaluator: Evaluator) -> QuerySet[EvaluatorVersion]:
    """The newest first, each with its template at hand."""
    return evaluator.versions.select_related("evaluator", "template__prompt").order_by("-ordinal")


def find_evaluator_version(evaluator: Evaluator, ordinal: int | None = None) -> EvaluatorVersion:
    """The version, or the newest. Raises NotFound unknown_evaluator_version."""
    found = evaluator_versions(evaluator)
    version = (found if ordinal is None else found.filter(ordinal=ordinal)).first()
    if version is None:
        which = "version" if ordinal is None else f"version {ordinal}"
        raise NotFound("unknown_evaluator_version", f"{evaluator.name} has no {which}")
    return version


def newest_versions(of: Iterable[Evaluator]) -> dict[int, EvaluatorVersion]:
    """By the id of the evaluator; nothing for one that has none yet."""
    found = EvaluatorVersion.objects.filter(evaluator__in=list(of)).select_related("evaluator", "template__prompt")
    return {version.evaluator_id: version for version in found.order_by("ordinal")}


def asking_versions() -> QuerySet[EvaluatorVersion]:
    """Versions of judges by whose templates calls are or may be judged: the newest, and what rollouts have fixed."""
    newest = EvaluatorVersion.objects.filter(evaluator=OuterRef("evaluator")).order_by("-ordinal")
    fixed = JudgedShare.objects.filter(evaluator_version=OuterRef("pk"))
    is_asked = Q(ordinal=Subquery(newest.values("ordinal")[:1])) | Exists(fixed)
    return EvaluatorVersion.objects.filter(is_asked, template__isnull=False)


def judgings(prompt: Prompt) -> QuerySet[Judging]:
    """By the names of the evaluators."""
    return prompt.judgings.select_related("evaluator", "prompt").order_by("evaluator__name")


def judging_budget(prompt: Prompt) -> JudgingBudget:
    """The prompt's, or the one that holds where none was set, which is not stored."""
    return JudgingBudget.objects.filter(prompt=prompt).first() or JudgingBudget(prompt=prompt)
