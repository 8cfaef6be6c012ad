"""Frozen dataclasses as JSON and back, to the last bit."""

import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

FLOATS = tuple[float, ...]


def to_json(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, and of those in it, by name."""
    return asdict(value)


def from_json(cls: type[Value], data: Mapping[str, Any]) -> Value:
    """The dataclass again, from what to_json made of it and any JSON store kept. Raises KeyError on a missing field."""
    hints = _hints(cls)  # type: ignore[arg-type]  # a class can be hashed
    return cls(**{name: _revived(hint, data[name]) for name, hint in hints.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    """The types of the fields, which are slow to look up."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _revived(hint: Any, data: Any) -> Any:
    """Floats are made of whatever number came: PostgreSQL writes 1e22 as an integer."""
    if hint == FLOATS:
        return tuple(map(float, data))
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return None if data is None else _revived(arguments[0], data)
    if get_origin(hint) is tuple:
        return tuple(_revived(arguments[0], item) for item in data)
    if get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
        return {key: _revived(arguments[1], item) for key, item in data.items()}
    if is_dataclass(hint):
        return from_json(hint, data)  # type: ignore[arg-type]  # a class, not an instance
    return float(data) if hint is float else data
