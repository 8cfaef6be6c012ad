"""Many rows in few statements, past the ORM: the one place that writes SQL for both databases.

`INSERT … VALUES (…), (…) … ON CONFLICT … RETURNING` is understood alike by SQLite and PostgreSQL, and costs a fifth
of `bulk_create` on either.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from django.db import connection, models

MOST_PARAMETERS = 30_000  # SQLite allows 32 766 in one statement


def insert(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    on_conflict: str = "DO NOTHING",
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert the rows, each in the order of the columns; answers with the `returning` columns of the rows written.

    Must run inside a transaction: many rows take several statements.
    """
    quote = connection.ops.quote_name
    table, names = quote(model._meta.db_table), ", ".join(map(quote, columns))
    answer = f"RETURNING {', '.join(map(quote, returning))}" if returning else ""
    one_row = f"({', '.join(['%s'] * len(columns))})"
    most_rows = MOST_PARAMETERS // len(columns)
    written: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for start in range(0, len(rows), most_rows):
            chunk = rows[start : start + most_rows]
            values = ", ".join([one_row] * len(chunk))
            cursor.execute(
                f"INSERT INTO {table} ({names}) VALUES {values} ON CONFLICT {on_conflict} {answer}",  # noqa: S608 (names only)
                list(chain.from_iterable(chunk)),
            )
            written += cursor.fetchall() if returning else []
    return written
