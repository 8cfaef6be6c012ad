"""Calls that come late while their hour is being rolled up again."""

import threading
from concurrent.futures import TimeoutError as StillRunning
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import transaction

from observability import rollups
from observability.models import StaleHour, VersionHour
from tests import parallel, traces
from tests.observed import ingest

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
TWELVE = NOW.replace(hour=12, minute=0)

pytestmark = pytest.mark.django_db(transaction=True)


@time_machine.travel(NOW, tick=False)
def test_late_call__committed_after_the_roll_up_that_could_not_see_it__the_hour_is_rolled_up_again() -> None:
    ingest(traces.span(number=1, age_s=7200))
    rollups.roll_up()
    rollups.mark_stale([TWELVE])  # by another call, and committed
    written, may_commit = threading.Event(), threading.Event()

    def come_late() -> None:
        with transaction.atomic():
            ingest(traces.span(number=2, age_s=7200))
            rollups.mark_stale([TWELVE])
            written.set()
            assert may_commit.wait(timeout=30)

    late = parallel.start(come_late)
    assert written.wait(timeout=30)
    rolling = parallel.start(rollups.roll_up)
    with suppress(StillRunning):  # on SQLite, where one writes at a time, it waits for the late call
        rolling.result(timeout=2)
    may_commit.set()
    late.result(timeout=30)
    rolling.result(timeout=30)
    rollups.roll_up()

    assert VersionHour.objects.get().calls == 2
    assert not StaleHour.objects.exists()
