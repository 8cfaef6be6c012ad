"""Around pgbouncer, for the little that cannot go through it.

A pooler that gives out connections for a transaction at a time (`pool_mode=transaction`) may answer the next statement
by another connection: what lives longer than a transaction, such as the lock under which migrations run, is lost.
DATABASE_DIRECT_URL is then PostgreSQL's own address.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection


@contextmanager
def past_the_pooler() -> Iterator[None]:
    """Meanwhile this thread's connection is one to PostgreSQL itself, and to the same database: in tests the test's."""
    usual = connection.settings_dict
    if settings.DATABASE_DIRECT is None:
        yield
        return
    connection.close()
    connection.settings_dict = {**usual, **settings.DATABASE_DIRECT, "NAME": usual["NAME"]}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = usual
