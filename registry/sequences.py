"""The two counters that order everything (models.Sequence)."""

from typing import Literal

from django.db import connection

from registry.models import ApiKey, Prompt

TAKE_NEXT = """
    INSERT INTO registry_sequence (name, value) VALUES (%s, 1)
    ON CONFLICT (name) DO UPDATE SET value = registry_sequence.value + 1 RETURNING value"""


def next_value(name: Literal["event", "generation"]) -> int:
    """The next number of the sequence. Must run inside a transaction: the row stays locked until it ends."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_NEXT, [name])
        (value,) = cursor.fetchone()
    return int(value)


def touch(row: Prompt | ApiKey) -> None:
    """Mark the row as changed, so that every serving process reloads it within a second of the commit.

    The row is locked before the sequence, as publishing does: the other way round each could wait for the other.
    """
    rows = type(row).objects.filter(pk=row.pk)
    rows.select_for_update(no_key=True).get()
    rows.update(generation=next_value("generation"))
