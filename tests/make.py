"""Builders: legal objects, made by the services that make them in production."""

from typing import Any

from common.actors import Actor
from observability.models import Evaluator, EvaluatorVersion, Judging
from observability.services import evaluators
from registry import services
from registry.core.content import Content
from registry.models import Draft, Label, Prompt, PromptVersion

ANNA = Actor("user", "anna")
TEXT = "Extract the order from: {{ order_text }}"


def prompt(name: str = "order-extractor") -> Prompt:
    return services.create_prompt(name=name, actor=ANNA)


def content(template: Any = TEXT, **fields: Any) -> Content:
    """A text content, or a chat one when the template is a list."""
    return Content("text" if isinstance(template, str) else "chat", template, **fields)


def version(
    of: Prompt, number: str | None = None, *, template: Any = TEXT, notes: str = "as discussed", **fields: Any
) -> PromptVersion:
    """A published version: of this number, or the next one that the contract asks for."""
    published = services.publish_version(
        prompt_name=of.name, content=content(template, **fields), notes=notes, version=number, actor=ANNA
    )
    return published.version


def label(of: PromptVersion, name: str = "production") -> Label:
    """The label, pointing at this version."""
    return services.move_label(
        prompt_name=of.prompt.name, label=name, version=of.number, reason="it is ready", actor=ANNA
    )


def key(*scopes: str) -> str:
    """The key itself, as its bearer sends it; by default with the scope `read`."""
    _, text = services.issue_key(name="app", scopes=scopes or ("read",), actor=ANNA)
    return text


def restricted_key(*scopes: str, **limits: Any) -> str:
    """As `key`, with some of prompt_prefix, labels and expires_at."""
    _, text = services.issue_key(name="restricted", scopes=scopes or ("read",), **limits, actor=ANNA)
    return text


def draft(of: Prompt, template: Any = TEXT, *, revision: int | None = None, notes: str = "as discussed") -> Draft:
    """The prompt's draft, saved by whoever had read this revision."""
    return services.save_draft(
        prompt=of, content=content(template), notes=notes, expected_revision=revision, actor=ANNA
    )


def evaluator(name: str = "brevity", score: str = "") -> Evaluator:
    """Of scores of its own name, unless another is said."""
    return evaluators.create_evaluator(name=name, score=score or name, actor=ANNA)


def evaluator_version(
    of: Evaluator | None = None, kind: str = "check", *, template: PromptVersion | None = None, **config: Any
) -> EvaluatorVersion:
    """A published version, of a check unless another kind is said; of a judge with a template."""
    return evaluators.publish_evaluator_version(
        evaluator_name=(of or evaluator()).name,
        kind=kind,
        config=config,
        template=template and template.ref,
        notes="as discussed",
        actor=ANNA,
    )


def judge_version(name: str = "faithfulness", template: str = "{{ output }}", **config: Any) -> EvaluatorVersion:
    """A published version of a judge, and of the prompt that asks it."""
    asking = version(prompt(f"judge-{name}"), template=template)
    return evaluator_version(evaluator(name), "judge", template=asking, **{"model": "gpt-4o-mini", **config})


def judging(of: Prompt, by: EvaluatorVersion, **settings: Any) -> Judging:
    """That the evaluator judges the prompt."""
    return evaluators.set_judging(prompt_name=of.name, evaluator_name=by.evaluator.name, **settings, actor=ANNA)
