"""Reads what exists. Whatever is named but unknown is NotFound, never something else in its place.

So is what is out of reach (registry.reach). A reach of some labels holds the versions that these point at or ever did.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import connection
from django.db.models import BooleanField, Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.db.models.expressions import RawSQL

from common.errors import Gone, NotFound
from registry.core import templates
from registry.core.content import Content
from registry.core.contract import Change, compare, smallest_bump
from registry.core.diffs import config_diff, template_diff
from registry.core.problems import Problem, ProblemsFound
from registry.core.versions import Bump, SemVer, parse_version
from registry.models import (
    LABEL_NAME,
    PROMPT_NAME,
    ApiKey,
    Draft,
    Label,
    LabelMove,
    Prompt,
    PromptVersion,
    TemplateContent,
)
from registry.reach import EVERYTHING, Reach

MOST_RENDERED = 10_000_000
"""Characters: more than any model reads, and what one answer may cost."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What publishing a content would mean: its changes from the base version, and the smallest bump they allow.

    base and smallest are None for a prompt's first version, or for one below all others.
    """

    base: PromptVersion | None
    changes: tuple[Change, ...]
    smallest: Bump | None


def prompts(
    reach: Reach = EVERYTHING, *, name_contains: str = "", tag: str | None = None, archived: bool = False
) -> QuerySet[Prompt]:
    """Those that are served, or else those that were archived, with their labels at hand."""
    found = Prompt.objects.filter(
        reach.rows(prompt="name"), archived_at__isnull=not archived, name__icontains=name_contains
    )
    if tag is not None:
        found = _tagged(found, tag)
    return found.prefetch_related("labels__version")


def with_states(among: QuerySet[Prompt]) -> QuerySet[Prompt]:
    """For lists: labels and draft are at hand, without the texts; `draft_is_published` when a version says the same."""
    texts = ("template", "config", "input_schema", "response_schema", "notes")
    labels = Label.objects.select_related("version").defer(*(f"version__{text}" for text in texts))
    return (
        among.select_related("draft")
        .defer(*(f"draft__{text}" for text in texts))
        .prefetch_related(Prefetch("labels", queryset=labels))
        .annotate(draft_is_published=Exists(_saying_the_same_as_the_draft()))
    )


def _saying_the_same_as_the_draft() -> QuerySet[PromptVersion]:
    same = Q()
    for field in ("type", "template", "config"):
        same &= Q(**{field: F(f"prompt__draft__{field}")})
    for field in ("input_schema", "response_schema"):
        draft = f"prompt__draft__{field}"
        same &= Q(**{field: F(draft)}) | Q(**{f"{field}__isnull": True, f"{draft}__isnull": True})
    return PromptVersion.objects.filter(same, prompt=OuterRef("pk"))


def known_prompt(name: str, reach: Reach = EVERYTHING, *, among: QuerySet[Prompt] | None = None) -> Prompt:
    """The prompt, also an archived one. Raises NotFound unknown_prompt."""
    among = Prompt.objects.all() if among is None else among
    # Only a well-formed name is asked for: PostgreSQL refuses some that are not, such as one with a NUL.
    prompt = among.filter(name=name).first() if _follows(PROMPT_NAME, name) and reach.sees(name) else None
    if prompt is None:
        raise NotFound("unknown_prompt", f"There is no prompt {name}")
    return prompt


def find_prompt(name: str, reach: Reach = EVERYTHING, *, among: QuerySet[Prompt] | None = None) -> Prompt:
    """Raises NotFound unknown_prompt, or Gone prompt_archived."""
    prompt = known_prompt(name, reach, among=among)
    if prompt.archived_at:
        raise Gone("prompt_archived", f"The prompt {name} was archived")
    return prompt


def versions(
    prompt: Prompt,
    reach: Reach = EVERYTHING,
    *,
    sha256: str | None = None,
    author: str | None = None,
    since: datetime | None = None,
) -> QuerySet[PromptVersion]:
    """Newest first. since: published then or later."""
    wanted = {"sha256": sha256, "published_by": author, "published_at__gte": since}
    found = prompt.versions.select_related("prompt").filter(
        **{field: value for field, value in wanted.items() if value is not None}
    )
    if reach.labels:
        moves = LabelMove.objects.filter(label__prompt=prompt, label__name__in=sorted(reach.labels))
        found = found.filter(pk__in=moves.order_by().values("to_version"))
    return found


def find_version(prompt: Prompt, text: str, reach: Reach = EVERYTHING) -> PromptVersion:
    """The version written as a semantic version or an ordinal. Raises NotFound unknown_version."""
    try:
        written = parse_version(text)
    except ValueError as error:
        raise NotFound("unknown_version", f"{prompt.name} has no such version: {error}") from error
    if isinstance(written, SemVer):
        version = versions(prompt, reach).filter(**written._asdict()).first()
    else:
        version = versions(prompt, reach).filter(ordinal=written).first()
    if version is None:
        kind = "version" if isinstance(written, SemVer) else "version with the ordinal"
        raise NotFound("unknown_version", f"{prompt.name} has no {kind} {written}")
    return version


def labels(prompt: Prompt, reach: Reach = EVERYTHING) -> QuerySet[Label]:
    within = reach.rows(prompt="prompt__name", label="name")
    return prompt.labels.select_related("prompt", "version__prompt").filter(within)


def find_label(prompt: Prompt, name: str, reach: Reach = EVERYTHING) -> Label:
    """Raises NotFound unknown_label."""
    label = labels(prompt, reach).filter(name=name).first() if _follows(LABEL_NAME, name) else None
    if label is None:
        raise NotFound("unknown_label", f"{prompt.name} has no label {name}")
    return label


def label_revision(label: Label) -> int:
    """How often the label was moved, the move that made it included."""
    return label.moves.count()


def find_draft(prompt: Prompt) -> Draft:
    """Raises NotFound no_draft."""
    draft = Draft.objects.filter(prompt=prompt).first()
    if draft is None:
        raise NotFound("no_draft", f"{prompt.name} has no draft")
    return draft


def moves(label: Label, *, at: datetime | None = None) -> QuerySet[LabelMove]:
    """Newest first; with `at` only the one in force then, or none where the label did not exist yet."""
    history = label.moves.select_related("from_version", "to_version")
    if at is None:
        return history
    in_force = history.filter(moved_at__lte=at).order_by("-moved_at", "-pk").values("pk")[:1]
    return history.filter(pk__in=in_force)


def find_key(key_id: int) -> ApiKey:
    """Raises NotFound unknown_key."""
    key = ApiKey.objects.filter(pk=key_id).first() if key_id < 2**63 else None
    if key is None:
        raise NotFound("unknown_key", f"There is no API key {key_id}")
    return key


def content_of(row: TemplateContent) -> Content:
    return Content(row.type, row.template, row.config, row.input_schema, row.response_schema)


def highest_version(prompt: Prompt, *, below: SemVer | None = None) -> PromptVersion | None:
    numbers = (SemVer(*number) for number in prompt.versions.values_list("major", "minor", "patch"))
    highest = max((number for number in numbers if below is None or number < below), default=None)
    return highest and versions(prompt).get(**highest._asdict())


def propose(prompt: Prompt, content: Content, *, below: SemVer | None = None) -> Proposal:
    """Compares a publishable content with the highest version, or with the highest below the one named."""
    base = highest_version(prompt, below=below)
    if base is None:
        return Proposal(None, (), None)
    changes = compare(content_of(base), content)
    return Proposal(base, changes, smallest_bump(changes))


def diff_versions(before: PromptVersion, after: PromptVersion) -> dict[str, str]:
    """Unified diffs of template and config (with the schemas), each empty when nothing changed."""
    return diff_contents(content_of(before), content_of(after), names=(before.ref, after.ref))


def diff_contents(before: Content, after: Content, *, names: tuple[str, str]) -> dict[str, str]:
    return {
        "template": template_diff(before, after, names=names),
        "config": config_diff(before, after, names=names),
    }


def preview(version: PromptVersion, values: dict[str, Any]) -> str | list[dict[str, Any]]:
    """The version rendered with these variables, and the defaults for others. Raises ProblemsFound."""
    values = content_of(version).defaults | values
    if (length := templates.length(version.template, values)) > MOST_RENDERED:
        what = f"the rendered text would have {length} characters, and {MOST_RENDERED} are the most"
        raise ProblemsFound([Problem("variables", "too_long", what)])
    return templates.render(version.template, values)


def _tagged(among: QuerySet[Prompt], tag: str) -> QuerySet[Prompt]:
    """Those that have the tag. Django can look into a list on PostgreSQL only."""
    if connection.vendor == "postgresql":
        return among.filter(tags__contains=[tag])
    has_it = "EXISTS (SELECT 1 FROM json_each(registry_prompt.tags) WHERE json_each.value = %s)"
    return among.filter(RawSQL(has_it, [tag], output_field=BooleanField()))  # noqa: S611 (a fixed text)


def _follows(rule: RegexValidator, name: str) -> bool:
    try:
        rule(name)
    except ValidationError:
        return False
    return True
