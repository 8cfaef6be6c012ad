"""How does a template read? Message by message, its variables apart from its words; of a draft also what is unfinished.

A template may be anything that JSON holds here: nothing raises, and what is no message is shown as it is.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.core.templates import NAME, Piece, TemplateSyntaxError, pieces

VARIABLE = re.compile(rf"(\\?\{{\{{\s*{NAME.pattern}\s*\}}\}})", re.ASCII)
PLACEHOLDER = "placeholder"
MOST_MESSAGES = 1000
MOST_PIECES = 10_000
MOST_CHARACTERS = 200_000
"""Of what is shown: a template may hold megabytes, and a value stands wherever its variable does."""


@dataclass(frozen=True, slots=True)
class Message:
    """role: empty for a template of the type text. is_cut: there is more than is shown."""

    role: str
    pieces: tuple[Piece, ...]
    is_cut: bool = False


Parts = Iterator[tuple[str, Iterable[Piece]]]
"""Roles with their pieces, which are made as they are read: all of them may be more than memory holds."""


def as_written(template: Any) -> list[Message]:
    """The template itself, character by character, its variables marked."""
    return list(_cut(_written(template)))


def as_rendered(template: Any, values: Mapping[str, Any]) -> list[Message]:
    """What the app would send: as `templates.render`, but that a variable without a value stays as it is written.

    Of text that is no template yet the words are shown as they are.
    """
    return list(_cut(_rendered(template, values)))


def names(template: Any) -> tuple[str, ...]:
    """The variables and placeholders that can be made out, each once, in order of first appearance."""
    found = (piece.variable for _, parts in _written(template) for piece in parts)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def texts(template: Any) -> list[tuple[str, str]]:
    """Each message's role with its words, as they are written."""
    return [(role, "".join(piece.text for piece in parts)) for role, parts in _written(template)]


def _written(template: Any) -> Parts:
    for message in _messages(template):
        match message:
            case {"type": "placeholder", "name": str(name)}:
                yield PLACEHOLDER, [Piece(name, name, is_filled=False)]
            case {"role": str(role), "content": str(text)}:
                yield role, _marked(text)
            case _:
                yield "", [Piece(_json(message))]


def _rendered(template: Any, values: Mapping[str, Any]) -> Parts:
    for message in _messages(template):
        match message:
            case {"type": "placeholder", "name": str(name)}:
                yield from _placed(name, values)
            case {"role": str(role), "content": str(text)}:
                yield role, _filled(text, values)
            case _:
                yield "", [Piece(_json(message))]


def _messages(template: Any) -> Iterable[Any]:
    """A text as one message without a role."""
    return [{"role": "", "content": template}] if isinstance(template, str) else _list(template)


def _list(template: Any) -> list[Any]:
    return template if isinstance(template, list) else [template]


def _marked(text: str) -> Iterator[Piece]:
    for part in VARIABLE.split(text):
        if part.startswith("{{") and VARIABLE.fullmatch(part):
            yield Piece(part, part[2:-2].strip(), is_filled=False)
        elif part:
            yield Piece(part)


def _filled(text: str, values: Mapping[str, Any]) -> Iterator[Piece]:
    try:
        yield from pieces(text, values)
    except TemplateSyntaxError:  # raised before the first piece
        yield from _marked(text)


def _placed(name: str, values: Mapping[str, Any]) -> Parts:
    given = values.get(name)
    if not isinstance(given, list):
        yield PLACEHOLDER, [Piece(name, name, is_filled=False)]
        return
    for message in given:
        match message:
            case {"role": str(role), "content": str(text)}:
                yield role, [Piece(text, name)]
            case _:
                yield "", [Piece(_json(message), name)]


def _cut(messages: Parts) -> Iterator[Message]:
    characters, left = MOST_CHARACTERS, MOST_PIECES
    for count, (role, parts) in enumerate(messages, 1):
        fitting: list[Piece] = []
        for piece in parts:
            fitting.append(piece.cut(characters))
            characters, left = characters - len(piece.text), left - 1
            if characters <= 0 or left <= 0:
                break
        is_cut = characters <= 0 or left <= 0 or count >= MOST_MESSAGES
        yield Message(role, tuple(fitting), is_cut)
        if is_cut:
            return


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
