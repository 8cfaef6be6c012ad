"""What changed between two contents, for people: unified diffs of the text and of the config."""

import json
from difflib import unified_diff
from typing import Any

from registry.core.content import Content
from registry.core.templates import is_placeholder

MOST_LINES = 5000
KINDS = {"+": "inserted", "-": "deleted", "@": "left out", " ": "same"}


def template_diff(before: Content, after: Content, *, names: tuple[str, str]) -> str:
    """Empty when the templates are the same. A chat template is written as its messages, `[role]` above each."""
    return _diff(_written(before.template), _written(after.template), names)


def config_diff(before: Content, after: Content, *, names: tuple[str, str]) -> str:
    """Of config and schemas, as JSON with sorted keys; empty when they are the same."""
    return _diff(_settings(before), _settings(after), names)


def config_lines(before: Content, after: Content) -> list[tuple[str, str]] | None:
    """The lines of the config's diff, each with its kind: same, deleted, inserted or left out. None for too many."""
    old, new = _settings(before).splitlines(), _settings(after).splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return None
    _, _, *lines = unified_diff(old, new, lineterm="") if old != new else ("", "")
    return [(KINDS[line[0]], line if line[0] in "+- " else "lines that are the same") for line in lines]


def _diff(before: str, after: str, names: tuple[str, str]) -> str:
    return "\n".join(unified_diff(before.splitlines(), after.splitlines(), *names, lineterm=""))


def _written(template: Any) -> str:
    if isinstance(template, str):
        return template
    return "\n\n".join(
        f"[placeholder {message['name']}]" if is_placeholder(message) else f"[{message['role']}]\n{message['content']}"
        for message in template
    )


def _settings(content: Content) -> str:
    settings = {
        "config": content.config,
        "input_schema": content.input_schema,
        "response_schema": content.response_schema,
    }
    return json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False)
