"""What the admin shows and nobody edits in place."""

import json
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

COUNTED = 1_000


class _NobodyEdits:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # takes none at run time
    """Pages of the first COUNTED rows: nobody turns more, and counting all of them would read the whole table."""

    @cached_property
    def count(self) -> int:
        return int(self.object_list[:COUNTED].count())  # type: ignore[attr-defined]  # of a QuerySet


class ReadOnlyAdmin(_NobodyEdits, admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    pass


class ReadOnlyInline(_NobodyEdits, admin.TabularInline):  # type: ignore[type-arg]  # takes none at run time
    extra = 0


def as_written(value: Any) -> SafeString | str:
    """Text as it is, line by line, and anything else as indented JSON."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return format_html("<pre>{}</pre>", text)
