"""The queue of evaluations: claimed once, settled once, tried again, given up with a reason, and never a zero."""

import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from observability.core.back_off import BACK_OFF_S
from observability.core.scores import NewScore
from observability.judging import queue, retries, texts
from observability.judging.judgements import Judgement, Missed
from observability.models import (
    Evaluation,
    EvaluationText,
    EvaluatorKind,
    Evidence,
    JudgingDay,
    Missing,
    RetrievedText,
    Score,
)
from observability.services import scores
from tests import judged, traces

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
GOOD = Judgement(0.9, "good", "all of it is true", "gpt-4o-mini", Decimal("0.002"), 800.0)
DOWN = Missed(Missing.UNREACHABLE, "nobody answers", try_again=True)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def waiting(
    clock: time_machine.Traveller,
    *,
    calls: int = 1,
    exposure: str | None = None,
    kind: EvaluatorKind = EvaluatorKind.CHECK,
    **budget: Any,
) -> None:
    """So many calls that are chosen and due, of a prompt of their own; by a judge where they have a budget."""
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.JUDGE if budget else kind), **budget)
    for number in range(calls):
        judged.send_call(number, exposure=exposure)
    clock.shift(timedelta(seconds=10))


def settle_all(outcome: queue.Outcome) -> int:
    claims = queue.claim(most=100)
    queue.settle([(claimed, outcome) for claimed in claims])
    return len(claims)


def test_claim__not_yet_settled_calls__nothing(clock: time_machine.Traveller) -> None:
    waiting(clock)
    clock.shift(timedelta(seconds=-1))

    assert queue.claim(most=9) == []


def test_claim__due__with_texts_and_once(clock: time_machine.Traveller) -> None:
    waiting(clock)

    (claimed,) = queue.claim(most=9)

    assert (claimed.material.input_text, claimed.material.output_text) == (judged.INPUT, judged.OUTPUT)
    assert queue.claim(most=9) == []


def test_claim__nothing_due__reads_alone(clock: time_machine.Traveller) -> None:
    with CaptureQueriesContext(connection) as asked:
        queue.claim(most=9)

    assert {query["sql"].split()[0] for query in asked.captured_queries} == {"SELECT"}


def test_settle__judged__score_with_probability_and_evaluator(clock: time_machine.Traveller) -> None:
    waiting(clock)

    settle_all(GOOD)

    score, evaluation = Score.objects.get(), Evaluation.objects.get()
    assert (score.name, score.value, score.label, score.comment) == ("faithfulness", 0.9, "good", "all of it is true")
    assert (score.source, score.evaluator, score.probability, score.by_design) == ("check", "faithfulness@1", 1, True)
    assert score.call_id == evaluation.call_id
    assert (evaluation.status, evaluation.score_id, evaluation.attempts) == ("scored", score.pk, 1)
    assert (evaluation.model, evaluation.cost_usd, evaluation.latency_ms) == ("gpt-4o-mini", Decimal("0.002"), 800)
    assert (evaluation.settled_at, evaluation.lease_until) == (START + timedelta(seconds=10), None)


def test_settle__last_evaluation_of_the_call__text_is_forgotten(clock: time_machine.Traveller) -> None:
    judged.judge(judged.prompt(), judged.evaluator("one"), judged.evaluator("two"))
    judged.send_call()
    clock.shift(timedelta(seconds=10))
    first, second = queue.claim(most=9)

    queue.settle([(first, GOOD)])
    between = EvaluationText.objects.count()
    queue.settle([(second, GOOD)])

    assert (between, EvaluationText.objects.count()) == (1, 0)


def test_settle__documents__forgotten_with_the_last_call_of_their_trace(clock: time_machine.Traveller) -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS))
    said = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "Mugs are red."}
    judged.send(judged.retrieval(said, number=8, trace=1))
    judged.send_call(1)
    judged.send_call(2, trace=1)
    clock.shift(timedelta(seconds=10))
    first, second = queue.claim(most=9)

    queue.settle([(first, GOOD)])
    between = RetrievedText.objects.count()
    queue.settle([(second, GOOD)])

    assert first.material.documents == ["Mugs are red."]
    assert (between, RetrievedText.objects.count()) == (1, 0)


def test_settle__failing__tried_again_later_and_later_then_missing(clock: time_machine.Traveller) -> None:
    waiting(clock)
    waits = []

    for _ in range(retries.MOST_ATTEMPTS):
        before = datetime.now(UTC)
        settle_all(DOWN)
        evaluation = Evaluation.objects.get()
        if evaluation.status == "waiting":
            waits.append((evaluation.next_attempt_at - before).total_seconds())
            clock.move_to(evaluation.next_attempt_at)

    assert (evaluation.status, evaluation.missing, evaluation.attempts) == ("missing", "unreachable", 5)
    assert all(0.8 * s <= wait <= 1.2 * s for wait, s in zip(waits, BACK_OFF_S, strict=True))
    assert sum(BACK_OFF_S) <= 3600
    assert not Score.objects.exists()
    assert not Evidence.objects.exists()
    assert not EvaluationText.objects.exists()


def test_settle__judge_asks_to_wait__that_long_and_an_hour_at_most(clock: time_machine.Traveller) -> None:
    waiting(clock, calls=2)
    first, second = queue.claim(most=2)

    queue.settle([(first, Missed(Missing.UNREACHABLE, "busy", try_again=True, retry_after_s=300))])
    queue.settle([(second, Missed(Missing.UNREACHABLE, "busy", try_again=True, retry_after_s=9e8))])

    at = START + timedelta(seconds=10)
    waits = [(e.next_attempt_at - at).total_seconds() for e in Evaluation.objects.order_by("id")]
    assert waits == [300, 3600]


@pytest.mark.parametrize("missing", [Missing.NO_OUTPUT, Missing.NO_CONTEXTS, Missing.REFUSED, Missing.NOT_INSTALLED])
def test_settle__nothing_to_be_had__missing_at_once(clock: time_machine.Traveller, missing: Missing) -> None:
    waiting(clock)

    settle_all(Missed(missing, "no", try_again=False))

    evaluation = Evaluation.objects.get()
    assert (evaluation.status, evaluation.missing, evaluation.score_id) == ("missing", missing, None)
    assert not Score.objects.exists()


def test_settle__costs_of_all_attempts__summed(clock: time_machine.Traveller) -> None:
    waiting(clock, kind=EvaluatorKind.JUDGE)
    unreadable = Missed(Missing.NOT_JSON, "prose", True, None, "gpt-4o-mini", Decimal("0.001"), 500.0)

    settle_all(unreadable)
    clock.shift(timedelta(hours=1))
    settle_all(GOOD)

    evaluation, day = Evaluation.objects.get(), JudgingDay.objects.get()
    assert (evaluation.cost_usd, evaluation.latency_ms) == (Decimal("0.003"), 1300)
    assert (day.calls, day.usd) == (1, Decimal("0.003"))


def test_settle__lease_gone_to_another__only_the_new_holder_is_heard(clock: time_machine.Traveller) -> None:
    waiting(clock)
    (lost,) = queue.claim(most=1)
    clock.shift(timedelta(minutes=5))
    (taken_over,) = queue.claim(most=1)

    queue.settle([(lost, GOOD)])
    between = Score.objects.count()
    queue.settle([(taken_over, GOOD)])
    queue.settle([(taken_over, GOOD)])

    assert (between, Score.objects.count(), Evaluation.objects.get().attempts) == (0, 1, 2)


def test_settle__lease_run_out_and_nobody_took_over__heard(clock: time_machine.Traveller) -> None:
    waiting(clock)
    (claimed,) = queue.claim(most=1)
    clock.shift(timedelta(minutes=5))

    queue.settle([(claimed, GOOD)])

    assert Evaluation.objects.get().status == "scored"


def test_claim__workers_that_died_of_it_five_times__given_up(clock: time_machine.Traveller) -> None:
    waiting(clock)
    for _ in range(retries.MOST_ATTEMPTS):
        assert len(queue.claim(most=1)) == 1
        clock.shift(timedelta(minutes=5))

    assert queue.claim(most=1) == []
    assert Evaluation.objects.get().missing == "failed"


def test_claim__too_old_for_its_text__missing(clock: time_machine.Traveller) -> None:
    waiting(clock)
    clock.shift(timedelta(hours=22))

    assert queue.claim(most=1) == []
    assert Evaluation.objects.get().missing == "too_old"
    assert not EvaluationText.objects.exists()


def test_release__given_back__another_may_take_it_at_once(clock: time_machine.Traveller) -> None:
    waiting(clock)
    claims = queue.claim(most=1)

    queue.release(claims)

    assert [claimed.id for claimed in queue.claim(most=1)] == [claims[0].id]
    assert Evaluation.objects.get().attempts == 1


def test_claim__rollouts_and_others__rollouts_first_but_for_those_asked_for(clock: time_machine.Traveller) -> None:
    judged.judge(judged.prompt(), judged.evaluator())
    for number in range(10):
        judged.send_call(number)
    for number in range(10, 20):
        judged.send_call(number, exposure="rol_1:0:canary:7")
    clock.shift(timedelta(seconds=10))

    first = queue.claim(most=4)
    second = queue.claim(most=4, others=1)
    rest = queue.claim(most=20)

    assert [sum(claimed.urgent for claimed in claims) for claims in (first, second, rest)] == [4, 3, 3]
    assert len(rest) == 12


def test_claim__budget_of_calls__what_is_over_it_is_missing_and_counted(clock: time_machine.Traveller) -> None:
    waiting(clock, calls=5, calls_a_day=2)

    claims = queue.claim(most=5)

    assert len(claims) == 2
    assert Evaluation.objects.filter(missing="budget").count() == 3
    assert EvaluationText.objects.count() == 2
    assert JudgingDay.objects.get().calls == 2


def test_claim__check_beside_a_judge_with_a_budget__takes_nothing_of_it(clock: time_machine.Traveller) -> None:
    check, judge = judged.evaluator("brevity"), judged.evaluator(kind=EvaluatorKind.JUDGE)
    judged.judge(judged.prompt(), check, judge, calls_a_day=2)
    for number in range(3):
        judged.send_call(number)
    clock.shift(timedelta(seconds=10))

    claims = queue.claim(most=9)

    assert Counter(str(claimed.version) for claimed in claims) == {"brevity@1": 3, "faithfulness@1": 2}
    assert Evaluation.objects.get(missing="budget").evaluator_version == judge
    assert JudgingDay.objects.get().calls == 2


def test_claim__budget_of_dollars_used_up__nothing_more_today(clock: time_machine.Traveller) -> None:
    waiting(clock, calls=2, usd_a_day=Decimal("0.002"))
    claims = queue.claim(most=1)
    queue.settle([(claims[0], GOOD)])

    assert queue.claim(most=1) == []
    assert Evaluation.objects.filter(missing="budget").count() == 1


def test_claim__the_next_day__the_budget_is_whole_again(clock: time_machine.Traveller) -> None:
    waiting(clock, calls_a_day=1)
    settle_all(GOOD)
    clock.move_to(START + timedelta(hours=13))
    judged.send_call(7)
    clock.shift(timedelta(seconds=10))

    assert settle_all(GOOD) == 1


def test_settle__failed_call_chosen_for_that__score_by_no_design(clock: time_machine.Traveller) -> None:
    judged.judge(judged.prompt(), judged.evaluator(), share_bp=1)
    judged.send_call(judged.trace_over(0.01), failed=True, exposure="rol_1:0:canary:7")
    clock.shift(timedelta(seconds=10))

    settle_all(GOOD)

    score = Score.objects.get()
    assert (score.probability, score.by_design) == (1.0, False)


def test_drop_in_doubt__after_ten_minutes__what_nobody_chose_is_forgotten(clock: time_machine.Traveller) -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS))
    said = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "Mugs are red."}
    judged.send(judged.retrieval(said, number=8, trace=1))
    orphan = judged.attributes()
    del orphan["gen_ai.prompt.name"]
    judged.send(traces.span(orphan, number=1, trace=2, parent=9))
    judged.send_call(5)

    before = texts.drop_in_doubt()
    clock.shift(timedelta(minutes=11))
    after = texts.drop_in_doubt()

    assert (before, after) == (0, 2)
    assert (EvaluationText.objects.count(), RetrievedText.objects.count()) == (1, 0)


def test_drop_in_doubt__more_than_one_statement_takes__all_of_it(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "MOST_DROPPED", 2)
    judged.judge(judged.prompt(), judged.evaluator())
    orphan = judged.attributes()
    del orphan["gen_ai.prompt.name"]
    judged.send(*(traces.span(orphan, number=1, trace=trace, parent=9) for trace in range(5)))

    clock.shift(timedelta(minutes=11))
    dropped = texts.drop_in_doubt()

    assert (dropped, EvaluationText.objects.count()) == (5, 0)


def test_settle__a_reason_with_an_address__scrubbed(clock: time_machine.Traveller) -> None:
    waiting(clock)

    settle_all(replace(GOOD, reason="it writes to anna@example.com"))

    assert Score.objects.get().comment == "it writes to [email]"


def test_settle__a_client_has_given_such_an_id_before__its_own_score_all_the_same(
    clock: time_machine.Traveller,
) -> None:
    waiting(clock)
    (claimed,) = queue.claim(most=1)
    foreign = NewScore("faithfulness", 0.1, "judge", id=f"evaluation:{claimed.id}", response_id="unheard-of")
    scores.record_scores(scores=[foreign])

    queue.settle([(claimed, GOOD)])

    evaluation = Evaluation.objects.select_related("score").get()
    assert evaluation.score is not None
    assert (evaluation.score.value, evaluation.score.counts) == (0.9, True)


def test_settle__whatever_happens__no_text_in_the_log(
    clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    waiting(clock, calls=2)
    first, second = queue.claim(most=2)

    queue.settle([(first, GOOD), (second, DOWN)])

    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "judging.missed" in said
    for text in (judged.INPUT, judged.OUTPUT, str(GOOD.reason)):
        assert text not in said


def test_settle__failing_again_and_again__one_warning_when_it_is_given_up(
    clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    waiting(clock)

    for _ in range(retries.MOST_ATTEMPTS):
        settle_all(DOWN)
        clock.shift(timedelta(hours=1))

    levels = [record.levelname for record in caplog.records if record.getMessage() == "judging.missed"]
    assert levels == ["DEBUG", "DEBUG", "DEBUG", "DEBUG", "WARNING"]


def test_due__hundreds_of_rows__by_the_index_of_what_waits(clock: time_machine.Traveller) -> None:
    with connection.cursor() as cursor:
        explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        at = connection.ops.adapt_datetimefield_value(START)
        cursor.execute(explain + queue.DUE, [True, at, at, 4])
        plan = "\n".join(str(row) for row in cursor.fetchall())

    assert "evaluations_waiting" in plan
