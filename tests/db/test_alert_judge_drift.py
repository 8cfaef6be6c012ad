"""Judge drift: the judge has changed, and not the prompt."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from common.clock import now
from observability.models import Alert, AlertKind
from observability.watching import baselines as watching
from tests import alerts, baselines, make
from tests.baselines import DAY, HOUR

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)
DRIFT = "judge_drift:order-extractor:production:faithfulness"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    make.prompt()
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def causes() -> set[str]:
    return set(Alert.objects.filter(resolved_at=None).values_list("cause", flat=True))


def changed() -> None:
    baselines.judged(now() - DAY, now() - 2 * HOUR, model="judge-1")
    baselines.judged(now() - 2 * HOUR, now(), model="judge-2")


def test_walk() -> None:
    baselines.days(0.94)

    alert = alerts.walk(
        kind=AlertKind.JUDGE_DRIFT,
        begin=changed,
        check=watching.check,
        end=lambda: baselines.judged(now() - DAY, now(), model="judge-2"),
    )

    assert alert.cause == DRIFT


def test_check__model_of_the_judge_changed__names_it_and_its_evaluator() -> None:
    baselines.days(0.94)
    changed()

    watching.check()

    alert = Alert.objects.get()
    assert alert.kind == AlertKind.JUDGE_DRIFT
    assert alert.summary == (
        "The judge of faithfulness of order-extractor (production) has changed: "
        "judge-2 took over from judge-1 at 12:30: lines up"
    )
    assert alert.data["evaluator"] == "faithfulness@3"
    assert alert.data["judge_models"] == ["judge-1", "judge-2"]
    assert "verdict is not touched" in alert.data["note"]


def test_check__scores_left_their_baseline_and_nothing_of_the_prompt_changed__both_are_told() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    baselines.traffic(NOW - DAY, NOW, model="m", score=0.9)
    baselines.judged(NOW - DAY, NOW, model="judge-1")

    watching.check()

    assert causes() == {DRIFT, "baseline:order-extractor:production:faithfulness"}
    drift = Alert.objects.get(cause=DRIFT)
    assert drift.summary == (
        "Scores of faithfulness@3 for order-extractor (production) left their baseline "
        "while nothing of the prompt changed"
    )


def test_check__scores_left_their_baseline_with_a_new_model__is_no_drift_of_the_judge() -> None:
    baselines.days(0.94)
    baselines.span(0.87, NOW - 2 * HOUR, NOW)
    baselines.traffic(NOW - DAY, NOW - 2 * HOUR, model="old", score=0.94)
    baselines.traffic(NOW - 2 * HOUR, NOW, model="new", score=0.87)
    baselines.judged(NOW - DAY, NOW, model="judge-1")

    watching.check()

    assert causes() == {"baseline:order-extractor:production:faithfulness"}


def test_check__same_judge__nothing() -> None:
    baselines.days(0.94)
    baselines.judged(NOW - DAY, NOW, model="judge-1")

    watching.check()

    assert causes() == set()


def test_check__a_prompt_without_calls_for_a_day__resolved() -> None:
    baselines.days(0.94)
    changed()
    watching.check()
    before = causes()

    with time_machine.travel(NOW + DAY + HOUR, tick=False):
        watching.check()

    assert (before, causes()) == ({DRIFT}, set())
