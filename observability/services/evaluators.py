"""Changing evaluators: making one, publishing its next version, and saying which prompts it judges, and for how much.

A published version never changes (a trigger refuses it): a next one is published. Scores of before keep the version
that gave them.
"""

import hashlib
import json
import logging
from decimal import Decimal
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from observability.core.evaluator_configs import JUDGE_VARIABLES, as_json, read_config
from observability.core.evidence import BUILT_IN_METRICS
from observability.models import Evaluator, EvaluatorKind, EvaluatorVersion, Judging, JudgingBudget
from observability.models.evaluators import SCORE_NAME
from observability.selectors.evaluators import asking_versions, find_evaluator
from registry import audit
from registry.core.content import Content
from registry.core.contract import required_variables
from registry.core.templates import is_placeholder
from registry.models import PROMPT_NAME, Prompt, PromptVersion
from registry.selectors import find_prompt, find_version
from registry.services.refusals import problems_refused, required_text

WHOLE_BP = 10_000

logger = logging.getLogger(__name__)


@transaction.atomic
def create_evaluator(*, name: str, score: str, description: str = "", actor: Actor) -> Evaluator:
    """A new evaluator without versions. score: the name of the scores that it gives, for ever.

    Raises Invalid, or Conflict evaluator_exists.
    """
    for field, text, rule in (("name", name, PROMPT_NAME), ("score", score, SCORE_NAME)):
        try:
            rule(text)
        except ValidationError as error:
            raise Invalid.field(field, error.messages[0]) from error
    if score in BUILT_IN_METRICS:
        raise Invalid.field("score", f"{score} is measured from the calls; a score needs another name")
    evaluator, created = Evaluator.objects.get_or_create(
        name=name,
        defaults={"score": score, "description": description, "created_at": now(), "created_by": str(actor)},
    )
    if not created:
        raise Conflict("evaluator_exists", f"There is already an evaluator {name}")
    described = {"score": score, "description": description}
    audit.record(action="evaluator.created", target=f"evaluators/{name}", before=None, after=described, actor=actor)
    return evaluator


def checked_version(evaluator: Evaluator, *, kind: str, config: Any, template: str | None) -> EvaluatorVersion:
    """What would be published, not stored. template: of a judge, such as `judge-faithfulness@1.0`. Raises Invalid."""
    if kind not in EvaluatorKind.values:
        raise Invalid.field("kind", f"expected one of {', '.join(EvaluatorKind.values)}, got {kind[:40]!r}")
    with problems_refused():
        stored = as_json(read_config(kind, config))
    asking = _template(kind, template)
    written = {"kind": kind, "config": stored, "template": asking and asking.ref}
    sha256 = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
    return EvaluatorVersion(evaluator=evaluator, kind=kind, config=stored, template=asking, sha256=sha256)


@transaction.atomic
def publish_evaluator_version(
    *, evaluator_name: str, kind: str, config: Any, template: str | None = None, notes: str, actor: Actor
) -> EvaluatorVersion:
    """The evaluator's next version, by which all is judged from now on but what a rollout pinned.

    Raises NotFound, Invalid with every fault by its field, or Conflict: evaluator_unchanged where the newest version
    says the same, evaluator_judges where one of the two is external and the evaluator judges prompts.
    """
    evaluator = _lock(evaluator_name)
    notes = required_text("notes", notes, "say what changed and why")
    version = checked_version(evaluator, kind=kind, config=config, template=template)
    newest = evaluator.versions.order_by("-ordinal").first()
    if newest and newest.sha256 == version.sha256:
        raise Conflict("evaluator_unchanged", f"{newest} says the same", extra={"ordinal": newest.ordinal})
    _refuse_to_end_judgings(evaluator, newest, version)
    if version.template:
        _refuse_judged_template(version.template)
    version.ordinal = newest.ordinal + 1 if newest else 1
    version.notes, version.published_at, version.published_by = notes, now(), str(actor)
    version.save(force_insert=True)
    audit.record(
        action="evaluator.published",
        target=f"evaluators/{evaluator.name}/versions/{version.ordinal}",
        before=None,
        after={"kind": kind, "config": version.config, "template": version.template and version.template.ref},
        reason=notes,
        actor=actor,
    )
    _log("evaluator.published", actor, evaluator=str(version))
    return version


@transaction.atomic
def set_judging(
    *,
    prompt_name: str,
    evaluator_name: str,
    share_bp: int | None = None,
    canary_share_bp: int | None = None,
    active: bool | None = None,
    actor: Actor,
) -> Judging:
    """Have the evaluator judge calls of the prompt, or otherwise than before; None leaves a setting as it is.

    share_bp, canary_share_bp: of the calls, in basis points (models.Judging). Raises NotFound, Gone, Invalid, or
    Conflict: evaluator_has_no_version, evaluator_is_external, prompt_asks_judge, or score_has_evaluator where another
    one gives scores of the same name to the prompt, of which only one could count.
    """
    evaluator = _lock(evaluator_name)
    prompt = find_prompt(prompt_name)
    judging = Judging.objects.filter(prompt=prompt, evaluator=evaluator).first()
    before = judging and _judged(judging)
    if judging is None:
        _refuse_what_cannot_judge(evaluator, prompt)
        judging = Judging(prompt=prompt, evaluator=evaluator)
    for field, value in (("share_bp", share_bp), ("canary_share_bp", canary_share_bp)):
        if value is not None:
            setattr(judging, field, _share(field, value))
    if active is not None:
        judging.active = active
    if _judged(judging) != before:
        judging.save()
        _record_judging("judging.set", judging, before, _judged(judging), actor)
    return judging


@transaction.atomic
def remove_judging(*, prompt_name: str, evaluator_name: str, actor: Actor) -> None:
    """Calls of the prompt are not judged by it any more; scores stay. Raises NotFound unknown_judging."""
    evaluator = _lock(evaluator_name)
    judging = Judging.objects.filter(prompt__name=prompt_name, evaluator=evaluator).select_related("prompt").first()
    if judging is None:
        raise NotFound("unknown_judging", f"{evaluator_name} does not judge {prompt_name}")
    judging.delete()
    _record_judging("judging.removed", judging, _judged(judging), None, actor)


@transaction.atomic
def set_judging_budget(
    *, prompt_name: str, calls_a_day: int | None, usd_a_day: Decimal | None, actor: Actor
) -> JudgingBudget:
    """What judging the prompt may cost in a day of UTC; None is no bound. Raises NotFound, Gone or Invalid."""
    prompt = _lock_prompt(find_prompt(prompt_name))
    if calls_a_day is not None and calls_a_day < 0:
        raise Invalid.field("calls_a_day", f"expected at least 0, got {calls_a_day}")
    if usd_a_day is not None and usd_a_day < 0:
        raise Invalid.field("usd_a_day", f"expected at least 0, got {usd_a_day}")
    stored = JudgingBudget.objects.filter(prompt=prompt).first()
    before = _budgeted(stored) if stored else None
    budget = stored or JudgingBudget(prompt=prompt)
    budget.calls_a_day, budget.usd_a_day = calls_a_day, usd_a_day
    if _budgeted(budget) != before:
        budget.save()
        target = f"prompts/{prompt.name}/judging-budget"
        audit.record(action="judging.budgeted", target=target, before=before, after=_budgeted(budget), actor=actor)
    return budget


def _lock(name: str) -> Evaluator:
    return Evaluator.objects.select_for_update(no_key=True).get(pk=find_evaluator(name).pk)


def _lock_prompt(prompt: Prompt) -> Prompt:
    """Against a judging and a template of it at once."""
    return Prompt.objects.select_for_update(no_key=True).get(pk=prompt.pk)


def _template(kind: str, written: str | None) -> PromptVersion | None:
    """The version of a prompt that asks a judge. Raises Invalid."""
    if kind != EvaluatorKind.JUDGE:
        if written is not None:
            raise Invalid.field("template", f"expected none: only a judge has a template, and this is a {kind}")
        return None
    if not written:
        raise Invalid.field("template", "expected a version such as judge-faithfulness@1.0", code="required")
    prompt_name, _, number = written.partition("@")
    try:
        version = find_version(find_prompt(prompt_name), number)
    except NotFound as error:
        raise Invalid.field("template", error.detail, code=error.code) from error
    _refuse_unknown_variables(version)
    return version


def _refuse_unknown_variables(version: PromptVersion) -> None:
    content = Content(version.type, version.template, input_schema=version.input_schema)
    if version.type == "chat" and any(map(is_placeholder, version.template)):
        raise Invalid.field("template", f"{version.ref} has a placeholder for messages, and no call brings one")
    if unknown := sorted(required_variables(content) - JUDGE_VARIABLES):
        expected = ", ".join(sorted(JUDGE_VARIABLES))
        raise Invalid.field(
            "template", f"{version.ref} needs {', '.join(unknown)}, and a judge has {expected}", code="unknown_variable"
        )


def _refuse_to_end_judgings(evaluator: Evaluator, newest: EvaluatorVersion | None, version: EvaluatorVersion) -> None:
    """What others score is judged by nobody: its judgings would be there and do nothing, or begin all at once."""
    if newest is None or (newest.kind == EvaluatorKind.EXTERNAL) == (version.kind == EvaluatorKind.EXTERNAL):
        return
    if judging := evaluator.judgings.select_related("prompt").first():
        raise Conflict(
            "evaluator_judges",
            f"{evaluator.name} judges {judging.prompt.name}, and an external evaluator judges nothing: end that first",
        )


def _refuse_judged_template(template: PromptVersion) -> None:
    """A judge's own calls are never judged, so its prompt would not be any more, and nothing would say so."""
    prompt = _lock_prompt(template.prompt)
    if judging := prompt.judgings.select_related("evaluator").first():
        raise Invalid.field(
            "template",
            f"{prompt.name} is judged by {judging.evaluator.name}, and calls of a prompt that asks a judge are never "
            "judged: end that first, or ask with another prompt",
        )


def _refuse_what_cannot_judge(evaluator: Evaluator, prompt: Prompt) -> None:
    newest = evaluator.versions.order_by("-ordinal").first()
    if newest is None:
        raise Conflict("evaluator_has_no_version", f"Publish a version of {evaluator.name} first")
    if newest.kind == EvaluatorKind.EXTERNAL:
        raise Conflict("evaluator_is_external", f"{newest} judges nothing: others post its scores")
    if asking := asking_versions().filter(template__prompt=_lock_prompt(prompt)).select_related("evaluator").first():
        raise Conflict(
            "prompt_asks_judge",
            f"{prompt.name} asks the judge {asking}, and calls of a prompt that asks a judge are never judged",
        )
    others = prompt.judgings.filter(evaluator__score=evaluator.score).exclude(evaluator=evaluator)
    if other := others.select_related("evaluator").first():
        raise Conflict(
            "score_has_evaluator",
            f"{other.evaluator.name} gives {prompt.name} the score {evaluator.score}, and only one of a call counts",
        )


def _share(field: str, value: int) -> int:
    if not 1 <= value <= WHOLE_BP:
        raise Invalid.field(field, f"expected 1 to {WHOLE_BP} basis points, got {value}")
    return value


def _judged(judging: Judging) -> dict[str, Any]:
    return {
        "share_bp": judging.share_bp,
        "canary_share_bp": judging.canary_share_bp,
        "active": judging.active,
    }


def _budgeted(budget: JudgingBudget) -> dict[str, Any]:
    return {"calls_a_day": budget.calls_a_day, "usd_a_day": None if budget.usd_a_day is None else str(budget.usd_a_day)}


def _record_judging(action: str, judging: Judging, before: Any, after: Any, actor: Actor) -> None:
    target = f"prompts/{judging.prompt.name}/judgings/{judging.evaluator.name}"
    audit.record(action=action, target=target, before=before, after=after, actor=actor)
    _log(action, actor, prompt=judging.prompt.name, evaluator=judging.evaluator.name)


def _log(event: str, actor: Actor, **fields: str) -> None:
    transaction.on_commit(partial(logger.info, event, extra={**fields, "actor": str(actor)}))
