"""The bump rule: the smallest semantic version step that tells callers the truth about a change.

A version's contract is what a caller must know: type, required variables, response schema. What would break a caller
needs a major version, any other change of words or config a minor one, white space alone a patch.
docs/reference/contract.md has the whole table.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from registry.core.content import Content
from registry.core.schema_compatibility import obstacles
from registry.core.templates import Variable, is_placeholder, parse
from registry.core.versions import Bump

WHITE_SPACE_CHANGED = "white_space_changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two contents, with the smallest bump that it needs. code: stable, for programs."""

    code: str
    bump: Bump
    detail: str


def smallest_bump(changes: Iterable[Change]) -> Bump:
    """The smallest bump that covers every change; a patch when nothing changed."""
    needed = {change.bump for change in changes}
    return next((bump for bump in reversed(Bump) if bump in needed), Bump.PATCH)


def compare(base: Content, new: Content) -> tuple[Change, ...]:
    """Every difference of the new content from the base, both publishable; those that break callers first."""
    changes = [*_type(base, new), *_variables(base, new), *_responses(base, new), *_text(base, new)]
    return tuple(sorted(changes, key=lambda change: change.bump is not Bump.MAJOR))


def says_the_same(one: Content, other: Content) -> bool:
    """Whether nothing but white space of the template differs."""
    return all(change.code == WHITE_SPACE_CHANGED for change in compare(one, other))


def required_variables(content: Content) -> frozenset[str]:
    """What a caller must pass: used in the template or listed in `required`, and without a default."""
    listed = (content.input_schema or {}).get("required", [])
    return frozenset(content.variables).union(listed) - content.defaults.keys()


def optional_variables(content: Content) -> frozenset[str]:
    return frozenset(content.declared) - required_variables(content)


def _type(base: Content, new: Content) -> Iterator[Change]:
    if base.type != new.type:
        yield Change("type_changed", Bump.MAJOR, f"the type changed from {base.type} to {new.type}")


def _variables(base: Content, new: Content) -> Iterator[Change]:
    before, now = required_variables(base), required_variables(new)
    could, can = optional_variables(base), optional_variables(new)
    yield from _named(now - before - could, "variable_added", Bump.MAJOR, "the required variable {} was added")
    yield from _named(now & could, "variable_became_required", Bump.MAJOR, "the optional variable {} became required")
    yield from _named(before - now - can, "variable_removed", Bump.MAJOR, "the required variable {} was removed")
    yield from _named(can & before, "variable_became_optional", Bump.MINOR, "the required variable {} became optional")
    yield from _named(can - before - could, "optional_variable_added", Bump.MINOR, "the optional variable {} was added")
    yield from _named(
        could - now - can, "optional_variable_removed", Bump.MINOR, "the optional variable {} was removed"
    )
    for name in sorted(base.declared.keys() & new.declared.keys()):
        for obstacle in _narrowing(base, new, name):
            yield Change("variable_type_narrowed", Bump.MAJOR, f"the variable {name} accepts less: {obstacle}")
    if base.input_schema != new.input_schema:
        yield Change("input_schema_changed", Bump.MINOR, "the input schema changed")


def _named(names: Iterable[str], code: str, bump: Bump, sentence: str) -> Iterator[Change]:
    return (Change(code, bump, sentence.format(name)) for name in sorted(names))


def _narrowing(base: Content, new: Content, name: str) -> list[str]:
    """Why a value that callers may pass today could be refused tomorrow."""
    return obstacles(
        inner=base.declared[name],
        outer=new.declared[name],
        inner_root=base.input_schema,
        outer_root=new.input_schema,
    )


def _responses(base: Content, new: Content) -> Iterator[Change]:
    if base.response_schema == new.response_schema:
        return
    if base.response_schema is not None:
        promised = True if new.response_schema is None else new.response_schema
        for obstacle in obstacles(inner=promised, outer=base.response_schema):
            yield Change(
                "response_schema_incompatible",
                Bump.MAJOR,
                f"callers may meet answers that they do not expect: {obstacle}",
            )
    yield Change("response_schema_changed", Bump.MINOR, "the response schema changed")


def _text(base: Content, new: Content) -> Iterator[Change]:
    if base.config != new.config:
        yield Change("config_changed", Bump.MINOR, "the config changed")
    if base.template == new.template:
        return
    if base.type == new.type and _words(base.template) == _words(new.template):
        yield Change(WHITE_SPACE_CHANGED, Bump.PATCH, "the template's white space changed")
    else:
        yield Change("template_changed", Bump.MINOR, "the template's text changed")


def _words(template: Any) -> list[Any]:
    """The template without its white space: words and variables, in order, message by message."""
    if isinstance(template, str):
        pieces = (part if isinstance(part, Variable) else part.split() for part in parse(template))
        return [piece for piece in pieces if piece]
    return [
        message if is_placeholder(message) else (message["role"], _words(message["content"])) for message in template
    ]
