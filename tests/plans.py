"""How the database looks for what is asked of it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}
WHOLE = {"sqlite": r"SCAN {}\b", "postgresql": r"Seq Scan on {}\b"}


@contextmanager
def plans() -> Iterator[list[str]]:
    """The plan of each statement that is run meanwhile, with its parameters; to be used inside a transaction.

    PostgreSQL reads a table as a whole only where no index can help; small ones it else would.
    """
    found: list[str] = []

    def explained(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not many and sql.lstrip(" (").startswith(("SELECT", "UPDATE", "DELETE")):
            with connection.cursor() as cursor:
                cursor.execute(EXPLAIN[connection.vendor] + sql, params)
                found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    with connection.execute_wrapper(explained):
        yield found


def reads_as_a_whole(plan: str, model: type[models.Model]) -> bool:
    """Whether a plan leads through all rows of a table, or, on SQLite, of one of its indexes."""
    return re.search(WHOLE[connection.vendor].format(model._meta.db_table), plan) is not None
