"""Alerts of the kind `objective`: from calls that come in to the notice, and back to quiet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from common.clock import now
from observability import rollups
from observability.models import Alert, AlertKind, Objective, SeriesState, Severity
from observability.services.objectives import change_objective, create_objective, delete_objective
from observability.watching import objectives, series, watch
from tests import make, traces
from tests.alerts import told, walk
from tests.observed import ingest

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        SeriesState.objects.create(pk=1, settled_until=NOW.replace(minute=0) - timedelta(hours=1))
        yield traveller


@pytest.fixture
def objective() -> Objective:
    make.prompt()
    return promised(threshold=0.05)


def promised(**fields: Any) -> Objective:
    usual = {"name": "errors", "metric": "error_rate", "comparison": "below", "threshold": 0.05}
    return create_objective(prompt_name="order-extractor", **usual | fields, actor=make.ANNA)


def calls(n: int, *, failed: int, age_min: float = 1) -> None:
    told = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "serinus.label": "production"}
    first = int(now().timestamp()) % 10**6 * 1000
    ingest(
        *(
            traces.span(
                told | ({"error.type": "timeout"} if number < failed else {}),
                number=first + number,
                trace=first + number,
                age_s=60 * age_min,
            )
            for number in range(n)
        )
    )


def check() -> None:
    rollups.roll_up()
    series.write()
    objectives.check()


def test_objective__burns_for_hours__told_again_silenced_and_resolved(objective: Objective) -> None:
    alert = walk(
        kind=AlertKind.OBJECTIVE,
        begin=lambda: calls(40, failed=36),
        check=check,
        end=lambda: calls(3000, failed=0),
    )

    assert alert.cause == "objective:order-extractor:production:errors"
    assert (alert.prompt, alert.label) == ("order-extractor", "production")


def test_objective__burns__says_how_fast_and_how_long_the_budget_lasts(objective: Objective) -> None:
    with time_machine.travel(NOW - timedelta(days=27), tick=False):
        calls(1000, failed=0)
    calls(100, failed=80)

    check()

    alert = Alert.objects.get()
    # 80 of 100 burn 5 % 16 times too fast. 80 bad calls are more than the 55 that 5 % of 1100 allow.
    assert alert.summary == (
        "order-extractor (production) burns its error budget of errors 16 times too fast: it is gone"
    )
    assert alert.severity == Severity.CRITICAL
    assert alert.data["burn_rates"][0] == {"window_s": 3600, "n": 100, "burn_rate": 16.0}
    assert alert.data["budget_left"] == 0


def test_objective__budget_lasts_a_while__says_when_it_is_gone(objective: Objective) -> None:
    with time_machine.travel(NOW - timedelta(days=27, hours=14), tick=False):
        calls(1000, failed=0)
    calls(50, failed=40)

    check()

    # 40 bad of the 52.5 that 5 % of 1050 allow: 0.238 are left of 28 days, at 16 times the rate: 10 hours.
    assert Alert.objects.get().summary.endswith("16 times too fast: gone in 10 hours")


def test_objective__three_failed_calls__wake_nobody(objective: Objective) -> None:
    calls(3, failed=3)

    check()

    assert not Alert.objects.exists()


def test_objective__inactive_or_deleted__resolved(objective: Objective) -> None:
    calls(40, failed=36)
    check()
    assert told() == ["alert.fired"]

    change_objective(objective_id=objective.pk, active=False, actor=make.ANNA)
    check()
    assert told() == ["alert.fired", "alert.resolved"]
    delete_objective(objective_id=objective.pk, actor=make.ANNA)
    check()
    assert told() == ["alert.fired", "alert.resolved"]


def test_objective__of_another_label__not_burnt(objective: Objective) -> None:
    promised(label="staging", name="errors")
    calls(40, failed=36)

    check()

    assert [alert.label for alert in Alert.objects.all()] == ["production"]


def test_objective__no_time__open_alerts_stay(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    calls(40, failed=36)
    check()
    monkeypatch.setattr(objectives, "STOP_AFTER_S", -1.0)
    calls(3000, failed=0)

    check()

    assert Alert.objects.get().resolved_at is None


def test_watch__checks_objectives(objective: Objective) -> None:
    calls(40, failed=36)
    rollups.roll_up()
    series.write()

    watch()

    assert Alert.objects.get().kind == AlertKind.OBJECTIVE
