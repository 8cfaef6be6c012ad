"""What was stored by an earlier release is right after the upgrade."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from observability.models import Call, Score, Span

APP = "observability"
BEFORE, AFTER = "0003_squares_of_unit_buckets", "0005_calls_bear_their_spans_ids"
STARTED = datetime(2026, 11, 25, 14, 30, 7, 250_000, tzinfo=UTC)
PLACES_PER_HOUR = 2**40


@pytest.fixture
def earlier() -> Iterator[Any]:
    """The models as they were; afterwards the database is as new."""
    executor = MigrationExecutor(connection)
    executor.migrate([(APP, BEFORE)])
    yield executor.loader.project_state([(APP, BEFORE)]).apps.get_model
    newest = MigrationExecutor(connection)
    newest.migrate(newest.loader.graph.leaf_nodes())


@pytest.mark.django_db(transaction=True)
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
