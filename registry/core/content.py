"""What a version says, and the SHA-256 by which the same content is recognised.

Line ends in the template are `\\n`, whichever a browser or an editor sent, and whole numbers are integers (1.0 is 1),
so that content stays the same through a form, an API, a file or a database.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from registry.core import templates


@dataclass(frozen=True, slots=True)
class Content:
    """template: a string for type `text`; for `chat` a list of {role, content} and {type: "placeholder", name}.

    Anyone makes one from anything; core.validation tells what may be stored and what may be published. The
    properties other than sha256 are for content that may be published.
    """

    type: str
    template: Any
    config: Any = field(default_factory=dict)
    input_schema: Any = None
    response_schema: Any = None

    @property
    def sha256(self) -> str:
        """Of the canonical form, in hexadecimal."""
        return hashlib.sha256(canonical(self)).hexdigest()

    @property
    def variables(self) -> tuple[str, ...]:
        """In order of first appearance."""
        return templates.variables(self.template)

    @property
    def declared(self) -> Mapping[str, Any]:
        """The schema of each variable that input_schema declares."""
        properties: Mapping[str, Any] = (self.input_schema or {}).get("properties", {})
        return properties

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of the variables that may be left out."""
        return {
            name: schema["default"]
            for name, schema in self.declared.items()
            if isinstance(schema, dict) and "default" in schema
        }


def canonical(content: Content) -> bytes:
    """The five fields, normalised, as one JSON object in UTF-8 with sorted keys and no white space."""
    fields = asdict(normalised(content))
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def normalised(content: Content) -> Content:
    """The content with plain line ends in its template and integers for whole numbers."""
    return replace(
        content,
        template=_with_plain_line_ends(content.template),
        config=_with_whole_numbers(content.config),
        input_schema=_with_whole_numbers(content.input_schema),
        response_schema=_with_whole_numbers(content.response_schema),
    )


def _with_plain_line_ends(template: Any) -> Any:
    match template:
        case str():
            return template.replace("\r\n", "\n").replace("\r", "\n")
        case {"content": str(content)}:
            return {**template, "content": _with_plain_line_ends(content)}
        case list():
            return [_with_plain_line_ends(message) for message in template]
    return template


def _with_whole_numbers(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _with_whole_numbers(inner) for key, inner in value.items()}
        case list():
            return [_with_whole_numbers(inner) for inner in value]
    return value
