"""Hours added up to quarters of days and to days: the same figures from fewer rows, whatever changes in between."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from observability import rollups
from observability.core.figures import Figures
from observability.models import Call, RolledDay, StaleHour, VersionHour, VersionSpan
from observability.selectors.metrics import version_metrics
from observability.selectors.over_time import HOUR, promises_lately, prompt_over_time, prompts_over_days
from tests import traces
from tests.observed import crowd, ingest

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 1, 29, tzinfo=UTC), datetime(2026, 1, 31, 15, tzinfo=UTC)
AGES_H = (0.1, 1.2, 3, 9, 13, 30, 45)  # of today, still computed and rolled up; of the night; of days before
NAME = "order-extractor"
HOURS = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def steps(step: int) -> dict[tuple[Any, ...], Figures]:
    """(start, version, label, environment) → figures."""
    return _added((part.start, part.key, part.figures) for part in read(step))


def read(step: int) -> Any:
    return prompt_over_time(prompt=NAME, since=SINCE, until=UNTIL, step=step)


def plainly(step: int) -> dict[tuple[Any, ...], Figures]:
    """The same from the figures by the hour."""
    found = version_metrics(
        since=SINCE, until=UNTIL, by=("version", "label", "environment"), interval="hour", prompt=NAME
    )
    return _added(
        (group.start.replace(hour=group.start.hour // step * step), group.key, figures) for group, figures in found
    )


def _added(parts: Iterable[tuple[datetime, Any, Figures]]) -> dict[tuple[Any, ...], Figures]:
    sums: dict[tuple[Any, ...], Figures] = {}
    for start, key, figures in parts:
        sums.setdefault((start, *key[1:5]), Figures()).add(figures)
    return sums


def _not_rolled() -> list[Call]:
    return list(Call.objects.filter(prompt_name=NAME, started_at__gte=NOW.replace(minute=0)))


def same(found: Figures, expected: Figures) -> bool:
    return (
        (found.calls, found.errors, found.cost_usd, found.priced, found.timed_tokens)
        == (expected.calls, expected.errors, expected.cost_usd, expected.priced, expected.timed_tokens)
        and (found.ttft, found.latency) == (expected.ttft, expected.latency)
        and found.scores.keys() == expected.scores.keys()
        and all(found.scores[name] == pytest.approx(sums) for name, sums in expected.scores.items())
    )


@pytest.mark.parametrize("step", [HOUR, 6, 24])
@pytest.mark.parametrize("rolled", [False, True])
def test_over_time__in_steps__as_by_the_hour(step: int, rolled: bool) -> None:
    crowd(300, ages_h=AGES_H)
    if rolled:
        rollups.roll_up()

    found, expected = steps(step), plainly(step)

    assert found.keys() == expected.keys()
    assert all(same(found[at], expected[at]) for at in expected)


def test_over_time__rolled_up__spans_that_are_over_are_read_from_their_rows() -> None:
    crowd(60, ages_h=AGES_H)
    rollups.roll_up()

    with CaptureQueriesContext(connection) as captured:
        starts = {part.start for part in read(24)}

    hours = next(query["sql"] for query in captured if 'FROM "observability_versionhour"' in query["sql"])
    assert "2026-01-31 12:00:00" in hours  # the quarter that is not over
    assert len(starts) == 3
    ends = dict(RolledDay.objects.values_list("day", "until"))
    assert max(ends.values()) == NOW.replace(hour=12, minute=0)


@pytest.mark.parametrize("changed", [False, True])
def test_lately__rolled_up__by_the_hour_only_where_it_is_asked_for(changed: bool) -> None:
    crowd(300, ages_h=AGES_H)
    rollups.roll_up()
    if changed:
        StaleHour.objects.create(hour=NOW.replace(hour=11, minute=0))

    parts = [*promises_lately(prompts=[NAME], since=SINCE, until=UNTIL, apart=[NOW - 45 * HOURS], times=())]

    lengths = {stretch.since: (stretch.until - stretch.since) // HOURS for stretch, _, _ in parts}
    hours = {start for start, *_ in plainly(1)}
    apart, whole, of_today = (
        {start for start in hours if start.date() == SINCE.date() + timedelta(days=number)} for number in range(3)
    )
    by_hour = of_today if changed else {start for start in of_today if start.hour >= 12}
    assert {start for start, length in lengths.items() if length == 1} == apart | by_hour
    assert {start for start, length in lengths.items() if length == 6} == {
        start.replace(hour=start.hour // 6 * 6) for start in whole | of_today - by_hour
    }
    assert sum(part.calls for _, _, part in parts) == sum(part.calls for part in plainly(1).values())


def test_over_time__hour_changes__seen_at_once_and_in_the_spans_after_the_next_roll_up() -> None:
    crowd(60, ages_h=AGES_H)
    rollups.roll_up()
    of_version = traces.CHAT | {"gen_ai.prompt.name": NAME, "gen_ai.prompt.version": "1.0"}
    ingest(traces.span(of_version, number=900, trace=900, age_s=30 * 3600))
    rollups.mark_stale(Call.objects.filter(span_id=traces.span_id(900)).values_list("started_at", flat=True))

    before = sum(part.figures.calls for part in read(24))
    rollups.roll_up()

    assert before == sum(figures.calls for figures in plainly(24).values())
    spans = VersionSpan.objects.filter(hours=24, prompt_name=NAME).values_list("calls", flat=True)
    hours = VersionHour.objects.filter(prompt_name=NAME, hour__lt=NOW.replace(hour=0)).values_list("calls", flat=True)
    assert sum(spans) == sum(hours)


@pytest.mark.parametrize("step", [HOUR, 6, 24])
def test_over_time__many_hours_wait_to_be_rolled_up_again__the_same_figures(step: int) -> None:
    crowd(300, ages_h=tuple(0.1 + 2 * number for number in range(30)))
    rollups.roll_up()
    expected = steps(step)
    StaleHour.objects.bulk_create(StaleHour(hour=NOW.replace(minute=0) - number * HOURS) for number in range(2, 60, 3))

    found = steps(step)

    assert found.keys() == expected.keys()
    assert all(same(found[at], expected[at]) for at in expected)


def test_roll_up__hour_is_replaced__its_day_is_not_marked_until_it_is_added_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd(60, ages_h=AGES_H)
    rollups.roll_up()
    rollups.mark_stale([NOW - timedelta(hours=30)])
    monkeypatch.setattr(rollups, "_days_to_roll", lambda: ())

    rollups.roll_up()

    assert NOW.date() - timedelta(days=1) not in set(RolledDay.objects.values_list("day", flat=True))
    assert sum(part.figures.calls for part in read(24)) == sum(figures.calls for figures in plainly(24).values())


@pytest.mark.parametrize("age_h", [9, 30])
def test_roll_up__hour_was_replaced_by_a_worker_that_knows_no_days__its_day_is_added_up_again(age_h: int) -> None:
    crowd(60, ages_h=AGES_H)
    rollups.roll_up()
    row = VersionHour.objects.filter(prompt_name=NAME, hour=(NOW - timedelta(hours=age_h)).replace(minute=0))[0]
    VersionHour.objects.filter(pk=row.pk).delete()
    row.pk, row.calls = None, row.calls + 7
    row.save()

    rollups.roll_up()

    stored = VersionHour.objects.filter(prompt_name=NAME).values_list("calls", flat=True)
    assert sum(part.figures.calls for part in read(24)) == sum(stored) + len(_not_rolled())


def test_roll_up__nothing_has_changed__no_day_is_added_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(60, ages_h=AGES_H)
    rollups.roll_up()
    again: list[date] = []
    monkeypatch.setattr(rollups, "_roll_day", again.append)

    rollups.roll_up()

    assert again == []


def test_roll_up__hour_is_replaced_while_its_day_is_added_up__left_for_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd(60, ages_h=AGES_H)
    rollups.roll_up()
    yesterday = NOW.date() - timedelta(days=1)
    RolledDay.objects.filter(day=yesterday).delete()
    columns_of = rollups.columns_of

    def replaced_meanwhile(figures: Figures) -> Any:
        monkeypatch.undo()
        row = VersionHour.objects.filter(hour__date=yesterday)[0]
        VersionHour.objects.filter(pk=row.pk).delete()
        row.pk = None
        row.save()
        return columns_of(figures)

    monkeypatch.setattr(rollups, "columns_of", replaced_meanwhile)

    rollups.roll_up()
    not_yet = RolledDay.objects.filter(day=yesterday).exists()
    rollups.roll_up()

    assert not not_yet
    assert RolledDay.objects.filter(day=yesterday).exists()


def test_over_days__some_prompts__their_calls_errors_costs_and_scores() -> None:
    calls = [call for call in crowd(300, ages_h=AGES_H) if call.prompt == "output-guard"]
    rollups.roll_up()

    parts = list(prompts_over_days(prompts=["output-guard", "nobody"], since=SINCE, until=UNTIL))

    total = Figures()
    for part in parts:
        total.add(part.figures)
    assert {part.key.prompt_name for part in parts} == {"output-guard"}
    assert total.calls == len(calls)
    assert total.errors.total() == sum(call.error for call in calls)
    assert total.cost_usd == sum(call.cost_usd for call in calls if call.cost_usd)
    assert sum(sums.n for sums in total.scores.values()) == sum(len(call.scores) for call in calls)
