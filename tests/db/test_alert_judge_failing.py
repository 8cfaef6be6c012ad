"""The alert judge_failing: too many scores of an evaluator are missing."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import time_machine

from common.clock import now
from observability.judging import queue
from observability.judging.judgements import Judgement, Missed
from observability.models import Alert, AlertKind, Call, Evaluation, EvaluatorVersion, Missing, Severity
from observability.watching.judging import check
from tests import alerts, judged

pytestmark = pytest.mark.django_db

GOOD = Judgement(0.9, None, None, "gpt-4o-mini", None, 800.0)
DOWN = Missed(Missing.UNREACHABLE, "nobody answers", try_again=True)
CAUSE = "judge_failing:order-extractor::faithfulness@1"


@pytest.fixture
def version() -> EvaluatorVersion:
    made = judged.evaluator()
    judged.judge(judged.prompt(), made)
    judged.send_call()
    Evaluation.objects.all().delete()
    return made


def settled(version: EvaluatorVersion, *, scored: int = 0, **missing: int) -> None:
    """So many evaluations that were settled just now, and no others."""
    Evaluation.objects.all().delete()
    Call.objects.filter(id__gt=Call.objects.order_by("id")[0].pk).delete()
    call = Call.objects.get()
    assert call.version is not None
    outcomes = [("scored", "")] * scored
    for reason, number in missing.items():
        outcomes += [("missing", reason)] * number
    calls = [call, *(_like(call) for _ in outcomes[1:])]
    Evaluation.objects.bulk_create(
        Evaluation(
            call=one,
            evaluator_version=version,
            prompt=call.version.prompt,
            probability=1,
            by_design=True,
            urgent=False,
            status=status,
            missing=reason,
            next_attempt_at=now(),
            created_at=now(),
            settled_at=now(),
        )
        for one, (status, reason) in zip(calls, outcomes, strict=True)
    )


def _like(call: Call) -> Call:
    fields = {field.attname: getattr(call, field.attname) for field in Call._meta.concrete_fields}
    last = Call.objects.order_by("-id")[0]
    return Call.objects.create(**fields | {"id": last.pk + 1})


def test_walk__judge_unreachable__fired_and_resolved_by_its_check(version: EvaluatorVersion) -> None:
    alert = alerts.walk(
        kind=AlertKind.JUDGE_FAILING,
        begin=lambda: settled(version, scored=15, unreachable=4, not_json=2),
        check=check,
        end=lambda: settled(version, scored=30, unreachable=1),
    )

    assert (alert.cause, alert.prompt, alert.data["reason"]) == (CAUSE, "order-extractor", "unreachable")
    assert "6 of 21 calls" in alert.summary
    assert "the judge cannot be reached" in alert.summary


def attempted(*, calls: int, outcome: queue.Outcome, since: int = 0) -> None:
    """So many calls come in, and what is due after ten seconds is asked and settled so."""
    for number in range(since, since + calls):
        judged.send_call(number)
    with time_machine.travel(now() + timedelta(seconds=11), tick=False):
        queue.settle([(claimed, outcome) for claimed in queue.claim(most=100)])


def test_walk__judge_is_down__fired_while_its_attempts_are_tried_again(version: EvaluatorVersion) -> None:
    numbers = count(100, 100)

    def outage() -> None:
        Evaluation.objects.all().delete()
        attempted(calls=25, outcome=DOWN, since=next(numbers))

    alert = alerts.walk(
        kind=AlertKind.JUDGE_FAILING,
        begin=outage,
        check=check,
        end=lambda: attempted(calls=25, outcome=GOOD, since=next(numbers)),
    )

    assert (alert.data["tried"], alert.data["reason"]) == (25, None)
    assert "no score for 25 of 25 calls" in alert.summary
    assert alert.summary.endswith("25 of them are tried again")
    assert set(Evaluation.objects.values_list("status", "attempts")) == {("scored", 1), ("scored", 2)}


def test_check__judge_is_back__resolved_though_scores_of_the_outage_wait(version: EvaluatorVersion) -> None:
    attempted(calls=25, outcome=DOWN, since=100)
    check()
    fired = Alert.objects.filter(resolved_at=None).count()

    with time_machine.travel(now() + timedelta(minutes=32), tick=False):
        Evaluation.objects.update(attempts=4, next_attempt_at=now() + timedelta(minutes=15))
        attempted(calls=25, outcome=GOOD, since=200)
        check()

    assert fired == 1
    assert Alert.objects.get().resolved_at is not None
    assert Evaluation.objects.filter(status="waiting").count() == 25


def test_check__few_attempts_fail_at_first__quiet(version: EvaluatorVersion) -> None:
    attempted(calls=40, outcome=GOOD, since=100)
    attempted(calls=9, outcome=DOWN, since=200)

    check()

    assert not Alert.objects.exists()


def test_check__not_asked_yet_or_under_way__no_failures(version: EvaluatorVersion) -> None:
    for number in range(30):
        judged.send_call(number)
    with time_machine.travel(now() + timedelta(seconds=11), tick=False):
        queue.claim(most=10)

        check()

    assert not Alert.objects.exists()


def test_check__fewer_than_twenty_settled__quiet(version: EvaluatorVersion) -> None:
    settled(version, unreachable=19)

    check()

    assert not Alert.objects.exists()


def test_check__stopped_by_the_budget__told_by_another_alert(version: EvaluatorVersion) -> None:
    settled(version, scored=20, budget=100)

    check()

    assert not Alert.objects.filter(kind=AlertKind.JUDGE_FAILING).exists()


def test_check__most_are_missing__critical(version: EvaluatorVersion) -> None:
    settled(version, scored=5, timeout=20)

    check()

    assert Alert.objects.get().severity == Severity.CRITICAL


def test_check__between_five_and_twenty_percent__stays_as_it_was(version: EvaluatorVersion) -> None:
    settled(version, scored=27, timeout=3)
    check()
    quiet = Alert.objects.count()
    settled(version, scored=20, timeout=10)
    check()

    settled(version, scored=27, timeout=3)
    check()

    assert quiet == 0
    assert Alert.objects.get().resolved_at is None


def test_check__nothing_of_it_is_judged_any_more__resolved(version: EvaluatorVersion) -> None:
    settled(version, timeout=20)
    check()

    Evaluation.objects.update(settled_at=now() - timedelta(hours=1))
    check()

    assert Alert.objects.get().resolved_at is not None


def test_check__well_for_as_long_as_is_set__resolved_and_not_fired_again(
    version: EvaluatorVersion, settings: Any
) -> None:
    settings.ALERT_RESOLVE_AFTER = timedelta(minutes=2)
    settled(version, scored=40, unreachable=20)
    check()
    opened = Alert.objects.filter(resolved_at=None).count()
    outage = Evaluation.objects.filter(missing="unreachable")
    outage.update(settled_at=now() - timedelta(minutes=3))

    check()
    check()

    assert opened == 1
    assert Alert.objects.get().resolved_at is not None


def test_check__too_little_since_the_outage__stays(version: EvaluatorVersion, settings: Any) -> None:
    settings.ALERT_RESOLVE_AFTER = timedelta(minutes=2)
    settled(version, scored=19, unreachable=20)
    check()
    Evaluation.objects.filter(missing="unreachable").update(settled_at=now() - timedelta(minutes=3))

    check()

    assert Alert.objects.get().resolved_at is None
