"""Many rows in few statements, past the ORM: the one place that writes SQL for both databases.

PostgreSQL takes rows by COPY, SQLite by one prepared statement that is run for each row. Either costs a fraction of
`bulk_create`, and a half of `INSERT … VALUES (…), (…)`. All must run inside a transaction.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any
from zlib import crc32

from django.db import connection, models

MOST_PARAMETERS = 30_000  # SQLite allows 32 766 in one statement

Model = type[models.Model]
Columns = Sequence[str]
Rows = Sequence[Sequence[Any]]


def insert_new(model: Model, columns: Columns, rows: Rows) -> list[int | None]:
    """Insert the rows that break no unique constraint; answers with the id of each, None where it was there before.

    The ids are taken beforehand, so that no statement needs to answer with what it wrote.
    """
    if not rows:
        return []
    write = _insert_new_on_postgresql if connection.vendor == "postgresql" else _insert_new_on_sqlite
    return write(model, columns, rows)


def append(model: Model, columns: Columns, rows: Rows) -> None:
    """Insert rows that break no constraint."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _copy(cursor, _table(model), columns, rows)
        else:
            cursor.executemany(_insert_one(model, columns), rows)


def upsert(model: Model, columns: Columns, rows: Rows, *, on_conflict: str) -> None:
    """Insert the rows, no two with one key, or do with those that are there what `on_conflict` says.

    on_conflict: `(key) DO UPDATE SET …`.
    """
    if not rows:
        return
    if connection.vendor == "postgresql":  # where a statement for each row costs three times as much
        insert(model, columns, rows, on_conflict=on_conflict)
        return
    with connection.cursor() as cursor:
        cursor.executemany(f"{_insert_one(model, columns)} ON CONFLICT {on_conflict}", rows)


def update(model: Model, columns: Columns, rows: Rows) -> None:
    """Set the columns of rows that exist; the last value of each is the id."""
    if not rows:
        return
    assignments = ", ".join(f"{connection.ops.quote_name(column)} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {_table(model)} SET {assignments} WHERE id = %s", rows)  # noqa: S608 (names only)


def insert(
    model: Model, columns: Columns, rows: Rows, *, on_conflict: str = "DO NOTHING", returning: Columns = ()
) -> list[tuple[Any, ...]]:
    """Insert the rows; answers with the `returning` columns of those that were written."""
    answer = f"RETURNING {_names(returning)}" if returning else ""
    one_row = f"({', '.join(['%s'] * len(columns))})"
    most_rows = MOST_PARAMETERS // len(columns)
    written: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for start in range(0, len(rows), most_rows):
            chunk = rows[start : start + most_rows]
            values = ", ".join([one_row] * len(chunk))
            cursor.execute(
                f"INSERT INTO {_table(model)} ({_names(columns)}) VALUES {values}"  # noqa: S608 (names only)
                f" ON CONFLICT {on_conflict} {answer}",
                list(chain.from_iterable(chunk)),
            )
            written += cursor.fetchall() if returning else []
    return written


def _insert_new_on_sqlite(model: Model, columns: Columns, rows: Rows) -> list[int | None]:
    """Nobody else takes an id in between: SQLite has one writer, and the transaction is IMMEDIATE."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        first = (cursor.fetchone() or (0,))[0] + 1
        with_ids = [(id_, *row) for id_, row in enumerate(rows, first)]
        cursor.executemany(f"{_insert_one(model, ['id', *columns])} ON CONFLICT DO NOTHING", with_ids)
        if cursor.rowcount == len(rows):
            return list(range(first, first + len(rows)))
        cursor.execute(f"SELECT id FROM {_table(model)} WHERE id >= %s", [first])  # noqa: S608 (names only)
        written = {id_ for (id_,) in cursor.fetchall()}
    return [id_ if id_ in written else None for id_ in range(first, first + len(rows))]


def _insert_new_on_postgresql(model: Model, columns: Columns, rows: Rows) -> list[int | None]:
    """By way of a table of this connection, since COPY itself knows no ON CONFLICT."""
    table, names = _table(model), _names(["id", *columns])
    # Named by its columns: a pooler's connection, and the table with it, may be older than a migration.
    arriving = connection.ops.quote_name(f"arriving_{model._meta.db_table}_{crc32(names.encode()):08x}")
    with connection.cursor() as cursor:
        sequence = f"pg_get_serial_sequence('{model._meta.db_table}', 'id')"
        cursor.execute(f"SELECT nextval({sequence}) FROM generate_series(1, %s)", [len(rows)])  # noqa: S608 (names only)
        ids = [id_ for (id_,) in cursor.fetchall()]
        # With the defaults of columns that only a newer release knows, which has migrated the database already.
        like = f"(LIKE {table} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {arriving} {like}")
        _copy(cursor, arriving, ["id", *columns], [(id_, *row) for id_, row in zip(ids, rows, strict=True)])
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {arriving} ORDER BY id"  # noqa: S608 (names only)
            " ON CONFLICT DO NOTHING RETURNING id"
        )
        written = {id_ for (id_,) in cursor.fetchall()}
    return [id_ if id_ in written else None for id_ in ids]


def _copy(cursor: Any, table: str, columns: Columns, rows: Rows) -> None:
    with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({_names(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert_one(model: Model, columns: Columns) -> str:
    values = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {_table(model)} ({_names(columns)}) VALUES ({values})"  # noqa: S608 (names only)


def _table(model: Model) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _names(columns: Columns) -> str:
    return ", ".join(map(connection.ops.quote_name, columns))
