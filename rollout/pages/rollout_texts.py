"""What changed from the control version to the canary: the text word by word, the settings line by line."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from registry.core.differences import MessageDifference, template_differences
from registry.core.diffs import config_lines
from registry.models import PromptVersion
from registry.selectors import content_of
from rollout.models import Rollout


@dataclass(frozen=True, slots=True)
class Changes:
    """messages: empty when nothing in the text changed. settings: lines of config and schemas, empty when none changed,
    None for too many to be compared.
    """

    messages: Sequence[MessageDifference]
    settings: Sequence[tuple[str, str]] | None


def changes(rollout: Rollout) -> Changes:
    control, canary = rollout.control, rollout.canary
    return _changes(control.pk, control.sha256, canary.pk, canary.sha256)


@lru_cache(maxsize=64)
def _changes(control_id: int, control_sha256: str, canary_id: int, canary_sha256: str) -> Changes:
    """Remembered, since a live page asks again every few seconds and versions never change.

    By their hashes too: in a database that was restored an id may have become another version's.
    """
    found = PromptVersion.objects.in_bulk([control_id, canary_id])
    before, after = content_of(found[control_id]), content_of(found[canary_id])
    return Changes(template_differences(before.template, after.template), _settings(config_lines(before, after)))


def _settings(lines: Sequence[tuple[str, str]] | None) -> Sequence[tuple[str, str]] | None:
    """Each with its end, and without the sign before it: its kind says the same."""
    return lines and [(kind, text if kind == "left out" else f"{text[1:]}\n") for kind, text in lines]
