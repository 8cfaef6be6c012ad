"""The series: five minutes of calls computed from them, again while they are new, and again when something changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django_q.models import Schedule

from observability import retention
from observability.core.evidence import COST_PER_CALL, SMALLEST, log_bin
from observability.core.figures import Figures
from observability.core.scores import NewScore
from observability.core.times import BUCKET, bucket_of
from observability.models import Call, FiguresBucket, RollUpState, Score, SeriesState, StaleBucket
from observability.selectors.hours import Stretch, version_figures
from observability.selectors.series import buckets, sums
from observability.services.scores import record_scores
from observability.watching import series
from tests import traces
from tests.observed import crowd, ingest

NOW = datetime(2026, 1, 31, 14, 33, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
NAME = "order-extractor"
SINCE = NOW - timedelta(days=8)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def call(number: int, *, age_min: float, **attributes: Any) -> None:
    told = traces.CHAT | {"gen_ai.prompt.name": NAME, **attributes}
    ingest(traces.span(told, number=number, trace=number, ms=1000, age_s=60 * age_min - 1))


def score(number: int, value: float = 1.0) -> None:
    record_scores(scores=[NewScore(name="tone", value=value, source="judge", span_id=traces.span_id(number).hex())])


def read() -> dict[str, int]:
    """HH:MM → calls."""
    found: dict[str, int] = {}
    for row in buckets(NAME, SINCE, NOW):
        found[f"{row.starts_at:%H:%M}"] = found.get(f"{row.starts_at:%H:%M}", 0) + row.calls
    return found


def test_schedule__written_by_the_watch_alone() -> None:
    assert not Schedule.objects.filter(name="write the series").exists()


def test_write__calls_of_all_kinds__the_same_figures_as_by_the_hour() -> None:
    crowd(300, ages_h=(0.05, 0.3, 1.2, 5, 30))

    series.write()

    since, until = datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 1, 31, 15, tzinfo=UTC)
    plain: dict[Any, Figures] = {}
    for (start, key), figures in version_figures(Stretch(since, until)).items():
        plain.setdefault((start.hour, start.day, *key[:5]), Figures()).add(figures)
    of_series: dict[Any, Figures] = {}
    for row in FiguresBucket.objects.all():
        key = (row.prompt_name, row.version_id, row.version_text, row.label, row.environment)
        of_series.setdefault((row.starts_at.hour, row.starts_at.day, *key), Figures()).add(row.figures)
    assert of_series.keys() == plain.keys()
    for key, figures in plain.items():
        found = of_series[key]
        assert (found.calls, found.errors, found.cost_usd) == (figures.calls, figures.errors, figures.cost_usd)
        assert (found.latency, found.ttft) == (figures.latency, figures.ttft)
        assert found.timed_ms == pytest.approx(figures.timed_ms)
        assert found.scores.keys() == figures.scores.keys()
        for name, sums_ in figures.scores.items():
            assert found.scores[name] == pytest.approx(sums_)


def test_write__models_providers_and_arms__rows_of_their_own() -> None:
    exposed = {"serinus.exposure": "rol_1:0:canary:7"}
    call(1, age_min=8, **{"gen_ai.request.model": "a", "gen_ai.response.model": "a-2"})
    call(2, age_min=8, **{"gen_ai.request.model": "a", "gen_ai.provider.name": "openai"})
    call(3, age_min=9, **exposed)
    call(4, age_min=9, **exposed)

    series.write()

    rows = {(row.model, row.provider, row.is_canary): row.calls for row in buckets(NAME, SINCE, NOW)}
    assert rows == {("a-2", None, False): 1, ("a", "openai", False): 1, (None, None, True): 2}
    starts = {row.starts_at for row in buckets(NAME, SINCE, NOW)}
    assert starts == {bucket_of(NOW - 8 * MINUTES), bucket_of(NOW - 9 * MINUTES)}


def test_write__costs_and_checked_outputs__counted() -> None:
    call(1, age_min=8, **{"gen_ai.usage.cost": 0.25, "gen_ai.usage.input_tokens": 5})
    call(2, age_min=8)
    Call.objects.filter(span_id=traces.span_id(1)).update(output_valid=True)
    Call.objects.filter(span_id=traces.span_id(2)).update(output_valid=False)

    series.write()

    (row,) = buckets(NAME, SINCE, NOW)
    assert row.cost == [[log_bin(0.25, SMALLEST[COST_PER_CALL])], [1]]
    assert (row.checked, row.valid) == (2, 1)


def test_write__scores_of_calls_chosen_because_they_failed__are_not_in_it() -> None:
    call(1, age_min=8), call(2, age_min=8)
    score(1, 0.5), score(2, 0.0)
    Score.objects.filter(value=0.0).update(by_design=False)

    series.write()

    (row,) = buckets(NAME, SINCE, NOW)
    assert row.scores == {"tone": {"judge": [1, 0.5, 0.25]}}


def test_write__again__nothing_twice() -> None:
    call(1, age_min=3), call(2, age_min=200)

    series.write()
    series.write()

    assert read() == {"14:30": 1, "11:10": 1}


def test_write__call_that_comes_within_the_half_hour__is_computed_again_without_a_mark() -> None:
    call(1, age_min=15)
    series.write()

    call(2, age_min=15)

    assert not StaleBucket.objects.exists()
    series.write()
    assert read() == {"14:15": 2}


@pytest.mark.parametrize("comes_late", [lambda: call(2, age_min=170), lambda: score(1)])
def test_write__late_call_or_score__its_bucket_is_computed_again(comes_late: Any) -> None:
    call(1, age_min=170)
    series.write()
    assert SeriesState.objects.get().settled_until == bucket_of(NOW - 30 * MINUTES)

    comes_late()

    assert list(StaleBucket.objects.values_list("starts_at", flat=True)) == [bucket_of(NOW - 170 * MINUTES)]
    assert series.write() == 7 + 1  # of the last half hour, and the marked one
    assert not StaleBucket.objects.exists()
    rows = buckets(NAME, SINCE, NOW)
    assert sum(row.calls + len(row.scores) for row in rows) == 2


def test_write__time_is_up__the_newest_half_hour_first(monkeypatch: pytest.MonkeyPatch) -> None:
    call(1, age_min=3), call(2, age_min=200), call(3, age_min=24 * 60)
    monkeypatch.setattr(series, "MOST_SECONDS", -1.0)
    series.write()
    assert read() == {"14:30": 1}
    monkeypatch.undo()

    series.write()

    assert read() == {"14:30": 2, "11:10": 1}  # of two days


def test_write__another_worker_was_faster__its_rows_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    call(1, age_min=3)
    computed, others_turn = series.computed, [True]

    def overtaken(since: datetime, until: datetime) -> Any:
        rows = computed(since, until)
        if others_turn:
            others_turn.clear()
            call(2, age_min=3)
            series.write()
        return rows

    series.write()
    monkeypatch.setattr(series, "computed", overtaken)

    assert series.write() == 0
    assert read() == {"14:30": 2}


def test_write__calls_that_may_be_gone__their_buckets_stay() -> None:
    call(1, age_min=170)
    series.write()
    RollUpState.objects.create(pk=1, rolled_until=NOW - 60 * MINUTES, sealed_until=NOW - 60 * MINUTES)
    StaleBucket.objects.create(starts_at=bucket_of(NOW - 170 * MINUTES))
    Call.objects.all().delete()

    series.write()

    assert read() == {"11:40": 1}
    assert not StaleBucket.objects.exists()


def test_prune__buckets_older_than_eight_days__are_gone(clock: time_machine.Traveller) -> None:
    call(1, age_min=3)
    series.write()
    clock.move_to(NOW + timedelta(days=8, minutes=10))

    retention.prune()

    assert not FiguresBucket.objects.exists()


def test_sums__by_any_field__the_rows_together() -> None:
    call(1, age_min=3, **{"gen_ai.request.model": "a"}), call(2, age_min=8, **{"gen_ai.request.model": "a"})
    call(3, age_min=8, **{"gen_ai.request.model": "b"})
    series.write()

    found = sums(buckets(NAME, SINCE, NOW), ["model"])

    assert {model: figures.calls for (model,), figures in found.items()} == {"a": 2, "b": 1}


def test_buckets__until__is_not_in_it() -> None:
    call(1, age_min=3)
    series.write()
    start = bucket_of(NOW - 3 * MINUTES)

    assert len(buckets(NAME, start, start + BUCKET)) == 1
    assert buckets(NAME, start - BUCKET, start) == []
