"""The worker against a judge that works, is down, slow, hangs up, talks prose or numbers out of range."""

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from observability.judging import queue
from observability.judging.worker import Judges
from observability.management.commands import run_judges
from observability.models import Evaluation, EvaluatorKind, EvaluatorVersion, Evidence, Score
from tests import judged, judges

pytestmark = pytest.mark.django_db(transaction=True)

CONFIG = {"model": "gpt-4o-mini"}
LONGEST_S = 20.0


@pytest.fixture(autouse=True)
def _soon_over(settings: Any) -> None:
    settings.JUDGE_DEADLINE = timedelta(seconds=0.5)


def given_a_judged_call(*, calls: int = 1) -> None:
    version = judged.evaluator(kind=EvaluatorKind.JUDGE, config=CONFIG)
    judged.judge(judged.prompt(), version)
    for number in range(calls):
        judged.send_call(number, exposure="rol_1:0:canary:7")
    make_due()


def make_due() -> None:
    for evaluation in Evaluation.objects.filter(status="waiting"):
        evaluation.next_attempt_at = evaluation.created_at
        evaluation.save(update_fields=["next_attempt_at"])


def work(parallel: int = 4) -> None:
    """All that is due, once."""
    judge = Judges(parallel=parallel)
    while judge.start_due():
        judge.finish(within_s=LONGEST_S)


def test_work__answers_cannot_be_settled_together__each_by_itself(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given_a_judged_call(calls=3)
    settle, failed = queue.settle, []

    def settle_one(answers: Any) -> None:
        if len(answers) > 1 or answers[0][0].id == Evaluation.objects.earliest("id").pk:
            failed.append(len(answers))
            raise OperationalError("deadlock detected")
        settle(answers)

    monkeypatch.setattr(queue, "settle", settle_one)
    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        judge_once = Judges(parallel=4)
        judge_once.start_due()
        while judge_once.under_way:
            judge_once.settle_back(wait_s=LONGEST_S)

    assert failed
    assert Score.objects.count() == 2
    assert "judging.settling_failed" in caplog.text


def test_work__judge_answers__score_with_its_reason(settings: Any) -> None:
    given_a_judged_call(calls=3)

    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        work()

    assert set(Score.objects.values_list("value", "comment", "source", "evaluator")) == {
        (0.9, "it agrees with the documents", "judge", "faithfulness@1")
    }
    assert Evaluation.objects.filter(status="scored").count() == 3
    assert all(cost and cost > 0 for cost in Evaluation.objects.values_list("cost_usd", flat=True))


@pytest.mark.parametrize(
    ("behaviour", "missing"),
    [
        (judges.status(500), "unreachable"),
        (judges.status(429), "unreachable"),
        (judges.slow, "timeout"),
        (judges.not_json, "not_json"),
        (judges.completion("it is rather good"), "not_json"),
        (judges.completion('{"score": 7, "reason": "seven of ten"}'), "out_of_range"),
        (judges.completion('{"score": "NaN", "reason": "none"}'), "not_json"),
        (judges.hang_up, "unreachable"),
    ],
)
def test_work__judge_misbehaves_to_the_end__missing_with_the_reason_and_no_evidence(
    behaviour: Any, missing: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    given_a_judged_call()

    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        judge.behaves(behaviour)
        for _ in range(5):
            work()
            make_due()

    evaluation = Evaluation.objects.get()
    assert (evaluation.status, evaluation.missing, evaluation.attempts) == ("missing", missing, 5)
    assert not Score.objects.exists()
    assert not Evidence.objects.filter(metric="faithfulness").exists()
    assert judged.OUTPUT not in caplog.text


def test_work__judge_down_then_up__scored_after_all(settings: Any) -> None:
    given_a_judged_call()

    settings.JUDGE_URL = judges.nobody()
    work()
    between = Evaluation.objects.get().status
    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        make_due()
        work()

    assert (between, Evaluation.objects.get().status) == ("waiting", "scored")


def test_work__many_due__no_more_at_once_than_allowed(settings: Any) -> None:
    given_a_judged_call(calls=12)
    at_work, most = 0, 0
    lock = threading.Lock()

    def watch(asked: judges.Asked) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        answer(asked)
        with lock:
            at_work -= 1

    answer = judges.completion('{"score": 1, "reason": "yes"}')
    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        judge.behaves(watch)
        work(parallel=3)

    assert Evaluation.objects.filter(status="scored").count() == 12
    assert most <= 3


def test_work__evaluator_fails__tried_again_and_its_message_in_no_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given_a_judged_call()

    def fail(version: EvaluatorVersion, material: Any, **options: Any) -> None:
        raise RuntimeError(material.output_text)

    monkeypatch.setattr("observability.judging.worker.evaluate", fail)

    work()

    evaluation = Evaluation.objects.get()
    assert (evaluation.status, evaluation.attempts) == ("waiting", 1)
    assert "RuntimeError" in str([record.__dict__ for record in caplog.records])
    assert judged.OUTPUT not in str([record.__dict__ for record in caplog.records])


def test_run__told_to_stop__what_is_under_way_is_given_back(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given_a_judged_call()
    settings.JUDGE_DEADLINE = timedelta(seconds=30)
    monkeypatch.setattr(run_judges, "FINISH_WITHIN_S", 0.05)
    stopping = threading.Event()

    def never(asked: judges.Asked) -> None:
        stopping.set()
        judges.slow(asked)

    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        judge.behaves(never)
        run_judges.run(stopping)

    evaluation = Evaluation.objects.get()
    assert (evaluation.status, evaluation.attempts, evaluation.lease_until) == ("waiting", 0, None)


def test_run__a_failing_tick__logged_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopping = threading.Event()

    def fail(self: Judges) -> int:
        stopping.set()
        raise OSError("the disk is full")

    monkeypatch.setattr(Judges, "start_due", fail)

    run_judges.run(stopping)

    assert "judging.tick_failed" in caplog.messages
