"""What would publishing this text mean? Its contract, the smallest step and why, what keeps it, what it changes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from common.errors import NotFound
from registry import selectors
from registry.admin.telling import by_field
from registry.core import outline
from registry.core.content import Content
from registry.core.differences import MessageDifference, template_differences
from registry.core.diffs import config_lines
from registry.core.problems import Problem, ProblemsFound
from registry.core.validation import publishable, storable
from registry.core.versions import SemVer
from registry.models import Prompt, PromptVersion
from registry.services.publishing import FIRST


@dataclass(frozen=True, slots=True)
class Difference:
    """Both are empty where nothing changed. settings: lines of config and schemas (core.diffs), None for too many."""

    base: PromptVersion
    messages: Sequence[MessageDifference]
    settings: Sequence[tuple[str, str]] | None


def outlook(
    prompt: Prompt, content: Content, *, notes: str, against: str = "", found: Sequence[Problem] = ()
) -> dict[str, Any]:
    """For parts/step.html and those around it. against: a version to compare with, else the highest. found: problems
    known already. What is only not written yet is no problem: whoever opens an empty page did nothing wrong."""
    base = selectors.highest_version(prompt)
    sound, wrong = (None, found) if found else _checked(content)
    problems = [problem for problem in wrong if content.template or problem.field != "template"]
    return {
        "problems_of": by_field([*problems, *_kept_by(prompt)]),
        "unwritten": [
            what for what, said in (("the text", content.template), ("the notes", notes.strip())) if not said
        ],
        "base": base,
        **(_step(prompt, sound) if sound else {}),
        "variables": outline.variable_rows(content, selectors.content_of(base) if base else None),
        "answers": outline.expected_answers(content.response_schema),
        "answers_changed": base is not None and base.response_schema != content.response_schema,
        **compared(prompt, content, against=against, otherwise=base),
    }


def compared(prompt: Prompt, content: Content, *, against: str, otherwise: PromptVersion | None) -> dict[str, Any]:
    """The difference from the version named, or from the other where there is no such; and all that may be named."""
    try:
        base = selectors.find_version(prompt, against) if against else otherwise
    except NotFound:
        base = otherwise
    return {
        "difference": base and difference(base, content),
        "versions": choices(prompt),
        "against": base.number if base else "",
    }


def difference(base: PromptVersion, content: Content) -> Difference:
    before = selectors.content_of(base)
    with suppress(ProblemsFound):
        content = storable(content)  # with plain line ends, as the version has them
    return Difference(base, template_differences(before.template, content.template), config_lines(before, content))


def choices(prompt: Prompt) -> list[tuple[str, str]]:
    """Each version's number with the labels that point at it, newest first."""
    labels: dict[int, list[str]] = {}
    for label in prompt.labels.order_by("name"):
        labels.setdefault(label.version_id, []).append(label.name)
    rows = prompt.versions.only("prompt", "major", "minor", "patch").order_by("-ordinal")
    return [
        (version.number, version.number + (f" ({', '.join(labels[version.pk])})" if version.pk in labels else ""))
        for version in rows
    ]


def _checked(content: Content) -> tuple[Content | None, Sequence[Problem]]:
    """The content as it would be published, or everything that is wrong with it."""
    try:
        return publishable(content), ()
    except ProblemsFound as found:
        return None, found.problems


def _kept_by(prompt: Prompt) -> list[Problem]:
    if prompt.archived_at:
        return [Problem("", "archived", "the prompt was archived; serve it again first")]
    return []


def _step(prompt: Prompt, content: Content) -> dict[str, Any]:
    proposal = selectors.propose(prompt, content)
    if proposal.base is None or proposal.smallest is None:
        return {"proposal": proposal, "number": FIRST}
    base = SemVer(proposal.base.major, proposal.base.minor, proposal.base.patch)
    return {"proposal": proposal, "number": base.bumped(proposal.smallest)}
