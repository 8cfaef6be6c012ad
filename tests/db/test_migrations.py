"""What was stored by an earlier release is right after the upgrade."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from observability.models import Call, Score, Span
from tests.process.server import new_database

APP = "observability"
BEFORE, AFTER = "0003_squares_of_unit_buckets", "0005_calls_bear_their_spans_ids"
STARTED = datetime(2026, 11, 25, 14, 30, 7, 250_000, tzinfo=UTC)
PLACES_PER_HOUR = 2**40


@pytest.fixture
def earlier(django_db_blocker: Any, tmp_path: Path) -> Iterator[Any]:
    """The models as they were, in a database of their own."""
    stored_in = connection.settings_dict["NAME"]
    name = str(tmp_path / "earlier.sqlite3")
    if connection.vendor == "postgresql":
        name = f"earlier_{os.getpid()}"
        new_database(os.environ["DATABASE_URL"], name)
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            executor = MigrationExecutor(connection)
            executor.migrate([(APP, BEFORE)])
            yield executor.loader.project_state([(APP, BEFORE)]).apps.get_model
        finally:
            connection.close()
            connection.settings_dict["NAME"] = stored_in


def test_calls_bear_their_spans_ids__calls_with_scores__all_follow(earlier: Any) -> None:
    for number in range(4):
        ids = {"trace_id": bytes([7] * 16), "span_id": bytes([number + 1] * 8)}
        earlier(APP, "Span").objects.create(**ids, name="chat", scope="", started_ns=0, duration_ns=1, status=0)
        if number:  # the first span is no call, so that the calls' own ids are each one less than their spans'
            operation = "embeddings" if number == 3 else "chat"
            call = earlier(APP, "Call").objects.create(**ids, operation=operation, error=False, started_at=STARTED)
            earlier(APP, "Score").objects.create(
                key=f"sco_{number}",
                target="",
                call=call,
                waiting=False,
                recheck=False,
                counts=True,
                name="tone",
                value=0.1 * number,
                source="judge",
                received_at=STARTED,
            )

    MigrationExecutor(connection).migrate([(APP, AFTER)])

    hour = int(STARTED.timestamp()) // 3600
    spans = dict(Span.objects.order_by("id").values_list("id", "span_id")[1:])
    calls = Call.objects.order_by("id").values_list("id", "span_id", "is_embedding", "place", "observed")
    assert list(calls) == [
        (id_, span_id, bytes(span_id)[0] == 4, hour * PLACES_PER_HOUR + id_, 32_767) for id_, span_id in spans.items()
    ]
    assert list(Score.objects.order_by("key").values_list("call_id", flat=True)) == list(spans)
