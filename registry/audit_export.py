"""The audit trail as a file, for whoever keeps or searches it elsewhere: JSON lines, or CSV for spreadsheets."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.utils.encoders import JSONEncoder

from registry.audit import FIELDS, entry_json
from registry.models import AuditEntry

# A cell that begins like this is a formula to a spreadsheet, and some of what is written here others have chosen.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_jsonl(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """One entry a line, the oldest first, as `GET /api/v1/audit` answers it."""
    for entry in _oldest_first(entries):
        yield _json(entry_json(entry)) + "\n"


def as_csv(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """A line of names, then one entry a line, the oldest first; `before` and `after` as JSON."""
    yield _line(FIELDS)
    for entry in _oldest_first(entries):
        yield _line([_cell(value) for value in entry_json(entry).values()])


FORMATS: Mapping[str, Callable[[QuerySet[AuditEntry]], Iterator[str]]] = {"jsonl": as_jsonl, "csv": as_csv}


def _oldest_first(entries: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    return entries.order_by("pk").iterator(chunk_size=500)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case dict():
            return _json(value)
        case str():
            return f"'{value}" if value.startswith(FORMULA) else value
    return str(json.loads(_json(value)))


def _json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False)


def _line(cells: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
