"""Requests that bring spans of one trace, or of one response, at the same moment are stored one after the other.

Else neither would see the other's spans, and a call would miss its prompt or its twin for good. SQLite has one writer
at a time anyway.
"""

from collections.abc import Collection
from hashlib import blake2b

from django.db import connection

EVERY_TRACE = 7_301  # a number of its own among PostgreSQL's advisory locks; those of traces have 64 bits
MOST_LOCKS = (
    400  # a request of 500 spans needs 300; PostgreSQL keeps 6400 for all connections, and refuses what is more
)
PATIENCE = "5s"  # for any lock of the transaction: an exporter gives up after 10, of which 4 may pass at the gate
IMPATIENTLY = "SELECT set_config('lock_timeout', %s, true),"


def lock_traces(trace_ids: Collection[bytes], response_ids: Collection[str]) -> None:
    """Hold the traces and responses until the end of the transaction; a request of very many holds all there are."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        if len(trace_ids) + len(response_ids) > MOST_LOCKS:
            cursor.execute(f"{IMPATIENTLY} pg_advisory_xact_lock(%s)", [PATIENCE, EVERY_TRACE])
            return
        cursor.execute(f"{IMPATIENTLY} pg_advisory_xact_lock_shared(%s)", [PATIENCE, EVERY_TRACE])
        names = [trace_id[8:] for trace_id in trace_ids]
        names += [blake2b(response_id.encode(), digest_size=8).digest() for response_id in response_ids]
        keys = sorted(int.from_bytes(key, signed=True) for key in names)
        cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", [keys])
