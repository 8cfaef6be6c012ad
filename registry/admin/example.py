"""Example values for a preview, one field for each variable. They are typed by the editor and stored nowhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.core import outline
from registry.core.content import Content
from registry.core.reading import names

PREFIX = "value."
MOST_FIELDS = 100
MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class ValueField:
    """kind: as input_schema says; a placeholder takes `messages`. text: as typed, else the default."""

    name: str
    kind: str
    text: str
    value: Any
    problem: str

    @property
    def is_filled(self) -> bool:
        return self.text != ""


def value_fields(content: Content, typed: Mapping[str, Any]) -> list[ValueField]:
    """typed: a form's data. Beyond MOST_FIELDS a variable stands in the preview as it is written."""
    declared = outline.declared(content.input_schema)
    placeholders = _placeholders(content.template)
    return [
        _field(name, MESSAGES if name in placeholders else _kind(declared, name), declared.get(name), typed)
        for name in names(content.template)[:MOST_FIELDS]
    ]


def values_of(fields: list[ValueField]) -> dict[str, Any]:
    return {field.name: field.value for field in fields if field.is_filled and not field.problem}


def _kind(declared: Mapping[str, Any], name: str) -> str:
    return outline.kind_of(declared[name]) if name in declared else ""


def _field(name: str, kind: str, schema: Any, typed: Mapping[str, Any]) -> ValueField:
    default = schema.get("default", "") if isinstance(schema, dict) else ""
    text = typed.get(PREFIX + name, "")
    if not text and default != "":
        return ValueField(name, kind, _written(default), default, "")
    value, problem = _read(text, kind)
    return ValueField(name, kind, text, value, problem if text else "")


def _read(text: str, kind: str) -> tuple[Any, str]:
    """The value, and what is wrong with it. Where no other type is asked for, text is what it says."""
    if kind in ("", "any", "string") or kind.startswith("one of"):
        return text, ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if kind == MESSAGES:
        return value, "" if isinstance(value, list) else 'expected messages as JSON: [{"role": "user", "content": "…"}]'
    if value is None and text != "null":
        return text, "" if "string" in kind else f"expected JSON: {kind}"
    return value, ""


def _placeholders(template: Any) -> set[str]:
    found = set()
    for message in template if isinstance(template, list) else ():
        match message:
            case {"type": "placeholder", "name": str(name)}:
                found.add(name)
    return found


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
