"""Killed between any two statements, judging loses and doubles nothing.

Ingest that chooses has stored calls, evaluations and texts wholly or not at all. A worker that is killed while it
claims or settles leaves what another one ends: one score, one settled evaluation, one call of the day's budget, and no
text.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
import time_machine
from django.db import connection

from observability.judging import queue
from observability.judging.judgements import Judgement, Missed
from observability.models import Evaluation, EvaluationText, EvaluatorKind, Evidence, JudgingDay, Missing, Score
from tests import judged, traces
from tests.crash import killed, stored

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
GOOD = Judgement(0.9, None, "all of it is true", "gpt-4o-mini", Decimal("0.002"), 800.0)
DOWN = Missed(Missing.UNREACHABLE, "nobody answers", try_again=True)
CALLS = 3


@pytest.fixture
def clock() -> "time_machine.Traveller":
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def begin() -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS))


def ingest() -> None:
    said = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "Mugs are red."}
    calls = [traces.span(judged.attributes(), number=n, trace=n) for n in range(CALLS)]
    judged.send(judged.retrieval(said, number=90, trace=1), *calls)


def work(outcome: queue.Outcome) -> None:
    """What a worker does."""
    queue.settle([(claimed, outcome) for claimed in queue.claim(most=CALLS)])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one transaction of SQLite is like another")
def test_ingest__killed_between_any_two_statements__chosen_wholly_or_not_at_all(
    clock: time_machine.Traveller, record_property: Callable[[str, object], None]
) -> None:
    begin()
    before = stored.everything()
    expected = stored.after_undisturbed(ingest)
    assert len(expected["observability.Evaluation"]) == len(expected["observability.EvaluationText"]) == CALLS

    for point in count(1):
        assert killed.run_to(point, ingest), "it ended without having been seen between commit and end"
        if stored.everything() != before:
            break

    assert stored.essence() == expected
    with stored.nothing_changes():
        ingest()
    record_property("points of a batch of judged calls", point)


@pytest.mark.parametrize(
    ("first", "then"), [(GOOD, GOOD), (DOWN, GOOD)], ids=["judged at once", "judged at the second attempt"]
)
def test_judging__worker_killed_between_any_two_statements__one_score_each(
    first: queue.Outcome,
    then: queue.Outcome,
    clock: time_machine.Traveller,
    record_property: Callable[[str, object], None],
) -> None:
    begin()
    for point in count(1):
        clear()
        ingest()
        clock.shift(timedelta(seconds=10))

        was_killed = killed.run_to(point, lambda: work(first))
        for _ in range(3):
            clock.shift(timedelta(hours=1))
            work(then)

        assert set(Evaluation.objects.values_list("status", "missing")) == {("scored", "")}, point
        assert Evaluation.objects.filter(score__isnull=False).count() == Score.objects.count() == CALLS, point
        assert Score.objects.filter(call__isnull=False, counts=True).count() == CALLS
        assert JudgingDay.objects.values_list("calls", flat=True).first() == CALLS
        assert not EvaluationText.objects.exists()
        if not was_killed:
            break
    assert point > 10
    record_property("points of judging", point - 1)


def clear() -> None:
    """As if nothing had come in yet: a killed worker cannot be undone otherwise."""
    from observability.models import Call, Span

    for model in (Score, JudgingDay, Evidence, Call, Span):
        model.objects.all().delete()
