"""Judges that come with Serinus: templates in files, published as prompts and evaluators of this installation.

Installing is safe to repeat: a template's version that is here is left alone, and so is an evaluator that has a
version, since a next one is a decision of people.
"""

from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from common.actors import Actor
from common.errors import Conflict
from observability.models import Evaluator, EvaluatorKind, EvaluatorVersion
from observability.services.evaluators import create_evaluator, publish_evaluator_version
from registry.core.prompt_file import PromptFile, read_prompt_file
from registry.file_formats import read_file
from registry.services import import_prompt

FOLDER = Path(__file__).parent / "templates"
READY_MADE = tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))
"""The names of the evaluators, and of their scores."""
NOTES = "as it comes with Serinus"


@dataclass(frozen=True, slots=True)
class Installed:
    """version: the newest. is_new: whether it was published just now."""

    version: EvaluatorVersion
    is_new: bool


@transaction.atomic
def install(*, name: str, model: str, provider: str = "openai", actor: Actor) -> Installed:
    """The ready-made judge of this name (READY_MADE), asked of this model. All of it is there afterwards or nothing.

    Raises what importing a prompt and publishing raise: Conflict version_differs where a prompt of its name has another
    text, and evaluator_exists where an evaluator of its name gives another score.
    """
    template = ready_made_template(name)
    import_prompt(file=template, actor=actor)
    evaluator = _evaluator(name, template.description, actor)
    newest = evaluator.versions.select_related("template__prompt").order_by("-ordinal").first()
    if newest:
        return Installed(newest, is_new=False)
    version = publish_evaluator_version(
        evaluator_name=name,
        kind=EvaluatorKind.JUDGE,
        config={"model": model, "provider": provider},
        template=f"{template.name}@{template.versions[-1].number}",
        notes=NOTES,
        actor=actor,
    )
    return Installed(version, is_new=True)


def ready_made_template(name: str) -> PromptFile:
    return read_prompt_file(read_file(FOLDER / f"{name}.yaml"))


def _evaluator(name: str, description: str, actor: Actor) -> Evaluator:
    evaluator = Evaluator.objects.filter(name=name).first()
    if evaluator is None:
        return create_evaluator(name=name, score=name, description=description, actor=actor)
    if evaluator.score != name:
        raise Conflict("evaluator_exists", f"There is already an evaluator {name}, of the score {evaluator.score}")
    return evaluator
