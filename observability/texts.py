"""Which texts of calls are kept? None, unless SERINUS_STORE_TEXT is on; then every one scrubbed before it is stored.

Errors and a sample of traces are kept in full, of the rest only the SHA-256. A trace is in the sample or out of it by
its id, so that all its calls are, in every request and on every host.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from common.clock import now
from observability import bulk
from observability.core import content
from observability.core.calls import CallFacts
from observability.core.conversions import clean
from observability.core.scrubbing import scrubbed
from observability.models.texts import CallText, KeptBecause

COLUMNS = ("call_id", "input_sha256", "output_sha256", "input_text", "output_text", "kept_because", "stored_at")
MISSING = COLUMNS[1:-1]  # may come with a later span of the same call, and then join what is there


def store(texts: Iterable[tuple[int, CallFacts]]) -> None:
    """Store the texts of the calls with these ids, in the caller's transaction."""
    if not settings.STORE_TEXT:
        return
    at = connection.ops.adapt_datetimefield_value(now())
    rows = [row for call_id, call in texts if (row := _row(call_id, call, at))]
    _write(rows)


def move(*, from_calls: Collection[int], to_call: int) -> None:
    """Give a call the texts of others that turned out to be the same, where it has none."""
    adapt = connection.ops.adapt_datetimefield_value
    for *texts, at in CallText.objects.filter(call_id__in=from_calls).order_by("call_id").values_list(*COLUMNS[1:]):
        _write([(to_call, *texts, adapt(at))])


def _write(rows: Sequence[tuple[Any, ...]]) -> None:
    mine = connection.ops.quote_name(CallText._meta.db_table)
    joined = ", ".join(f"{name} = COALESCE({mine}.{name}, excluded.{name})" for name in MISSING)
    bulk.insert(CallText, COLUMNS, rows, on_conflict=f"(call_id) DO UPDATE SET {joined}")


def scrubbed_text(text: str | None) -> str | None:
    """The text as it may be stored."""
    if text is None:
        return None
    return scrubbed(clean(text), own=settings.SCRUB_PATTERNS, limit=settings.TEXT_LIMIT)


def is_in_sample(trace_id: bytes) -> bool:
    place = int.from_bytes(hashlib.sha256(trace_id).digest()[:4])
    return place * 10_000 < settings.TEXT_SAMPLE_BP << 32


def _row(call_id: int, call: CallFacts, at: Any) -> tuple[Any, ...] | None:
    """In the order of COLUMNS; None where the client sent no text."""
    texts = [scrubbed_text(content.input_text(call)), scrubbed_text(content.output_text(call))]
    if texts == [None, None]:
        return None
    hashes = [None if text is None else hashlib.sha256(text.encode()).digest() for text in texts]
    because = KeptBecause.ERROR if call.error else KeptBecause.SAMPLE if is_in_sample(call.trace_id) else None
    return (call_id, *hashes, *(texts if because else (None, None)), because, at)
