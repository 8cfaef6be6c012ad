"""Eight workers at once: on SQLite they wait for its one writer, on PostgreSQL each passes by what another has."""

from datetime import timedelta
from decimal import Decimal
from itertools import chain

import pytest

from observability.judging import queue
from observability.judging.judgements import Judgement
from observability.models import Evaluation, EvaluationText, EvaluatorKind, JudgingDay, Score
from tests import judged, traces
from tests.parallel import at_once

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8
CALLS = 60
GOOD = Judgement(0.9, None, None, "gpt-4o-mini", Decimal("0.002"), 800.0)


def given_calls_that_are_due(**budget: int) -> None:
    judged.judge(judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS), **budget)
    judged.send(*(traces.span(judged.attributes(), number=n, trace=n) for n in range(CALLS)))
    for evaluation in Evaluation.objects.all():
        evaluation.next_attempt_at -= timedelta(seconds=10)
        evaluation.save(update_fields=["next_attempt_at"])


def work_until_empty() -> list[int]:
    done: list[int] = []
    for _ in range(CALLS):
        claims = queue.claim(most=4)
        queue.settle([(claimed, GOOD) for claimed in claims])
        done += [claimed.id for claimed in claims]
    return done


def test_claim__by_eight_at_once__each_evaluation_once() -> None:
    given_calls_that_are_due()

    done = at_once(*[work_until_empty] * THREADS)

    assert sorted(chain.from_iterable(done)) == sorted(Evaluation.objects.values_list("id", flat=True))
    assert Evaluation.objects.filter(status="scored", attempts=1).count() == Score.objects.count() == CALLS
    assert (JudgingDay.objects.get().calls, JudgingDay.objects.get().usd) == (CALLS, CALLS * Decimal("0.002"))
    assert not EvaluationText.objects.exists()


def test_claim__by_eight_at_once_over_a_budget__never_more_than_it_allows() -> None:
    given_calls_that_are_due(calls_a_day=7)

    done = at_once(*[work_until_empty] * THREADS)

    assert len(list(chain.from_iterable(done))) == Score.objects.count() == JudgingDay.objects.get().calls == 7
    assert Evaluation.objects.filter(missing="budget").count() == CALLS - 7


def test_claim_and_settle__while_calls_come_in__none_lost() -> None:
    given_calls_that_are_due()

    at_once(
        *[work_until_empty] * 4,
        *[
            lambda n=n: judged.send(  # type: ignore[misc]  # binds each number now
                *(traces.span(judged.attributes(), number=100 * n + i, trace=100 * n + i) for i in range(20))
            )
            for n in range(1, 5)
        ],
    )

    scored = Evaluation.objects.filter(status="scored", attempts=1).count()
    assert Evaluation.objects.count() == CALLS + 80
    assert CALLS <= scored == Score.objects.count() == JudgingDay.objects.get().calls  # on a slow day also later calls
