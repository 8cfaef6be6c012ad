"""What `client.get` returns: one version, why it was chosen, its rendering, and what to put on traces made with it.

Everything of one prompt comes from one ruleset. Every read of a mutable part makes a copy, so nobody can change what
another gets. An instance belongs to whoever got it, and may be entered by several threads and tasks at once.
"""

from __future__ import annotations

import logging
import secrets
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from serinus.assignment import bucket, unit_bucket
from serinus.errors import PromptArchived, UnknownLabel, UnknownPrompt, WrongType
from serinus.ruleset import Ruleset, Split, Version
from serinus.stamping import Stamping
from serinus.template import Message, render_chat, render_text

NAMES_TOLD = 10
TOLD_AT_MOST = 1000

logger = logging.getLogger("serinus")
_told: set[tuple[str, str]] = set()


def choose(ruleset: Ruleset, name: str, label: str, unit: str | int | UUID | None) -> Prompt:
    """The prompt as the server would answer it. Raises UnknownPrompt, UnknownLabel, PromptArchived or WrongType."""
    try:
        version, split = ruleset.prompts[name].labels[label]
    except (KeyError, TypeError):
        raise _refusal(ruleset, name, label) from None
    if type(unit) is not str:
        unit = _as_text(unit)
    if split is None:
        return Prompt(version, label, "label", True, None, "")
    sticky = unit != ""
    if not sticky:
        unit = str(secrets.randbits(64))  # a unit of its own; not of `random`, which an app may seed
    if bucket(split.salt, unit) < split.weight_bp:
        return Prompt(split.canary, label, "canary", sticky, split, unit)
    return Prompt(split.control, label, "control", sticky, split, unit)


class Prompt(Stamping):
    """One version as one unit gets it. Inside `with` it stamps the spans of LLM calls with its trace."""

    __slots__ = ("_split", "_unit", "_version", "label", "reason", "sticky")

    def __init__(self, version: Version, label: str, reason: str, sticky: bool, split: Split | None, unit: str) -> None:
        self._version = version
        self._split = split
        self._unit = unit
        self.label = label
        self.reason = reason
        self.sticky = sticky

    @property
    def name(self) -> str:
        return self._version.name

    @property
    def version(self) -> str:
        return self._version.version

    @property
    def ordinal(self) -> int:
        return self._version.ordinal

    @property
    def ref(self) -> str:
        """`<name>@<version>`."""
        return self._version.ref

    @property
    def type(self) -> str:
        """`text` or `chat`."""
        return self._version.type

    @property
    def template(self) -> Any:
        """A string, or for chat a list of {role, content} and {type: "placeholder", name}. A copy."""
        return _copy(self._version.template)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names that the template uses, in the order of their first use."""
        return self._version.variables

    @property
    def config(self) -> dict[str, Any]:
        """A copy."""
        copy: dict[str, Any] = _copy(self._version.config)
        return copy

    @property
    def input_schema(self) -> Any:
        """A copy, or None."""
        return _copy(self._version.input_schema)

    @property
    def response_schema(self) -> Any:
        """A copy, or None."""
        return _copy(self._version.response_schema)

    @property
    def sha256(self) -> str:
        return self._version.sha256

    @property
    def rollout(self) -> dict[str, Any] | None:
        """id, arm, step, weight and weight_bp of the rollout that assigned this; None if none did."""
        split = self._split
        if split is None:
            return None
        return {
            "id": split.id,
            "arm": self.reason,
            "step": split.step,
            "weight": split.weight_bp / 10_000,
            "weight_bp": split.weight_bp,
        }

    @property
    def exposure(self) -> str | None:
        """`<rollout id>:<step>:<arm>:<unit bucket>`; None unless a rollout assigned this."""
        split = self._split
        if split is None:
            return None
        return f"{split.id}:{split.step}:{self.reason}:{unit_bucket(split.salt, self._unit)}"

    @property
    def trace(self) -> dict[str, str]:
        """The attributes to put on the span of the LLM call made with this, as the server's answer has them."""
        version, exposure = self._version, self.exposure
        trace = {
            "gen_ai.prompt.name": version.name,
            "gen_ai.prompt.version": version.version,
            "serinus.label": self.label,
        }
        if exposure is not None:
            trace["serinus.exposure"] = exposure
        return trace

    def render(self, /, **variables: Any) -> str:
        """The text with every variable's value in its place. Raises MissingVariable, and WrongType for a chat."""
        if self.type != "text":
            raise WrongType(f"{self.ref} is of type {self.type}: use messages() instead of render()")
        return render_text(self._version.template, self._with_defaults(variables), ref=self.ref)

    def messages(self, /, **variables: Any) -> list[Message]:
        """The messages; a placeholder takes a list of them; a text becomes one of the user. Raises as render does."""
        if self.type == "text":
            return [{"role": "user", "content": self.render(**variables)}]
        if self.type != "chat":
            raise WrongType(f"{self.ref} is of type {self.type}, which this release of the SDK cannot render")
        return render_chat(self._version.template, self._with_defaults(variables), ref=self.ref)

    def __repr__(self) -> str:
        return f"<Prompt {self.ref}, {self.label}, {self.reason}>"  # without the unit, which may be personal

    def _with_defaults(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        schema = self._version.input_schema
        declared = schema.get("properties", {}) if isinstance(schema, dict) else {}
        for name in variables.keys() - declared.keys() - set(self.variables):
            _tell_of_unused(self.ref, name)
        defaults = {
            name: _copy(about["default"])
            for name, about in declared.items()
            if name not in variables and isinstance(about, dict) and "default" in about
        }
        return {**defaults, **variables} if defaults else variables


def _as_text(unit: Any) -> str:
    if unit is None:
        return ""
    if isinstance(unit, (str, int, UUID)) and not isinstance(unit, bool):
        with suppress(ValueError):  # of more digits than Python turns into text
            return str(unit)
    raise WrongType(
        f"unit: expected text, a whole number of at most 4300 digits, a UUID or None, got {type(unit).__name__}"
    )


def _refusal(ruleset: Ruleset, name: Any, label: Any) -> Exception:
    for what, given in (("name", name), ("label", label)):
        if not isinstance(given, str):
            return WrongType(f"{what}: expected text, got {type(given).__name__}")
    prompt = ruleset.prompts.get(name)
    if prompt is None:
        return UnknownPrompt(f"There is no prompt {name!r}; {_those_near(ruleset.names, name)}")
    if prompt.archived:
        return PromptArchived(f"The prompt {name} was archived")
    has = ", ".join(sorted(prompt.labels)) or "none"
    return UnknownLabel(f"{name} has no label {label!r} in the ruleset of this client; it has {has}")


def _those_near(names: tuple[str, ...], name: str) -> str:
    """All names, or when there are many those next to it in alphabetical order: quick, for apps that expect this."""
    if len(names) <= NAMES_TOLD:
        return f"there are {', '.join(names) or 'none'}"
    at = bisect_left(names, name)
    return f"there are {len(names)}, and next to it {', '.join(names[max(0, at - 2) : at + 2])}"


def _tell_of_unused(ref: str, name: str) -> None:
    """Once. It is no error: an app passes the same values whichever version it was served."""
    if (ref, name) not in _told and len(_told) < TOLD_AT_MOST:
        _told.add((ref, name))
        logger.warning("%s has no variable %s, which was given: a misspelling?", ref, name)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner) for inner in value]
    return value
