"""What must a caller pass, and what may they expect? A contract for people, whether its content is finished or not.

Whatever is wrong with a schema is said by core.validation; here it merely tells nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.core import reading
from registry.core.content import Content

REQUIRED, OPTIONAL, UNKNOWN = "required", "optional", "unknown"


@dataclass(frozen=True, slots=True)
class VariableRow:
    """need: unknown is one that input_schema does not declare. was: the need in the other content, empty without one.

    kind: as input_schema says. default: as JSON, empty for none.
    """

    name: str
    need: str
    kind: str
    default: str
    is_used: bool
    was: str = ""

    @property
    def what_changed(self) -> str:
        if not self.was or self.was == self.need:
            return ""
        return self.was if self.was == "new" else f"was {self.was}"


def variable_rows(content: Content, base: Content | None = None) -> list[VariableRow]:
    """Those that the template uses, in its order, then the others that are declared or required.

    base: what it is compared with; its variables that are gone stand at the end, with the need `gone`.
    """
    rows = {row.name: row for row in _rows(content)}
    if base is None:
        return list(rows.values())
    before = {row.name: row.need for row in _rows(base)}
    return [
        *(_compared(row, before.get(row.name, "new")) for row in rows.values()),
        *(VariableRow(name, "gone", "", "", False, need) for name, need in before.items() if name not in rows),
    ]


def expected_answers(schema: Any) -> list[str]:
    """What the response schema demands of an answer, a line for each member of an object."""
    if not isinstance(schema, dict):
        return []
    properties, required = _members(schema)
    listed = [
        f"{name}: {kind_of(inner)}{'' if name in required else ', may be missing'}"
        for name, inner in properties.items()
    ]
    return listed or [kind_of(schema)]


def kind_of(schema: Any) -> str:
    """The type that a schema asks for, in words."""
    if not isinstance(schema, dict):
        return "any"
    if isinstance(choices := schema.get("enum"), list):
        return "one of " + ", ".join(_json(choice) for choice in choices[:20])
    named = schema.get("type", "any")
    return " or ".join(map(str, named)) if isinstance(named, list) else str(named)


def declared(schema: Any) -> Mapping[str, Any]:
    """The schema of each variable, as far as it can be made out."""
    return _members(schema)[0]


def _rows(content: Content) -> Iterator[VariableRow]:
    used = reading.names(content.template)
    properties, required = _members(content.input_schema)
    for name in dict.fromkeys([*used, *properties, *required]):
        schema = properties.get(name)
        default = _json(schema["default"]) if isinstance(schema, dict) and "default" in schema else ""
        if name not in properties and isinstance(content.input_schema, dict):
            need = UNKNOWN
        else:
            need = REQUIRED if not default and (name in used or name in required) else OPTIONAL
        kind = kind_of(schema) if name in properties else ""
        yield VariableRow(name, need, kind, default, name in used)


def _compared(row: VariableRow, was: str) -> VariableRow:
    return VariableRow(row.name, row.need, row.kind, row.default, row.is_used, was)


def _members(schema: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The properties and the names that are required."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    required = schema.get("required") if isinstance(schema, dict) else None
    names = required if isinstance(required, list) else ()
    return properties if isinstance(properties, dict) else {}, tuple(name for name in names if isinstance(name, str))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
