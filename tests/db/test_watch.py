"""The watch: every check has its turn, whatever becomes of the others, and one watches at a time."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils.module_loading import import_string
from django_q.models import Schedule

from common.clock import now
from observability import watching
from observability.models import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the checks that had their turn; the first of three fails."""
    found: list[str] = []

    def check(name: str, fails: bool = False) -> Any:
        def run() -> None:
            found.append(name)
            if fails:
                raise ValueError(name)

        run.__module__ = f"observability.watching.{name}"
        return run

    monkeypatch.setattr(watching, "CHECKS", (check("first", fails=True), check("second"), check("third")))
    return found


def test_schedule__watches_each_minute() -> None:
    scheduled = Schedule.objects.get(name="watch")

    assert import_string(scheduled.func) is watching.write_and_watch
    assert (scheduled.schedule_type, scheduled.minutes) == (Schedule.MINUTES, 1)


def test_write_and_watch__the_series_come_first(turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching.series, "write", lambda: turns.append("series"))

    watching.write_and_watch()

    assert turns == ["series", "first", "second", "third"]


def test_write_and_watch__series_fail__what_does_not_need_them_is_watched(
    turns: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError

    monkeypatch.setattr(watching.series, "write", fail)

    watching.write_and_watch()

    assert turns == ["first", "second", "third"]
    assert "watch.series_failed" in [record.getMessage() for record in caplog.records]


def test_watch__check_that_fails__is_logged_and_the_others_have_their_turn(
    turns: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    done = watching.watch()

    assert done == 3
    assert turns == ["first", "second", "third"]
    (logged,) = [record for record in caplog.records if record.getMessage() == "watch.check_failed"]
    assert logged.__dict__["check"] == "first"
    assert logged.exc_info


def test_watch__somebody_watches__does_nothing(turns: list[str]) -> None:
    Watch.objects.create(pk=1, leased_until=now() + timedelta(seconds=30))

    assert watching.watch() == 0
    assert turns == []


def test_watch__whose_watcher_died__goes_on_after_the_lease(turns: list[str]) -> None:
    Watch.objects.create(pk=1, leased_until=now() - timedelta(seconds=1))

    assert watching.watch() == 3
    assert Watch.objects.get().leased_until is None


def test_watch__time_is_up__the_next_begins_with_what_had_to_wait(
    turns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.time, "monotonic", lambda: 100.0 * len(turns))  # each check takes so long
    watching.watch()
    assert turns == ["first"]

    watching.watch()

    assert turns == ["first", "second"]
