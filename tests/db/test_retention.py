"""What is older than it is kept goes, in batches, and nothing else does."""

import io
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pydoc import locate
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django_q.models import OrmQ, Schedule

from common.clock import now
from observability import retention, rollups
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.models import (
    Alert,
    AlertKind,
    Call,
    CallText,
    Evidence,
    KeptBecause,
    RollUpState,
    Score,
    Severity,
    Silence,
    Span,
    SpendHour,
    UnitBucket,
    VersionHour,
    VersionSpan,
)
from observability.services.scores import record_scores
from tests import make, traces

pytestmark = pytest.mark.django_db

STAMP = traces.CHAT | {
    "gen_ai.prompt.name": "order-extractor",
    "gen_ai.prompt.version": "v2.3",
    "serinus.exposure": "rol_1:0:canary:182",
}
DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def _small_batches_and_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(rollups, "MOST_SECONDS", 600.0)  # a busy machine takes long for the marks of 500 days


@pytest.fixture
def ingest() -> Callable[..., None]:
    """Calls with texts and a score each, that many days old."""
    make.version(make.prompt(), "2.3")

    def ingest(*days: float) -> None:
        first = Span.objects.count()
        spans = [traces.span(STAMP, number=first + n, age_s=d * DAY_S) for n, d in enumerate(days)]
        writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)
        for number, age in enumerate(days):
            call = Call.objects.get(span_id=traces.span_id(first + number))
            stored_at = now() - timedelta(days=age)
            CallText.objects.create(call=call, input_text="hello", kept_because=KeptBecause.SAMPLE, stored_at=stored_at)
            score(name="tone", span_id=bytes(call.span_id).hex())
        rollups.roll_up()

    return ingest


def score(**fields: Any) -> None:
    record_scores(scores=[NewScore(value=1, source="judge", **fields)])


def counts() -> tuple[int, int, int, int]:
    return tuple(model.objects.count() for model in (CallText, Span, Call, Score))  # type: ignore[return-value]


def test_prune__each_kind__as_long_as_its_setting_says(ingest: Callable[..., None]) -> None:
    ingest(100, 95, 91, 92, 89, 31, 29, 15, 13, 1)

    deleted, is_all = retention.prune()

    assert is_all
    assert (deleted["texts"], deleted["spans"], deleted["calls"]) == (8, 4, 4)
    assert counts() == (2, 6, 6, 6)


def test_prune__again__nothing_left_to_do(ingest: Callable[..., None]) -> None:
    ingest(100, 1)

    retention.prune()
    deleted, is_all = retention.prune()

    assert (set(deleted.values()), is_all) == ({0}, True)


def test_prune__evidence__survives_its_calls(ingest: Callable[..., None]) -> None:
    ingest(100)
    evidence = list(Evidence.objects.order_by("pk").values()), list(UnitBucket.objects.order_by("pk").values())

    retention.prune()

    assert not Call.objects.exists()
    assert evidence[0]
    assert (
        list(Evidence.objects.order_by("pk").values()),
        list(UnitBucket.objects.order_by("pk").values()),
    ) == evidence


def test_prune__hour_that_is_not_rolled_up__its_calls_stay_with_their_spans(ingest: Callable[..., None]) -> None:
    ingest(100)
    RollUpState.objects.update(rolled_until=None, sealed_until=None)

    retention.prune()

    assert counts() == (0, 1, 1, 1)


def test_prune__figures_of_hours_and_of_days__as_long_as_their_setting_says(ingest: Callable[..., None]) -> None:
    ingest(500, 300)
    before = VersionSpan.objects.values("starts_at__date").distinct().count()

    retention.prune()

    assert (VersionHour.objects.count(), SpendHour.objects.exists()) == (1, True)
    assert (before, VersionSpan.objects.values("starts_at__date").distinct().count()) == (2, 1)


def test_prune__scores_without_a_call__as_long_as_calls() -> None:
    score(name="tone", span_id="00" * 8)
    score(name="tone", exposure="rol_1:0:canary:182")
    for days, left in [(89, 2), (91, 0)]:
        Score.objects.update(received_at=now() - timedelta(days=days))

        retention.prune()

        assert Score.objects.count() == left


def test_prune__time_is_up__the_oldest_are_gone_and_it_says_that_there_is_more(ingest: Callable[..., None]) -> None:
    ingest(*range(120, 110, -1))

    deleted, is_all = retention.prune(most_s=0)

    assert not is_all
    assert sum(deleted.values()) == 3  # one batch
    assert CallText.objects.order_by("pk").values_list("pk", flat=True)[0] == Call.objects.order_by("pk")[3].pk


def test_sweep__more_than_fits__comes_back_at_once_until_all_is_gone(
    ingest: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(100, 99, 98, 97)
    monkeypatch.setattr(retention, "LONGEST_SWEEP_S", 0)

    retention.sweep()
    after_one = OrmQ.objects.count()
    monkeypatch.undo()
    retention.sweep()

    assert (after_one, OrmQ.objects.count()) == (1, 1)
    assert counts() == (0, 0, 0, 0)


def test_schedule__every_hour__the_sweep() -> None:
    Schedule.objects.filter(name="prune").delete()

    import_module("observability.migrations.0009_prune_every_hour").schedule(apps, None)

    planned = Schedule.objects.get(name="prune")
    assert (locate(planned.func), planned.schedule_type) == (retention.sweep, Schedule.HOURLY)


def test_command__dry_run__says_what_it_would_delete_and_leaves_it(ingest: Callable[..., None]) -> None:
    ingest(100, 20, 1)
    before, output = counts(), io.StringIO()

    call_command("prune", "--dry-run", stdout=output)

    assert output.getvalue().splitlines()[:5] == [
        "would delete 2 texts older than 14 days",
        "would delete 0 texts for judges older than 23 hours",
        "would delete 0 documents for judges older than 23 hours",
        "would delete 1 calls older than 90 days",
        "would delete 1 spans older than 90 days",
    ]
    assert counts() == before


def test_command__deletes_and_says_what(ingest: Callable[..., None]) -> None:
    ingest(100, 20, 1)
    output = io.StringIO()

    call_command("prune", stdout=output)

    assert "deleted 2 texts older than 14 days" in output.getvalue()
    assert counts() == (1, 2, 2, 2)


def test_alerts__resolved_and_silences_over_for_longer_than_events_are_kept__gone() -> None:
    at = now()
    long_ago = at - timedelta(days=401)
    told: dict[str, Any] = {"kind": AlertKind.BASELINE, "severity": Severity.WARNING, "summary": "", "seen_at": at}
    for id_, resolved_at in {"old": long_ago, "open": None, "new": at}.items():
        Alert.objects.create(id=id_, cause=id_, fired_at=long_ago, resolved_at=resolved_at, **told)
    for cause, until in {"over": long_ago, "still": at}.items():
        Silence.objects.create(cause=cause, until=until, created_at=long_ago, created_by="user:anna")

    retention.prune()

    assert set(Alert.objects.values_list("pk", flat=True)) == {"open", "new"}
    assert [silence.pk for silence in Silence.objects.all()] == ["still"]
