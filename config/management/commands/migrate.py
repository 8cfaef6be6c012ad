"""Django's `migrate`, one at a time: hosts or commands that start together must not create the same table twice."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.commands import migrate
from django.db import connection

from config.pooler import past_the_pooler

LOCK_ID = 7_305_737_046  # of PostgreSQL's advisory locks: any number, the same on every host


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with past_the_pooler(), alone():
            super().handle(*args, **options)


@contextmanager
def alone() -> Iterator[None]:
    """Wait until nobody else migrates this database."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_ID])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_ID])
    else:
        with (settings.DATA_DIR / "migrate.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
