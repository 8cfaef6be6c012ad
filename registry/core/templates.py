r"""Logic-less templates: `{{ name }}` stands for a variable, `\{{` for two literal braces, all else for itself.

Nothing is escaped for HTML and nothing is computed. A chat template is a list of `{role, content}`, each content a
template of its own, and `{type: "placeholder", name}`, which stands for a list of messages.
docs/reference/contract.md tells the same to people.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from registry.core.problems import Problem, ProblemsFound

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
OPENING = re.compile(r"\\?\{\{")
REST_OF_VARIABLE = re.compile(rf"\s*({NAME.pattern})\s*\}}\}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of rendered text. variable: the one that it stands for; where that has no value, it is not filled."""

    text: str
    variable: str | None = None
    is_filled: bool = True

    def cut(self, length: int) -> "Piece":
        return self if len(self.text) <= length else replace(self, text=self.text[:length])


class TemplateSyntaxError(ValueError):
    """Something else than a variable follows `{{`. The message says where, and how to write what was meant."""


def parse(text: str) -> tuple[str | Variable, ...]:
    """The text's literal pieces, none empty, and its variables, in order. Raises TemplateSyntaxError."""
    parts: list[str | Variable] = []
    literal, at = "", 0
    while opening := OPENING.search(text, at):
        literal, at = literal + text[at : opening.start()], opening.end()
        if opening.group().startswith("\\"):
            literal += "{{"
            continue
        variable = REST_OF_VARIABLE.match(text, at)
        if variable is None:
            raise TemplateSyntaxError(_what_was_expected(text, opening.start()))
        parts += [literal, Variable(variable[1])]
        literal, at = "", variable.end()
    parts.append(literal + text[at:])
    return tuple(part for part in parts if part)


def variables(template: Any) -> tuple[str, ...]:
    """The names of a text or chat template's variables and placeholders, each once, in order of first appearance."""
    return tuple(dict.fromkeys(_names(template)))


def is_placeholder(message: Mapping[str, Any]) -> bool:
    return message.get("type") == "placeholder"


def render(template: Any, values: Mapping[str, Any]) -> str | list[dict[str, Any]]:
    """The text, or the list of messages, with every variable's value in its place.

    A string stands as it is, any other value as JSON; a placeholder becomes the messages given for it. Values that
    the template does not name are ignored: an app passes the same ones whichever version it was served.
    Raises ProblemsFound naming every value that is missing or, for a placeholder, not a list of messages.
    """
    if problems := list(_value_problems(template, values)):
        raise ProblemsFound(problems)
    if isinstance(template, str):
        return _fill(template, values)
    messages: list[dict[str, Any]] = []
    for message in template:
        if is_placeholder(message):
            messages += values[message["name"]]
        else:
            messages.append({**message, "content": _fill(message["content"], values)})
    return messages


def length(template: Any, values: Mapping[str, Any]) -> int:
    """Of all text that rendering makes, in characters, without making it: a value may be large and stand often."""
    texts = [template] if isinstance(template, str) else [message.get("content", "") for message in template]
    lengths = {name: len(_as_text(values[name])) for name in variables(template) if name in values}
    parts = (part for text in texts for part in parse(text))
    return sum(len(part) if isinstance(part, str) else lengths.get(part.name, 0) for part in parts)


def pieces(text: str, values: Mapping[str, Any]) -> Iterator[Piece]:
    """The rendered text, piece by piece; a variable without a value as it is written. Raises TemplateSyntaxError."""
    for part in parse(text):
        if isinstance(part, str):
            yield Piece(part)
        elif part.name in values:
            yield Piece(_as_text(values[part.name]), part.name)
        else:
            yield Piece(f"{{{{ {part.name} }}}}", part.name, is_filled=False)


def line_of(text: str, name: str) -> int:
    """The line, counted from 1, in which the text first uses the variable; 0 where it does not."""
    found = re.search(rf"(?<!\\)\{{\{{\s*{re.escape(name)}\s*\}}\}}", text, re.ASCII)
    return text.count("\n", 0, found.start()) + 1 if found else 0


def _names(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from (part.name for part in parse(template) if isinstance(part, Variable))
        return
    for message in template:
        if is_placeholder(message):
            yield message["name"]
        else:
            yield from _names(message["content"])


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return "".join(piece.text for piece in pieces(text, values))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value_problems(template: Any, values: Mapping[str, Any]) -> Iterator[Problem]:
    for name in variables(template):
        if name not in values:
            yield Problem(f"variables.{name}", "required", "the template needs a value for this variable")
    for message in () if isinstance(template, str) else template:
        name = message.get("name", "") if is_placeholder(message) else ""
        if name in values and not _are_messages(values[name]):
            yield Problem(f"variables.{name}", "invalid", "expected a list of messages, each an object with a role")


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in value)


def _what_was_expected(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    came = text[at : at + 30].split("\n", 1)[0]
    space = "; a brace before a variable needs a space between: { {{ name }}" if came.startswith("{{{") else ""
    return (
        f"line {line}, column {column}: expected a variable such as {{{{ name }}}}, got {came!r}; "
        f"write \\{{{{ for two literal braces, as in JSON{space}"
    )
