"""What changed between two contents, for people: unified diffs of the text and of the config."""

import json
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

from registry.core.content import Content
from registry.core.matching import Budget, Matcher, TooMuch
from registry.core.templates import is_placeholder

MOST_CHARACTERS = 200_000
AROUND = 3


def template_diff(before: Content, after: Content, *, names: tuple[str, str]) -> str:
    """Empty when the templates are the same. A chat template is written as its messages, `[role]` above each."""
    return _diff(_written(before.template), _written(after.template), names)


def config_diff(before: Content, after: Content, *, names: tuple[str, str]) -> str:
    """Of config and schemas, as JSON with sorted keys; empty when they are the same."""
    return _diff(_settings(before), _settings(after), names)


def config_lines(before: Content, after: Content) -> list[tuple[str, str]] | None:
    """The lines of the config's diff, each with its kind: same, deleted, inserted or left out. None for too many."""
    old, new = _settings(before), _settings(after)
    if old == new:
        return []
    if max(len(old), len(new)) > MOST_CHARACTERS:
        return None
    try:
        return list(_lines(old.splitlines(), new.splitlines()))
    except TooMuch:
        return None


def _lines(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    for group in Matcher(old, new, Budget()).get_grouped_opcodes(AROUND):
        yield "left out", "lines that are the same"
        for tag, start, end, start_new, end_new in group:
            if tag == "equal":
                yield from (("same", f" {line}") for line in old[start:end])
                continue
            yield from (("deleted", f"-{line}") for line in old[start:end])
            yield from (("inserted", f"+{line}") for line in new[start_new:end_new])


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
