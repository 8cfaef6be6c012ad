"""Roll-ups: an hour computed once, again when something of it changed, and never from calls that are gone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils.module_loading import import_string
from django_q.models import Schedule

from observability import rollups
from observability.core.scores import NewScore
from observability.models import Call, ExposureHour, RollUpState, SpendHour, StaleHour, VersionHour
from observability.selectors import hours
from observability.selectors.metrics import version_metrics
from observability.services.scores import record_scores
from tests import parallel, traces
from tests.observed import ingest

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
TWELVE = NOW.replace(hour=12, minute=0)  # two hours that are over, with calls at 12:30 and 13:30
AGES_S = {12: 7200, 13: 3600}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def call(number: int, hour: int = 12) -> None:
    """A call that started in the hour, at half past or a moment before."""
    ingest(traces.span(number=number, trace=number, age_s=AGES_S[hour]))


def stored() -> dict[int, int]:
    """Hour → calls in its roll-up."""
    return {row.hour.hour: row.calls for row in VersionHour.objects.order_by("hour")}


def read() -> int:
    """How many calls the metrics tell of."""
    since, until = NOW - timedelta(days=3), TWELVE + 3 * HOUR
    return sum(f.calls for _, f in version_metrics(since=since, until=until, by=(), interval="total"))


def test_schedule__rolls_up() -> None:
    scheduled = Schedule.objects.get(name="roll up hours")

    assert import_string(scheduled.func) is rollups.roll_up
    assert (scheduled.schedule_type, scheduled.minutes) == (Schedule.MINUTES, 1)


def test_roll_up__hours_that_are_over__once_each() -> None:
    call(1), call(2), call(3, 13)

    assert rollups.roll_up() == 2
    assert rollups.roll_up() == 0

    assert stored() == {12: 2, 13: 1}
    assert RollUpState.objects.get().rolled_until == TWELVE + 2 * HOUR


def test_roll_up__hour_just_over__waits_until_it_is_settled(clock: time_machine.Traveller) -> None:
    call(1, 13)
    clock.move_to(TWELVE + 2 * HOUR + timedelta(minutes=9, seconds=59))
    rollups.roll_up()
    assert stored() == {}

    clock.move_to(TWELVE + 2 * HOUR + timedelta(minutes=10))
    rollups.roll_up()

    assert stored() == {13: 1}


def test_roll_up__years_between_two_calls__does_not_walk_through_them() -> None:
    call(1)
    Call.objects.update(started_at=datetime(1970, 1, 1, tzinfo=UTC))
    call(2)

    assert rollups.roll_up() == 2


def test_roll_up__time_is_up__goes_on_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    call(1), call(2, 13)
    monkeypatch.setattr(rollups, "MOST_SECONDS", -1.0)
    assert rollups.roll_up() == 0
    monkeypatch.undo()

    assert rollups.roll_up() == 2


def test_late_call__marked__read_at_once_and_rolled_up_again() -> None:
    call(1), call(2, 13)
    rollups.roll_up()

    call(3)
    rollups.mark_stale(Call.objects.values_list("started_at", flat=True).filter(span_id=traces.span_id(3)))

    assert StaleHour.objects.filter(hour=TWELVE).exists()
    assert read() == 3
    assert stored() == {12: 1, 13: 1}
    assert rollups.roll_up() == 1
    assert stored() == {12: 2, 13: 1}
    assert not StaleHour.objects.exists()
    assert read() == 3


def test_late_score__marked__in_the_roll_up() -> None:
    call(1)
    rollups.roll_up()

    record_scores(scores=[NewScore(name="tone", value=0.5, source="judge", span_id=traces.span_id(1).hex())])
    rollups.mark_stale([TWELVE])
    rollups.roll_up()

    assert VersionHour.objects.get().scores == {"tone": {"judge": [1, 0.5, 0.25]}}


@pytest.mark.parametrize("value", [5e-324, 1e-200])
def test_score_whose_square_no_float_can_hold__in_the_roll_up(value: float) -> None:
    call(1)
    record_scores(scores=[NewScore(name="tone", value=value, source="judge", span_id=traces.span_id(1).hex())])

    rollups.roll_up()

    assert VersionHour.objects.get().scores == {"tone": {"judge": [1, value, 0.0]}}
    assert read() == 1


def test_call_that_is_gone__merged_into_another__leaves_the_roll_up() -> None:
    call(1)
    rollups.roll_up()

    Call.objects.all().delete()
    rollups.mark_stale([TWELVE])
    rollups.roll_up()

    assert not VersionHour.objects.exists()
    assert not SpendHour.objects.exists()


@pytest.mark.parametrize(
    ("age", "marks"), [(timedelta(0), 0), (timedelta(hours=1), 1), (timedelta(hours=-1), 0), (timedelta(days=9), 1)]
)
def test_mark_stale__only_what_may_have_been_rolled_up(age: timedelta, marks: int) -> None:
    rollups.mark_stale([NOW - age, NOW - age])

    assert StaleHour.objects.count() == marks


def test_mark_stale__hour_just_over__before_it_can_be_rolled_up(clock: time_machine.Traveller) -> None:
    clock.move_to(TWELVE + HOUR + timedelta(minutes=4))
    rollups.mark_stale([TWELVE])
    assert not StaleHour.objects.exists()

    clock.move_to(TWELVE + HOUR + timedelta(minutes=5))
    rollups.mark_stale([TWELVE])

    assert StaleHour.objects.count() == 1


def changed_while_computing(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """The change happens when the next roll-up has read its calls and before it writes."""
    compute = hours.exposed

    def exposed(hour: datetime) -> Any:
        monkeypatch.undo()
        found = compute(hour)
        change()
        return found

    monkeypatch.setattr(hours, "exposed", exposed)


def test_change_while_an_hour_is_computed__its_mark_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    call(1)
    rollups.roll_up()
    rollups.mark_stale([TWELVE])
    changed_while_computing(monkeypatch, lambda: (call(2), rollups.mark_stale([TWELVE])))

    rollups.roll_up()

    assert stored() == {12: 1}
    assert read() == 2
    rollups.roll_up()
    assert stored() == {12: 2}


@pytest.mark.parametrize("again", [False, True])
def test_two_workers__same_hour__the_first_to_finish_is_believed(monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    call(1)
    if again:
        rollups.roll_up()
        rollups.mark_stale([TWELVE])

    def other_worker() -> None:
        call(2)  # seen by the other worker alone
        rollups.roll_up()

    changed_while_computing(monkeypatch, other_worker)

    rollups.roll_up()

    assert stored() == {12: 2}
    assert not StaleHour.objects.exists()


def test_seal__only_hours_that_are_rolled_up() -> None:
    call(1), call(2, 13)
    assert rollups.seal(NOW) == rollups.NEVER

    rollups.roll_up()

    assert rollups.seal(NOW) == TWELVE + 2 * HOUR


def test_seal__an_hour_waits_to_be_rolled_up_again__until_that_one() -> None:
    call(1), call(2, 13)
    rollups.roll_up()
    rollups.mark_stale([TWELVE + HOUR])

    assert rollups.seal(NOW) == TWELVE + HOUR


def test_seal__goes_back_never() -> None:
    call(1)
    rollups.roll_up()
    rollups.seal(TWELVE + HOUR)

    assert rollups.seal(TWELVE - 9 * HOUR) == TWELVE + HOUR


def test_sealed_hour__calls_deleted_and_marked__keeps_its_roll_up() -> None:
    call(1), call(2, 13)
    rollups.roll_up()
    rollups.seal(TWELVE + HOUR)
    Call.objects.filter(started_at__lt=TWELVE + HOUR).delete()

    rollups.mark_stale([TWELVE])

    assert read() == 2
    assert rollups.roll_up() == 0
    assert stored() == {12: 1, 13: 1}
    assert not StaleHour.objects.exists()


def test_sealed_while_an_hour_is_computed__keeps_its_roll_up(monkeypatch: pytest.MonkeyPatch) -> None:
    call(1)
    rollups.roll_up()
    Call.objects.all().delete()
    rollups.mark_stale([TWELVE])
    changed_while_computing(
        monkeypatch, lambda: RollUpState.objects.update(sealed_until=TWELVE + HOUR, rolled_until=TWELVE + 2 * HOUR)
    )

    rollups.roll_up()

    assert stored() == {12: 1}


def test_exposures__by_arm_and_version__with_what_was_scored() -> None:
    exposed = traces.CHAT | {"serinus.exposure": "rol_1:0:canary:7"}
    ingest(*(traces.span(exposed, number=n, age_s=7200) for n in range(3)), traces.span(number=3, age_s=7200))
    record_scores(
        scores=[
            NewScore(name="tone", value=1, source="judge", span_id=traces.span_id(n).hex(), id=f"{n}-{again}")
            for n in (0, 1, 3)
            for again in range(2)
        ]
    )

    rollups.roll_up()

    row = ExposureHour.objects.get()
    assert (row.rollout, row.arm, row.version_id, row.calls, row.scored) == ("rol_1", "canary", None, 3, {"tone": 2})


@pytest.mark.django_db(transaction=True)
def test_roll_up__two_workers_at_once__every_hour_once() -> None:
    for number in range(4):
        call(number, 12 + number % 2)

    parallel.at_once(rollups.roll_up, rollups.roll_up)

    assert stored() == {12: 2, 13: 2}
    assert SpendHour.objects.filter(dimension="user").count() == 2
