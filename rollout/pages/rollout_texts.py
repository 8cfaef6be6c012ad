"""What changed from the control version to the canary: the text word by word, the settings line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Literal

from registry.core.templates import is_placeholder
from registry.core.word_diff import word_diff
from registry.selectors import diff_versions
from rollout.models import Rollout

Kind = Literal["same", "deleted", "inserted", "skipped"]
Part = tuple[Kind, str]

KEPT_LINES = 3  # of what is the same, beside what is not


@dataclass(frozen=True, slots=True)
class Message:
    """role: of a message of a chat; empty for a text."""

    role: str
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Changes:
    """same_text: nothing in it changed. settings: lines of config and schemas, empty when none changed."""

    messages: list[Message]
    same_text: bool
    settings: list[Part]


def changes(rollout: Rollout) -> Changes:
    control, canary = rollout.control, rollout.canary
    messages = list(_messages(control.template, canary.template))
    return Changes(
        messages=messages,
        same_text=all(kind in {"same", "skipped"} for message in messages for kind, _ in message.parts),
        settings=_lines(diff_versions(control, canary)["config"]),
    )


def _messages(before: Any, after: Any) -> Iterator[Message]:
    """Those of a role in the same place of the order are compared, the others are new or gone as a whole."""
    old, new = _spoken(before), _spoken(after)
    matching = SequenceMatcher(None, [role for role, _ in old], [role for role, _ in new], autojunk=False)
    for _, start, end, start_new, end_new in matching.get_opcodes():
        if old[start:end] and [role for role, _ in old[start:end]] == [role for role, _ in new[start_new:end_new]]:
            for (role, text), (_, text_new) in zip(old[start:end], new[start_new:end_new], strict=True):
                yield Message(role, _compared(text, text_new))
        else:
            yield from (Message(role, [("deleted", text)]) for role, text in old[start:end])
            yield from (Message(role, [("inserted", text)]) for role, text in new[start_new:end_new])


def _spoken(template: Any) -> list[tuple[str, str]]:
    """Role and text of each message; a text is one without a role."""
    if isinstance(template, str):
        return [("", template)]
    return [
        ("placeholder", message["name"]) if is_placeholder(message) else (message["role"], message["content"])
        for message in template
    ]


@lru_cache(maxsize=64)
def _word_diff(before: str, after: str) -> Sequence[tuple[Literal["same", "deleted", "inserted"], str]]:
    """Remembered, since a live page asks again every few seconds and versions never change."""
    return word_diff(before, after)


def _compared(before: str, after: str) -> list[Part]:
    parts = _word_diff(before, after)
    last = len(parts) - 1
    shown: list[Part] = []
    for place, (kind, text) in enumerate(parts):
        shown += _shortened(text, first=place == 0, last=place == last) if kind == "same" else [(kind, text)]
    return shown


def _shortened(text: str, *, first: bool, last: bool) -> list[Part]:
    """Of a long passage that is the same the lines beside what changed; where nothing did, all of it."""
    lines = text.splitlines(keepends=True)
    head, tail = (0 if first else KEPT_LINES), (0 if last else KEPT_LINES)
    skipped = len(lines) - head - tail
    if skipped <= KEPT_LINES or (first and last):
        return [("same", text)]
    parts: list[Part] = [
        ("same", "".join(lines[:head])),
        ("skipped", f"{skipped} lines that are the same"),
        ("same", "".join(lines[head + skipped :])),
    ]
    return [part for part in parts if part[1]]


def _lines(unified: str) -> list[Part]:
    """Of a unified diff, without its head; its hunks are parted by what is skipped."""
    kinds: dict[str, Kind] = {"-": "deleted", "+": "inserted", "@": "skipped"}
    return [
        ("skipped", "") if line.startswith("@") else (kinds.get(line[:1], "same"), f"{line[1:]}\n")
        for line in unified.splitlines()[2:]
    ]
