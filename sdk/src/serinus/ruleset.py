"""What the SDK knows of the server: one complete, immutable ruleset, made from the bodies of `GET /ruleset`.

A body is checked whole before anything of it is used, and what was merged from it must have the digest that the server
told: a ruleset is either exactly what the server had at some moment, or not made at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from serinus.assignment import BUCKETS


class Malformed(ValueError):
    """Not a body of GET /ruleset. The message tells by a path what was expected."""


class DigestMismatch(Malformed):
    """Well-formed, but not what the server says it has: ask for everything."""


class Version(NamedTuple):
    """A published version. What is mutable in it is shared by all who read it, so it is handed out as copies only."""

    name: str
    version: str
    ordinal: int
    ref: str
    type: str
    template: Any
    variables: tuple[str, ...]
    config: dict[str, Any]
    input_schema: Any
    response_schema: Any
    sha256: str


class Split(NamedTuple):
    """A rollout that is active: what of it decides and names the arm."""

    id: str
    salt: str
    step: int
    weight_bp: int
    control: Version
    canary: Version


class Served(NamedTuple):
    """What a label serves: the version, or while a rollout is active one of its arms."""

    version: Version
    split: Split | None


class ServedPrompt(NamedTuple):
    """labels: of an archived prompt, none. body: what the server sent, to be kept on disk."""

    digest: str
    archived: bool
    labels: Mapping[str, Served]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Ruleset:
    """names: of all prompts, in ascending order."""

    generation: int
    digest: str
    prompts: Mapping[str, ServedPrompt]
    names: tuple[str, ...]


def read(body: bytes, known: Ruleset | None) -> Ruleset:
    """The ruleset that this body tells, which may hold only what changed since the known one. Raises Malformed."""
    try:
        told = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is one
        raise Malformed(f"expected JSON: {error}") from error
    except RecursionError as error:
        raise Malformed("expected JSON of less depth") from error
    fields = _object(told, "body")
    prompts = {name: prompt_of(name, told) for name, told in _object(fields.get("prompts"), "prompts").items()}
    if fields.get("since") is not None:
        if known is None:
            raise DigestMismatch("expected everything, got what changed")
        prompts = {**known.prompts, **prompts}
    return made(fields.get("generation"), fields.get("digest"), prompts)


def made(generation: object, digest: object, prompts: Mapping[str, ServedPrompt]) -> Ruleset:
    """The ruleset of these prompts. Raises DigestMismatch unless the digest is theirs."""
    names = tuple(sorted(prompts))
    found = digest_of((name, prompts[name].digest) for name in names)
    if found != _text(digest, "digest"):
        raise DigestMismatch(f"expected prompts of the digest {digest}, got {found}")
    return Ruleset(_whole(generation, "generation"), found, prompts, names)


def digest_of(digests: Iterable[tuple[str, str]]) -> str:
    """Of each prompt's name and digest, in ascending order of the names."""
    told = "".join([f"{name} {digest}\n" for name, digest in digests])
    return sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:20]


def prompt_of(name: str, body: object) -> ServedPrompt:
    """A prompt as `prompts` of the body tells it. Raises Malformed. Members that are not known are ignored."""
    path = f"prompts.{name}"
    fields = _object(body, path)
    archived = fields.get("archived") is True
    versions = {
        number: _version(told, f"{path}.versions.{number}")
        for number, told in _object(fields.get("versions"), f"{path}.versions").items()
    }
    labels = {
        label: _served(told, versions, f"{path}.labels.{label}")
        for label, told in _object(fields.get("labels"), f"{path}.labels").items()
    }
    return ServedPrompt(_text(fields.get("digest"), f"{path}.digest"), archived, {} if archived else labels, fields)


def _version(body: object, path: str) -> Version:
    fields = _object(body, path)
    text = {key: _text(fields.get(key), f"{path}.{key}") for key in ("name", "version", "ref", "type", "sha256")}
    variables = fields.get("variables")
    if not isinstance(variables, list):
        raise Malformed(f"{path}.variables: expected a list")
    return Version(
        **text,
        ordinal=_whole(fields.get("ordinal"), f"{path}.ordinal"),
        template=_template(text["type"], fields.get("template"), f"{path}.template"),
        variables=tuple(_text(name, f"{path}.variables") for name in variables),
        config=_object(fields.get("config"), f"{path}.config"),
        input_schema=fields.get("input_schema"),
        response_schema=fields.get("response_schema"),
    )


def _template(kind: str, template: object, path: str) -> Any:
    if kind == "text":
        return _text(template, path)
    if kind == "chat":
        if not isinstance(template, list):
            raise Malformed(f"{path}: expected a list of messages")
        for message in template:
            fields = _object(message, path)
            for key in ("name",) if fields.get("type") == "placeholder" else ("role", "content"):
                _text(fields.get(key), f"{path}.{key}")
    return template


def _served(body: object, versions: Mapping[str, Version], path: str) -> Served:
    fields = _object(body, path)
    rollout = fields.get("rollout")
    split = None if rollout is None else _split(rollout, versions, f"{path}.rollout")
    return Served(_one_of(versions, fields.get("version"), f"{path}.version"), split)


def _split(body: object, versions: Mapping[str, Version], path: str) -> Split:
    fields = _object(body, path)
    weight_bp = _whole(fields.get("weight_bp"), f"{path}.weight_bp")
    if weight_bp > BUCKETS:
        raise Malformed(f"{path}.weight_bp: expected 0 to {BUCKETS}, got {weight_bp}")
    return Split(
        id=_text(fields.get("id"), f"{path}.id"),
        salt=_text(fields.get("salt"), f"{path}.salt"),
        step=_whole(fields.get("step"), f"{path}.step"),
        weight_bp=weight_bp,
        control=_one_of(versions, fields.get("control"), f"{path}.control"),
        canary=_one_of(versions, fields.get("canary"), f"{path}.canary"),
    )


def _one_of(versions: Mapping[str, Version], number: object, path: str) -> Version:
    if isinstance(number, str) and number in versions:
        return versions[number]
    raise Malformed(f"{path}: expected one of the prompt's versions, got {number!r}")


def _object(value: object, path: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Malformed(f"{path}: expected an object, got {type(value).__name__}")


def _text(value: object, path: str) -> str:
    if isinstance(value, str):
        return value
    raise Malformed(f"{path}: expected text, got {type(value).__name__}")


def _whole(value: object, path: str) -> int:
    if type(value) is int and value >= 0:
        return value
    raise Malformed(f"{path}: expected a whole number, got {value!r}")
