"""What a draft may hold, which need not be finished, and what may be published."""

import math
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for

from registry.core.content import Content, normalised
from registry.core.problems import Problem, ProblemsFound
from registry.core.schema_compatibility import DIALECTS, dialect
from registry.core.templates import NAME, TemplateSyntaxError, is_placeholder, line_of, variables

TYPES = ("text", "chat")
MAX_DEPTH = 64
MOST_TOLD = 50
"""So many problems of one kind are told, and how many more there are: a body of some megabytes may have a million."""
MOST_NAMED = 20
"""Of the declared variables, where another is told to be none of them."""
MOST_LIKELY = 200
"""So many declared variables are looked through for the one that was meant."""
LONGEST_NAME = 100
"""Of a longer one only the beginning is told, and it is not looked for."""
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(content: Content) -> Content:
    """The content, normalised, if JSON, UTF-8 and both databases can hold it. Raises ProblemsFound."""
    return _checked(content, _told(_storage_problems(content)))


def publishable(content: Content) -> Content:
    """The content, normalised, if nothing is wrong with it. Raises ProblemsFound naming everything that is."""
    return _checked(storable(content), _problems(content))


def _checked(content: Content, problems: Iterable[Problem]) -> Content:
    if found := list(problems):
        raise ProblemsFound(found)
    return normalised(content)


def _told(problems: Iterator[Problem]) -> Iterator[Problem]:
    """The first ones and the number of the others."""
    yield from islice(problems, MOST_TOLD)
    if other := next(problems, None):
        field = re.split(r"[.\[]", other.field)[0]
        yield Problem(field, other.code, f"and {1 + sum(1 for _ in problems)} more")


def _storage_problems(content: Content) -> Iterator[Problem]:
    if content.type not in TYPES:
        yield Problem("type", "invalid", f"expected text or chat, got {content.type!r}")
    for name in ("template", "config", "input_schema", "response_schema"):
        yield from _json_problems(getattr(content, name), name, 1)


def _json_problems(value: Any, path: str, depth: int) -> Iterator[Problem]:
    if depth > MAX_DEPTH:
        yield Problem(path, "too_deep", f"expected at most {MAX_DEPTH} levels of nesting")
        return
    match value:
        case str() if UNSTORABLE.search(value):
            yield Problem(path, "invalid_text", "expected text without NUL and without lone surrogate characters")
        case float() if not math.isfinite(value):
            yield Problem(path, "invalid_number", f"expected a finite number, got {value}")
        case dict():
            for key, inner in value.items():
                # A path is told to people, so it must not pass through a key that cannot be.
                yield from list(_json_problems(key, path, depth)) or _json_problems(inner, f"{path}.{key}", depth + 1)
        case list():
            for index, inner in enumerate(value):
                yield from _json_problems(inner, f"{path}[{index}]", depth + 1)


def _problems(content: Content) -> Iterator[Problem]:
    template_problems = list(_told(_template_problems(content)))
    yield from template_problems
    if not isinstance(content.config, dict):
        yield Problem("config", "invalid", "expected a JSON object")
    input_problems = list(_told(_input_schema_problems(content.input_schema)))
    yield from input_problems
    if content.response_schema is not None:
        yield from _schema_problems(content.response_schema, "response_schema")
    if content.input_schema is not None and not template_problems and not input_problems:
        yield from _undeclared_variables(content)


def _template_problems(content: Content) -> Iterator[Problem]:
    template = content.template
    if content.type == "text":
        if not isinstance(template, str) or not template.strip():
            yield Problem("template", "invalid", "expected the text of the prompt, a string that is not empty")
        else:
            yield from _syntax_problems(template, "template")
    elif not isinstance(template, list) or not template:
        yield Problem("template", "invalid", "expected a list of messages that is not empty")
    else:
        for index, message in enumerate(template):
            yield from _message_problems(message, f"template[{index}]")
        yield from _doubled_names(template)


def _message_problems(message: Any, path: str) -> Iterator[Problem]:
    match message:
        case {"type": "placeholder", "name": str(name), **rest} if not rest:
            if not NAME.fullmatch(name):
                yield Problem(f"{path}.name", "invalid", f"expected a variable's name, got {name!r}")
        case {"role": str(role), "content": str(text), **rest} if not rest:
            if not role.strip():
                yield Problem(f"{path}.role", "invalid", "expected a role such as system, user or assistant")
            yield from _syntax_problems(text, f"{path}.content")
        case _:
            yield Problem(
                path, "invalid", 'expected {"role": …, "content": …} or {"type": "placeholder", "name": …}, all strings'
            )


def _syntax_problems(text: str, path: str) -> Iterator[Problem]:
    try:
        variables(text)
    except TemplateSyntaxError as error:
        yield Problem(path, "template_syntax", str(error))


def _doubled_names(template: list[Any]) -> Iterator[Problem]:
    """A placeholder's value is a list of messages, so nothing else may bear its name."""
    messages = [(index, message) for index, message in enumerate(template) if isinstance(message, dict)]
    taken: set[str] = set()
    for _, message in messages:
        if isinstance(text := message.get("content"), str):
            try:
                taken |= set(variables(text))
            except TemplateSyntaxError:
                continue
    for index, message in messages:
        if is_placeholder(message):
            name = str(message.get("name"))
            if name in taken:
                yield Problem(f"template[{index}].name", "duplicate", f"{name} is already used in this template")
            taken.add(name)


def _input_schema_problems(schema: Any) -> Iterator[Problem]:
    if schema is None:
        return
    if problems := list(_schema_problems(schema, "input_schema")):
        yield from problems
        return
    if schema.get("type", "object") != "object":
        yield Problem("input_schema.type", "invalid", "expected object: its properties are the variables")
    properties = schema.get("properties", {})
    for name in properties:
        if not NAME.fullmatch(name):
            yield Problem("input_schema.properties", "invalid", f"expected names of variables, got {name!r}")
    for name in schema.get("required", []):
        if name not in properties:
            yield Problem("input_schema.required", "unknown_variable", f"{name} is not among the properties")


def _schema_problems(schema: Any, path: str) -> Iterator[Problem]:
    if not isinstance(schema, dict):
        yield Problem(path, "invalid", "expected a JSON Schema, as an object")
        return
    if dialect(schema) not in DIALECTS:
        yield Problem(f"{path}.$schema", "invalid_schema", f"expected one of {', '.join(DIALECTS)}")
        return
    validator = validator_for({"$schema": dialect(schema)})
    metaschema = validator(validator.META_SCHEMA, format_checker=validator.FORMAT_CHECKER)
    if error := best_match(metaschema.iter_errors(schema)):
        where = error.json_path.replace("$", path, 1)
        yield Problem(where, "invalid_schema", f"not valid JSON Schema: {error.message[:300]}")


def _undeclared_variables(content: Content) -> Iterator[Problem]:
    declared = list(content.declared)
    unknown = [name for name in content.variables if name not in content.declared]
    for name in unknown[:MOST_TOLD]:
        field, line = _place(content.template, name)
        where = f"line {line}: " if line else ""
        message = f"{where}unknown variable {{{{ {_short(name)} }}}}: input_schema declares {_some(declared)}"
        yield Problem(field, "unknown_variable", message + _meant(name, declared))
    if (more := len(unknown) - MOST_TOLD) > 0:
        yield Problem("template", "unknown_variable", f"and {more} more unknown variables")


def _some(names: list[str]) -> str:
    named = ", ".join(map(_short, names[:MOST_NAMED])) or "none"
    more = len(names) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _meant(name: str, declared: list[str]) -> str:
    likely = [other for other in declared[:MOST_LIKELY] if len(other) <= LONGEST_NAME]
    alike = get_close_matches(name, likely, n=1) if len(name) <= LONGEST_NAME else []
    return f"; was {{{{ {alike[0]} }}}} meant?" if alike else ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


def _place(template: Any, name: str) -> tuple[str, int]:
    """The field that first names the variable, and the line in it; 0 for a placeholder."""
    if isinstance(template, str):
        return "template", line_of(template, name)
    for index, message in enumerate(template):
        if is_placeholder(message):
            if message["name"] == name:
                return f"template[{index}].name", 0
        elif line := line_of(message["content"], name):
            return f"template[{index}].content", line
    raise LookupError(name)
