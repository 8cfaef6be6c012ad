r"""Logic-less templates: `{{ name }}` stands for a variable, `\{{` for two literal braces, all else for itself.

The same rules as the server's preview (docs/reference/contract.md); tests/vectors/templates.json binds both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Union

from serinus.errors import Error, MissingVariable, WrongType

PARSED_KEPT = 4096
OPENING = re.compile(r"\\?\{\{")
REST_OF_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}", re.ASCII)


class Variable(NamedTuple):
    name: str


Part = Union[str, Variable]
Message = dict[str, Any]


@lru_cache(PARSED_KEPT)
def parse(text: str) -> tuple[Part, ...]:
    """The text's literal pieces, none empty, and its variables, in order. Raises Error on what the server refuses."""
    parts: list[Part] = []
    literal, at = "", 0
    while opening := OPENING.search(text, at):
        literal, at = literal + text[at : opening.start()], opening.end()
        if opening.group().startswith("\\"):
            literal += "{{"
            continue
        variable = REST_OF_VARIABLE.match(text, at)
        if variable is None:
            came = text[opening.start() : opening.start() + 30]
            raise Error(f"expected a variable such as {{{{ name }}}} in the template, got {came!r}")
        parts += [literal, Variable(variable[1])]
        literal, at = "", variable.end()
    parts.append(literal + text[at:])
    return tuple(part for part in parts if part)


def variables(template: Any) -> tuple[str, ...]:
    """The names of a text or chat template's variables and placeholders, each once, in order of first appearance."""
    return tuple(dict.fromkeys(_names(template)))


def render_text(template: str, values: Mapping[str, Any], *, ref: str) -> str:
    """The text with every variable's value in its place: a string as it is, any other value as JSON.

    Values that the template does not name are ignored. Raises MissingVariable, and WrongType for what JSON cannot say.
    """
    _require(template, values, ref)
    return _fill(template, values, ref)


def render_chat(template: Sequence[Message], values: Mapping[str, Any], *, ref: str) -> list[Message]:
    """The messages; a placeholder becomes those given for it. Raises as render_text does, and WrongType for others."""
    _require(template, values, ref)
    messages: list[Message] = []
    for message in template:
        if is_placeholder(message):
            messages += _messages(message["name"], values[message["name"]], ref)
        else:
            messages.append({**message, "content": _fill(message["content"], values, ref)})
    return messages


def is_placeholder(message: Message) -> bool:
    return message.get("type") == "placeholder"


def _names(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from (part.name for part in parse(template) if isinstance(part, Variable))
        return
    for message in template:
        if is_placeholder(message):
            yield message["name"]
        else:
            yield from _names(message["content"])


def _require(template: Any, values: Mapping[str, Any], ref: str) -> None:
    needed = variables(template)
    missing = [name for name in needed if name not in values]
    if missing:
        unknown = ", ".join(sorted(values.keys() - set(needed)))
        also = f"; it has no use for {unknown}" if unknown else ""
        raise MissingVariable(f"{ref} needs a value for {', '.join(missing)}{also}", missing)


def _fill(text: str, values: Mapping[str, Any], ref: str) -> str:
    return "".join(
        [part if isinstance(part, str) else _written(part.name, values[part.name], ref) for part in parse(text)]
    )


def _written(name: str, value: Any, ref: str) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise WrongType(f"{ref}: {name} must be text or JSON, got {type(value).__name__}: {error}") from error


def _messages(name: str, value: Any, ref: str) -> Sequence[Message]:
    if isinstance(value, (list, tuple)) and all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in value):
        return value
    raise WrongType(f"{ref}: {name} must be a list of messages, each a dict with a role, got {type(value).__name__}")
