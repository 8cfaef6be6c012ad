"""Faults 1 and 4: killed after any of its commits and started again, the evaluator leaves all as if undisturbed.

Exactly one transition, one event and one webhook id for each change; every observation in exactly one batch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
import time_machine
from django.db.models import QuerySet, Sum

from observability.core.dialects import WANTED
from observability.core.evidence import BinKey, UnitKey
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.models import Evidence, Score, UnitBucket
from observability.services.scores import record_scores
from registry import services as registry
from registry.models import Event, Label
from rollout import services
from rollout.management.commands import run_evaluator
from rollout.models import ACTIVE, Batch, Delivery, Metric, Rollout, Transition, Verdict
from rollout.webhooks import services as webhooks
from tests import rollouts as given
from tests import traces
from tests.crash import killed
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOLD_S = 10  # of given.PLAN
NUMBERS = count(1)


class OneTick:
    """Instead of the event that stops the evaluator: it does each of its works once."""

    def __init__(self) -> None:
        self.ticks = 0

    def wait(self, timeout: float) -> bool:
        self.ticks += 1
        return self.ticks > 1


def tick() -> None:
    run_evaluator.run(OneTick())  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Story:
    """A rollout that goes to its second step and there comes to its ending.

    Meanwhile a score arrives at the same moment as its call, and registry records events, so that every work of the
    evaluator has something to do.
    """

    number: int
    rollout: Rollout
    clock: time_machine.Traveller
    ending: str

    def first_part(self) -> None:
        self._observe(failed=40)
        self._record_score_while_its_call_arrives()
        self.clock.shift(HOLD_S + 1)

    def second_part(self) -> None:
        self.rollout.refresh_from_db()
        self._observe(failed=1_000 if self.ending == "rolled_back" else 40)
        if self.ending == "evaluation_failed":
            Rollout.objects.filter(pk=self.rollout.pk).update(plan={**self.rollout.plan, "alpha": "five percent"})
        registry.move_label(
            prompt_name=self.rollout.prompt.name, label="staging", version="1.1", reason="to try it", actor=ANNA
        )
        self.clock.shift(HOLD_S + 1)

    def _observe(self, *, failed: int) -> None:
        """2 000 calls of the canary, and of the control, of which 2 % fail, as many as belong to the step's weight."""
        calls = {0: 38_000, 1: 2_000}[self.rollout.step]
        for metric in ("error_rate", "hallucination"):
            given.observe_many(self.rollout, metric, control=(calls, calls // 50), canary=(2_000, failed))

    def _record_score_while_its_call_arrives(self) -> None:
        record_scores(scores=[NewScore("hallucination", 1, "judge", span_id=traces.span_id(self.number).hex())])
        stamp = {
            "gen_ai.prompt.name": self.rollout.prompt.name,
            "gen_ai.prompt.version": self.rollout.canary.number,
            "serinus.exposure": f"{self.rollout.id}:0:canary:7",
        }
        span = traces.span(traces.CHAT | stamp, number=self.number, trace=self.number)
        with pytest.MonkeyPatch.context() as patch:  # the call's transaction could not see the score
            patch.setattr("observability.services.scores.join_scores_to", lambda calls: [])
            writer.store(decode_protobuf(traces.body(span), WANTED).spans)

    def picture(self) -> str:
        """All that is stored of it, without what differs between two that are the same: ids and numbers of rows."""
        rollout, prompt = self.rollout.pk, self.rollout.prompt.name
        span_id, trace_id = traces.span_id(self.number).hex(), traces.trace_id(self.number).hex()
        bins = Evidence.objects.filter(rollout=rollout).values(*BinKey._fields).annotate(Sum("n"))
        buckets = UnitBucket.objects.filter(rollout=rollout).values(*UnitKey._fields).annotate(Sum("n"), Sum("total"))
        shown = [
            *rows(Rollout.objects.filter(pk=rollout).values(), without=("salt", "verdict_id")),
            *rows(Transition.objects.filter(rollout=rollout).order_by("revision").values(), without=("verdict_id",)),
            *rows(Metric.objects.filter(rollout=rollout).values()),
            *rows(Batch.objects.filter(metric__rollout=rollout).values()),
            *rows(Verdict.objects.filter(rollout=rollout).order_by("pk").values()),
            *rows(Event.objects.filter(prompt=prompt).order_by("sequence").values(), without=("sequence",)),
            *rows(Delivery.objects.filter(event__prompt=prompt).order_by("event").values(), without=("event_id",)),
            *rows(bins.order_by(*BinKey._fields)),
            *rows(buckets.order_by(*UnitKey._fields)),
            *rows(Score.objects.filter(target__endswith=span_id).values(), without=("call_id",)),
            *rows(Label.objects.filter(prompt__name=prompt).order_by("name").values()),
        ]
        text = re.sub(r'"sequence":\d+', "", "\n".join(shown))
        for name in (rollout, prompt, span_id, trace_id):
            text = text.replace(name, "<its own>")
        return text


NUMBERS_OF_ROWS = {
    *("id", "key", "prompt_id", "label_id", "control_id", "canary_id", "version_id", "metric_id", "endpoint_id"),
}


def rows(of: QuerySet[Any, dict[str, Any]], without: Sequence[str] = ()) -> list[str]:
    left_out = NUMBERS_OF_ROWS.union(without)
    return [
        f"{of.model.__name__} {[(name, value) for name, value in row.items() if name not in left_out]}" for row in of
    ]


def live(ending: str, kills: Mapping[int, int]) -> tuple[Story, list[int]]:
    """The story, told to its end, and how many commits the evaluator made in each part.

    kills: by part, 0 and 1, the commit after which the evaluator is killed.
    """
    number = next(NUMBERS)
    with time_machine.travel(START, tick=False) as clock:
        rollout = given.rollout(f"prompt-{number}", min_units=0, promote_when="no_harm_found")
        story = Story(number, rollout, clock, ending)
        commits = []
        for part, happen in enumerate((story.first_part, story.second_part)):
            happen()
            if part in kills:
                killed.run(tick, kills[part])
            commits.append(killed.run(tick))
    return story, commits


def leave_nothing_to_do() -> None:
    for rollout in Rollout.objects.filter(status__in=ACTIVE):
        services.cancel(rollout_id=rollout.pk, actor=ANNA, reason="the story is over")
    tick()


@pytest.mark.parametrize("ending", ["rolled_back", "promoted", "evaluation_failed"])
def test_evaluator__killed_at_any_commit_and_started_again__as_if_undisturbed(ending: str) -> None:
    webhooks.create_endpoint(url="https://example.com/hook", actor=ANNA)
    leave_nothing_to_do()
    undisturbed, commits = live(ending, {})
    expected = undisturbed.picture()
    undisturbed.rollout.refresh_from_db()
    assert ending in (undisturbed.rollout.status, undisturbed.rollout.hold_reason)
    assert "('counts', True)" in expected

    for part in (0, 1):
        for number in range(1, commits[part] + 1):
            leave_nothing_to_do()
            disturbed, _ = live(ending, {part: number})

            assert disturbed.picture() == expected, f"killed in part {part} after commit {number}"
    sequences = list(Event.objects.order_by("sequence").values_list("sequence", flat=True))
    assert sequences == list(range(1, len(sequences) + 1))
