"""The two counters that order everything (models.Sequence), and how a process hears that one has moved."""

from contextlib import suppress
from threading import Event
from typing import Literal

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import connection

from registry.models import ApiKey, Prompt

TAKE_NEXT = """
    INSERT INTO registry_sequence (name, value) VALUES (%s, 1)
    ON CONFLICT (name) DO UPDATE SET value = registry_sequence.value + 1 RETURNING value"""


CHANNEL = "serinus_generation"
ASK_S = 0.1
ASK_LISTENERS_S = 0.5
"""Listeners ask as well: what is told while a connection is lost does not reach them."""


def next_value(name: Literal["event", "generation"]) -> int:
    """The next number of the sequence. Must run inside a transaction: the row stays locked until it ends."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_NEXT, [name])
        (value,) = cursor.fetchone()
        if connection.vendor == "postgresql":
            cursor.execute(f"NOTIFY {CHANNEL}")  # reaches the listeners at the commit
    return int(value)


def wait_for_generation(stop: Event) -> None:
    """Return when it is time to ask for the latest generation, or event: half a second later at most.

    PostgreSQL tells at once when it has moved. SQLite cannot, nor can PostgreSQL through a pooler, and they are asked
    ten times a second. A lost connection is for the next statement to notice.
    """
    if connection.vendor != "postgresql" or settings.DATABASE_DIRECT:
        stop.wait(ASK_S)
        return
    with suppress(AnyDatabaseError), connection.wrap_database_errors:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")  # again and again: it costs little, and the connection may be another
        for _ in connection.connection.notifies(timeout=ASK_LISTENERS_S, stop_after=1):
            pass


def touch(row: Prompt | ApiKey) -> None:
    """Mark the row as changed, so that every serving process reloads it within a second of the commit.

    The row is locked before the sequence, as publishing does: the other way round each could wait for the other.
    """
    rows = type(row).objects.filter(pk=row.pk)
    rows.select_for_update(no_key=True).get()
    rows.update(generation=next_value("generation"))
