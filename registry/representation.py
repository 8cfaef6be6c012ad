"""What exists, as the API answers it (product.md, section 10)."""

from typing import Any

from registry.core.prompt_file import FORMAT
from registry.core.templates import variables
from registry.models import Label, LabelMove, Prompt, PromptVersion
from registry.reach import EVERYTHING, Reach
from registry.services import LATEST, Imported, Published
from registry.services.publishing import changes_json


def prompt_json(prompt: Prompt, reach: Reach = EVERYTHING) -> dict[str, Any]:
    return {
        "name": prompt.name,
        "description": prompt.description,
        "tags": prompt.tags,
        "labels": {label.name: label.version.number for label in prompt.labels.all() if reach.may_use(label.name)},
        "created_at": prompt.created_at,
        "created_by": prompt.created_by,
        "archived_at": prompt.archived_at,
    }


def served_json(version: PromptVersion) -> dict[str, Any]:
    """What an app needs of a version; `GET /prompts/{name}` adds which label, arm and exposure it was served by."""
    return {
        "name": version.prompt.name,
        "version": version.number,
        "ordinal": version.ordinal,
        "ref": version.ref,
        "type": version.type,
        "template": version.template,
        "variables": variables(version.template),
        "config": version.config,
        "input_schema": version.input_schema,
        "response_schema": version.response_schema,
        "sha256": version.sha256,
    }


def version_json(version: PromptVersion) -> dict[str, Any]:
    return {
        **served_json(version),
        "notes": version.notes,
        "author": version.published_by,
        "published_at": version.published_at,
    }


def published_json(published: Published) -> dict[str, Any]:
    """bump is null for a version that has no lower one to be compared with."""
    version = published.version
    return {
        "version": version.number,
        "ordinal": version.ordinal,
        "ref": version.ref,
        "sha256": version.sha256,
        "bump": published.bump,
        "contract_changes": changes_json(published.changes),
    }


def label_json(label: Label) -> dict[str, Any]:
    """rollout: the active rollout that holds the label, or null."""
    return {
        "prompt": label.prompt.name,
        "label": label.name,
        "version": label.version.number,
        "ordinal": label.version.ordinal,
        "ref": label.version.ref,
        "rollout": label.held_by or None,
        "updated_at": label.updated_at,
    }


def move_json(move: LabelMove) -> dict[str, Any]:
    """from is null for the move that made the label."""
    return {
        "from": move.from_version and move.from_version.number,
        "to": move.to_version.number,
        "reason": move.reason,
        "actor": move.actor,
        "moved_at": move.moved_at,
    }


def exported_json(prompt: Prompt) -> dict[str, Any]:
    """The prompt as a file (core.prompt_file), all in types of JSON; its versions in the order of their ordinals.

    The labels are read first: what they point at is then among the versions, whoever publishes meanwhile.
    """
    labels = {label.name: label.version.number for label in prompt.labels.select_related("version").order_by("name")}
    labels.pop(LATEST, None)
    return {
        "format": FORMAT,
        "name": prompt.name,
        "description": prompt.description,
        "tags": prompt.tags,
        "labels": labels,
        "versions": [_exported_version(version) for version in prompt.versions.order_by("ordinal")],
    }


def _exported_version(version: PromptVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "ordinal": version.ordinal,
        "notes": version.notes,
        "type": version.type,
        "template": version.template,
        "config": version.config,
        "input_schema": version.input_schema,
        "response_schema": version.response_schema,
        "sha256": version.sha256,
        "author": version.published_by,
        "published_at": version.published_at.isoformat().replace("+00:00", "Z"),
    }


def imported_json(imported: Imported) -> dict[str, Any]:
    return {
        "prompt": imported.prompt,
        "created": imported.is_new,
        "changed": imported.has_changed,
        "versions": [
            {
                "version": version.number,
                "ordinal": version.ordinal,
                "outcome": "published" if version.is_new else "unchanged",
            }
            for version in imported.versions
        ],
        "labels": imported.labels,
        "differs": list(imported.differs),
    }
