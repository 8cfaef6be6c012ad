"""Baseline alerts: fired for what has left its rolling seven days, with what lines up, and resolved when it is back."""

import itertools
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.clock import now
from observability.models import Alert, AlertKind, MetricBucket
from observability.watching import baselines as watching
from tests import alerts, baselines, make
from tests.baselines import DAY, HOUR, LABEL, NAME

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    make.prompt()
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def opened() -> list[str]:
    return sorted(Alert.objects.filter(resolved_at=None).values_list("cause", flat=True))


def test_walk() -> None:
    baselines.days(0.94)

    alert = alerts.walk(
        kind=AlertKind.BASELINE,
        begin=lambda: baselines.span(0.87, now() - 2 * HOUR, now()),
        check=watching.check,
        end=lambda: baselines.span(0.94, now() - 5 * HOUR, now()),
    )

    assert alert.cause == "baseline:order-extractor:production:faithfulness"


def test_check__drop_of_a_score__tells_levels_threshold_and_since_when() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)

    watching.check()

    alert = Alert.objects.get()
    assert alert.summary == "faithfulness of order-extractor (production) fell from 0.94 to 0.87"
    assert (alert.prompt, alert.label) == (NAME, LABEL)
    assert alert.data["now"] == pytest.approx(0.87)
    assert alert.data["baseline"] == pytest.approx(0.94)
    assert 0.87 < alert.data["threshold"] < 0.94
    assert alert.data["since"] == "2026-01-31T12:30:00Z"
    assert alert.data["n"] == 25 * baselines.PER_BUCKET


@pytest.mark.parametrize("level", [0.94, 0.935, 0.99])
def test_check__within_the_threshold_or_better__nothing(level: float) -> None:
    baselines.days(0.94)
    baselines.span(level, NOW - 5 * HOUR, NOW)

    watching.check()

    assert opened() == []


def test_check__less_than_three_days_of_history__nothing() -> None:
    baselines.days(0.94, n=3)  # of which the last one is compared
    baselines.span(0.5, NOW - 2 * HOUR, NOW)

    watching.check()

    assert opened() == []


def test_check__prompt_that_does_not_exist__nothing() -> None:
    baselines.days(0.94)
    baselines.span(0.5, NOW - 2 * HOUR, NOW)
    MetricBucket.objects.update(prompt_name="unknown")

    watching.check()

    assert opened() == []


def test_check__label_that_is_none__keeps_nobody_from_watching() -> None:
    baselines.days(0.94)
    baselines.span(0.5, NOW - 2 * HOUR, NOW)
    MetricBucket.objects.update(label="x" * 200)
    baselines.days(0.94, metric="relevance")
    baselines.span(0.5, NOW - 2 * HOUR, NOW, metric="relevance")

    watching.check()

    assert opened() == ["baseline:order-extractor:production:relevance"]


def test_check__whatever_alerts_there_were__found_by_their_prompt() -> None:
    baselines.days(0.94)

    with CaptureQueriesContext(connection) as asked:
        watching.check()

    (query,) = [query["sql"] for query in asked if "observability_alert" in query["sql"] and "fired_at" in query["sql"]]
    assert "LIKE" not in query
    assert '"prompt" = ' in query


def test_check__half_way_back__still_fires(clock: time_machine.Traveller) -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    watching.check()
    clock.move_to(NOW + 2 * HOUR)
    baselines.span(0.92, NOW, now())

    watching.check()

    assert len(opened()) == 1


@pytest.mark.parametrize(("minutes", "is_open"), [(70, True), (180, False)])
def test_check__back_for_as_long_as_is_set__resolved_then(
    clock: time_machine.Traveller, settings: Any, minutes: int, is_open: bool
) -> None:
    settings.ALERT_RESOLVE_AFTER = timedelta(minutes=90)
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    watching.check()
    clock.move_to(NOW + timedelta(minutes=minutes))
    baselines.span(0.95, NOW - timedelta(minutes=2), now())

    watching.check()

    assert bool(opened()) is is_open


def test_check__a_day_without_observations__resolved(clock: time_machine.Traveller) -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    watching.check()
    clock.move_to(NOW + DAY + HOUR)

    watching.check()

    assert opened() == []


def test_check__another_model_answers_since__is_named() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    baselines.traffic(NOW - DAY, NOW - 2 * HOUR, model="gpt-4o-2024-08-06", score=0.94)
    baselines.traffic(NOW - 2 * HOUR, NOW, model="gpt-4o-2024-11-20", score=0.87)

    watching.check()

    cause = Alert.objects.get().data["causes"][0]
    assert cause["text"] == "gpt-4o-2024-11-20 took over from gpt-4o-2024-08-06 at 12:30: lines up"
    assert (cause["kind"], cause["share_before"], cause["share_after"]) == ("model", 0.0, 1.0)


def test_check__version_that_began_with_it__is_named_before_the_publishing() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    baselines.traffic(NOW - DAY, NOW - 2 * HOUR, model="m", score=0.94)
    baselines.traffic(NOW - 2 * HOUR, NOW, model="m", score=0.87, version="1.1")
    with time_machine.travel(NOW - 2 * HOUR, tick=False):
        make.version(make.prompt("other"))  # of another prompt

    watching.check()

    (cause,) = Alert.objects.get().data["causes"]
    assert cause["text"] == "1.1 took over from 1.0 at 12:30: lines up"


def test_check__nothing_changed__says_so() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    baselines.traffic(NOW - DAY, NOW, model="m", score=0.9)

    watching.check()

    (cause,) = Alert.objects.get().data["causes"]
    assert cause["text"].startswith("nothing lines up")


def test_check__model_that_changed_hours_before__does_not_line_up() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    baselines.traffic(NOW - DAY, NOW - 8 * HOUR, model="old", score=0.94)
    baselines.traffic(NOW - 8 * HOUR, NOW, model="new", score=0.9)

    watching.check()

    assert [cause["kind"] for cause in Alert.objects.get().data["causes"]] == ["nothing"]


def test_check__resolved_a_moment_ago__what_was_before_does_not_fire_again(clock: time_machine.Traveller) -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    watching.check()
    clock.move_to(NOW + timedelta(hours=3))
    baselines.span(0.94, NOW, now())
    watching.check()
    assert opened() == []

    watching.check()

    assert opened() == []


def test_check__time_for_a_third__nobody_waits_long(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = [(f"prompt-{number}", LABEL) for number in range(60)]
    monkeypatch.setattr(watching, "pairs", lambda _: everybody)
    monkeypatch.setattr(watching, "Prompt", SimpleNamespace(objects=SimpleNamespace(values_list=names_of(everybody))))
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=itertools.count().__next__))
    monkeypatch.setattr(watching, "MOST_SECONDS", 20)
    looked_at: dict[str, list[int]] = defaultdict(list)
    monkeypatch.setattr(watching, "watched", lambda pair, _: looked_at[pair[0]].append(minute) or [])

    for minute in range(120):
        clock.move_to(NOW + timedelta(minutes=minute))
        watching.check()

    assert len(looked_at) == 60
    assert max(after - before for minutes in looked_at.values() for before, after in pairwise([0, *minutes, 119])) < 30


def names_of(pairs: list[tuple[str, str]]) -> Any:
    return lambda *_, **__: [prompt for prompt, _ in pairs]


def test_check__no_time_for_it__its_alert_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    watching.check()
    monkeypatch.setattr(watching, "MOST_SECONDS", -1)

    watching.check()

    assert len(opened()) == 1
