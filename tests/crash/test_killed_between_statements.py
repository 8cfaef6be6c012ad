"""Faults 1, 4 and 35: killed between any two statements, what changes state has done all of it or nothing.

For every point of a piece of work (before each statement, before and after each commit) a process is killed that has
come so far. Until the commit all tables are then what they were, to the last column, so whoever starts again begins
where the killed one did. After it they are what an undisturbed run leaves: one transition, one event, a delivery for
each endpoint, every observation counted once. Done again then, nothing more happens.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
import time_machine
from django.db import connection

from common.errors import Conflict
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.scores import record_scores
from registry import services as registry
from registry.core.content import Content
from rollout import evaluation, services
from rollout.models import Rollout
from rollout.webhooks import services as webhooks
from rollout.webhooks.fan_out import deliver_new_events
from tests import rollouts as given
from tests import traces
from tests.crash import killed, stored
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
Work = Callable[[], object]
ACTIVE_ROLLOUT: dict[str, Any] = {"min_units": 0, "promote_when": "no_harm_found"}
HEALTH, HARM = (100, 2), (100, 90)  # calls of the canary, and of them failures, beside 1 900 of the control with 38


@dataclass(frozen=True, slots=True)
class Change:
    """begin: makes what the work changes, and answers with the work. rows: how many of a table are new afterwards."""

    begin: Callable[[time_machine.Traveller], Work]
    rows: dict[str, int]


def roll_back_by_hand(clock: time_machine.Traveller) -> Work:
    rollout = given.rollout()
    return lambda: services.rollback(rollout_id=rollout.id, actor=ANNA, reason="customers complain")


def promote_by_hand(clock: time_machine.Traveller) -> Work:
    rollout = given.rollout()
    return lambda: services.promote(rollout_id=rollout.id, actor=ANNA, reason="customers are happy")


def replace(clock: time_machine.Traveller) -> Work:
    """Once: of an action that is no longer wanted nothing is done again."""
    older = given.rollout()
    content = Content("text", "Extract the order, quite another way: {{ order_text }}")
    registry.publish_version(prompt_name=older.prompt.name, content=content, notes="another way", actor=ANNA)
    plan = given.PLAN | {"when_superseded": "replace"}

    def do() -> None:
        if Rollout.objects.count() == 1:
            services.create_rollout(prompt_name=older.prompt.name, canary="1.2", plan=plan, actor=ANNA)

    return do


def look(canary: tuple[int, int], **plan: Any) -> Callable[[time_machine.Traveller], Work]:
    def begin(clock: time_machine.Traveller) -> Work:
        rollout = given.rollout(**ACTIVE_ROLLOUT, **plan)
        for metric in ("error_rate", "hallucination"):
            given.observe(rollout, metric, control=(1_900, 38), canary=canary)
        clock.shift(11)
        return lambda: evaluation.look(rollout.id)

    return begin


def ingest(clock: time_machine.Traveller) -> Work:
    """Twelve calls of a rollout; one is the twin of a stored call, for another a score waits."""
    rollout = given.rollout()
    of_canary = traces.CHAT | {
        "gen_ai.prompt.name": rollout.prompt.name,
        "gen_ai.prompt.version": "1.1",
        "serinus.exposure": f"{rollout.id}:0:canary:7",
    }
    answered = {"gen_ai.response.id": "chatcmpl-1"}
    store(traces.span(traces.CHAT | answered, number=100, trace=100), scope="another")
    record_scores(scores=[NewScore("hallucination", 1, "judge", span_id=traces.span_id(3).hex())])
    spans = [traces.span(of_canary | (answered if n == 0 else {}), number=n, trace=n) for n in range(12)]
    return lambda: store(*spans)


def score(clock: time_machine.Traveller) -> Work:
    ingest(clock)()
    scores = [NewScore("hallucination", 0, "judge", id=f"scr-{n}", span_id=traces.span_id(n).hex()) for n in range(6)]
    return lambda: record_scores(scores=scores)


def fan_out(clock: time_machine.Traveller) -> Work:
    """Of events that registry records, which knows no webhooks."""
    given.prompt()
    return deliver_new_events


def store(*spans: Any, **options: Any) -> None:
    writer.store(decode_protobuf(traces.body(*spans, **options), WANTED).spans)


TOLD = {"rollout.Transition": 1, "registry.Event": 1, "rollout.Delivery": 2}
CHANGES = {
    "roll back by hand": Change(roll_back_by_hand, TOLD),
    "promote by hand": Change(promote_by_hand, TOLD | {"registry.LabelMove": 1}),
    "replace": Change(
        replace, {"rollout.Rollout": 1, "rollout.Transition": 2, "registry.Event": 2, "rollout.Delivery": 4}
    ),
    "look that rolls back": Change(look(HARM), TOLD | {"rollout.Verdict": 1, "rollout.Batch": 2}),
    "look that goes on": Change(look(HEALTH), TOLD | {"rollout.Verdict": 1, "rollout.Batch": 2}),
    "look that promotes": Change(
        look(HEALTH, steps=[{"weight": "5%", "hold": "10s"}]),
        TOLD | {"rollout.Verdict": 1, "rollout.Batch": 2, "registry.LabelMove": 1},
    ),
    "batch of calls": Change(
        ingest, {"observability.Span": 12, "observability.Call": 11, "observability.OtherSpan": 1}
    ),
    "scores of calls": Change(score, {"observability.Score": 6}),
    "fan-out": Change(fan_out, {"rollout.Delivery": 6}),
}

# On SQLite one transaction is like another: it is one file's, and there is one writer.
KILLED = CHANGES if connection.vendor == "postgresql" else ("roll back by hand", "batch of calls", "fan-out")


@pytest.mark.parametrize("name", KILLED)
def test_change__killed_between_any_two_statements__wholly_or_not_at_all(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    change = CHANGES[name]
    with time_machine.travel(START, tick=False) as clock:
        for path in "ab":
            webhooks.create_endpoint(url=f"https://example.com/{path}", actor=ANNA)
        work = stored.without_chance(change.begin(clock))
        before = stored.everything()
        expected = stored.after_undisturbed(work)
        assert {label: len(expected[label]) - len(before[label]) for label in change.rows} == change.rows

        for point in count(1):
            assert killed.run_to(point, work), "it ended without having been seen between commit and end"
            if stored.everything() != before:
                break

        assert stored.essence() == expected
        with stored.nothing_changes(), suppress(Conflict):
            work()
        record_property(f"points of {name}", point)
