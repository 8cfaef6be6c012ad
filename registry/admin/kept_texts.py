"""Texts of a draft that stand beside the one in the form, so that whoever was overtaken loses neither.

They travel in the form itself, in hidden fields, and change places with what was typed. Nothing of them is stored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.forms.utils import pretty_name
from django.http import QueryDict

from registry.core.differences import MessageDifference, template_differences

FIELD = "kept"
MOST_OF_A_TITLE = 300
TAKE = "_take"
NAMES = ("type", "template", "config", "input_schema", "response_schema", "notes")
TITLE = "title"
YOURS = "Your text"


@dataclass(frozen=True, slots=True)
class KeptText:
    """fields: of the draft's form, as they are typed."""

    title: str
    fields: Mapping[str, str]

    @property
    def as_field(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """What one field says in the kept text and in the form."""

    name: str
    messages: Sequence[MessageDifference]

    @property
    def label(self) -> str:
        return pretty_name(self.name)


def read_kept(data: QueryDict) -> list[KeptText]:
    """Those that the form brought along; whatever else somebody sends in their place is none."""
    return [text for written in data.getlist(FIELD) if (text := _read(written)) is not None]


def keep(kept: list[KeptText], title: str, fields: Mapping[str, Any]) -> list[KeptText]:
    """With one more at the front, unless the same is there already."""
    text = KeptText(title, typed_fields(fields))
    return kept if any(other.fields == text.fields for other in kept) else [text, *kept]


def take(kept: list[KeptText], data: QueryDict) -> tuple[dict[str, Any], list[KeptText]]:
    """The form's data with the chosen text in it, and the texts that are now kept: that of the form in its place."""
    typed: dict[str, Any] = data.dict()
    for index, text in enumerate(kept):
        if data[TAKE] == str(index):
            others = [*kept[:index], KeptText(title_of(data), typed_fields(typed)), *kept[index + 1 :]]
            return {**typed, **text.fields, TITLE: text.title}, others
    return typed, kept


def title_of(data: Mapping[str, Any]) -> str:
    """Whose text is in the form."""
    return str(data.get(TITLE) or YOURS)[:MOST_OF_A_TITLE]


def typed_fields(data: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(data.get(name) or "").replace("\r\n", "\n") for name in NAMES}


def differing(text: KeptText, data: Mapping[str, Any]) -> list[FieldDifference]:
    """The fields that say something else in the form, the kept text being the older."""
    typed = typed_fields(data)
    compared = (
        FieldDifference(name, template_differences(*(_parsed(name, fields) for fields in (text.fields, typed))))
        for name in NAMES
    )
    return [field for field in compared if field.messages]


def _parsed(name: str, fields: Mapping[str, str]) -> Any:
    """A chat template as its messages, everything else as it is written."""
    written = fields[name]
    if name == "template" and fields["type"] == "chat":
        try:
            return json.loads(written)
        except (ValueError, RecursionError):
            return written
    return written


def _read(written: str) -> KeptText | None:
    try:
        match json.loads(written):
            case {"title": str(title), "fields": dict(fields)} if fields.keys() == set(NAMES):
                text = KeptText(title[:MOST_OF_A_TITLE], typed_fields(fields))
                text.as_field.encode()  # lone surrogates cannot be written into a page
                return text
    except (ValueError, RecursionError):
        pass
    return None
