"""The two counters that order everything (models.Sequence)."""

from typing import Literal

from django.db import connection

from registry.models import ApiKey, Prompt


def next_value(name: Literal["event", "generation"]) -> int:
    """The next number of the sequence. Must run inside a transaction: the row stays locked until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_sequence SET value = value + 1 WHERE name = %s RETURNING value", [name])
        (value,) = cursor.fetchone()
    return int(value)


def touch(row: Prompt | ApiKey) -> None:
    """Mark the row as changed, so that every serving process reloads it within a second of the commit."""
    type(row).objects.filter(pk=row.pk).update(generation=next_value("generation"))
