"""What the evaluator foresees of rollouts that run: how many calls the proof takes, and when it is foreseen anew."""

from datetime import timedelta

import pytest
import time_machine

from common.clock import now
from rollout import evaluation, outlooks
from rollout.models import Outlook, Rollout
from rollout.outlooks import foresee_one
from tests import rollouts as given

pytestmark = pytest.mark.django_db

MORE = {"control": (9500, 171), "canary": (500, 9)}  # 1.8 % in both arms, of which 5 % are in the canary


def look_at(rollout: Rollout, **arms: tuple[int, int]) -> Rollout:
    for metric in ("error_rate", "hallucination"):
        given.observe_many(rollout, metric, **(MORE | arms))
    return given.look_now(rollout)


def foreseen(rollout: Rollout) -> Outlook:
    return Outlook.objects.get(rollout=rollout)


def test_foresee__both_arms_alike__the_proof_comes_about_when_it_was_foreseen() -> None:
    rollout = look_at(given.rollout())

    assert foresee_one([rollout.pk]) == rollout.pk

    outlook = foreseen(rollout)
    assert outlook.canary_calls
    assert outlook.canary_calls > 500
    calls, proven = 500, False
    while not proven and calls < 20_000:
        rollout = look_at(rollout)
        assert rollout.verdict
        calls += 500
        proven = all(metric["verdict"] == "safe" for metric in rollout.verdict.body["metrics"])
    # In the median of chance's ways; this one has none, and is looked at every 500 calls.
    assert calls == pytest.approx(outlook.canary_calls, rel=0.4)


def test_foresee__calls_that_are_proven_already__not_needed_again() -> None:
    rollout = look_at(given.rollout())
    foresee_one([rollout.pk])
    early = foreseen(rollout).canary_calls

    look_at(rollout)
    Outlook.objects.all().delete()
    foresee_one([rollout.pk])

    assert early
    assert foreseen(rollout).canary_calls == pytest.approx(early, rel=0.3)


def test_foresee__pace__of_both_arms_since_the_start_and_later_of_the_last_day() -> None:
    few = {"control": (950, 17), "canary": (50, 1)}
    with time_machine.travel(now() - timedelta(days=3), tick=False) as clock:
        rollout = given.rollout(steps=[{"weight": "5%", "hold": "7d"}], max_duration="30d")
        clock.shift(timedelta(hours=10))
        look_at(rollout, **few)
        foresee_one([rollout.pk])
        first = foreseen(rollout).calls_per_s
        clock.shift(timedelta(days=1))
        look_at(rollout, **few)
        foresee_one([rollout.pk])

    assert first == pytest.approx(1000 / 36_000)
    assert foreseen(rollout).calls_per_s == pytest.approx(1000 / 86_400)


def test_foresee__no_evidence_of_a_guardrail__nothing_yet_and_the_next_one_is_foreseen() -> None:
    silent = given.rollout("silent")
    given.observe_many(silent, "error_rate", **MORE)
    given.look_now(silent)
    other = look_at(given.rollout("other"))

    assert foresee_one([silent.pk, other.pk]) == other.pk

    assert not Outlook.objects.filter(rollout=silent).exists()


def test_foresee__promoted_without_a_proof__nothing() -> None:
    rollout = look_at(given.rollout(promote_when="no_harm_found"))

    assert foresee_one([rollout.pk]) is None


def test_foresee__again__after_ten_looks_and_a_tenth_of_its_age() -> None:
    rollout = look_at(given.rollout(look_every="60s"))
    foresee_one([rollout.pk])

    with time_machine.travel(now() + timedelta(minutes=9)):
        assert foresee_one([rollout.pk]) is None
    with time_machine.travel(now() + timedelta(minutes=11)):
        assert foresee_one([rollout.pk]) == rollout.pk
    Rollout.objects.update(started_at=now() - timedelta(days=1))
    with time_machine.travel(now() + timedelta(hours=2)):
        assert foresee_one([rollout.pk]) is None
    with time_machine.travel(now() + timedelta(hours=3)):
        assert foresee_one([rollout.pk]) == rollout.pk


def test_foresee__several__the_one_without_an_outlook_first() -> None:
    first, second = look_at(given.rollout("first")), look_at(given.rollout("second"))

    order = [foresee_one([first.pk, second.pk]) for _ in range(3)]

    assert sorted(filter(None, order[:2])) == sorted([first.pk, second.pk])
    assert order[2] is None


def test_evaluator__a_foresight_that_fails__is_logged_and_stops_no_look(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArithmeticError("no such number")

    monkeypatch.setattr(outlooks, "foresee_proof", fail)
    rollout = look_at(given.rollout())
    Rollout.objects.update(next_look_at=now())

    assert evaluation.evaluate_due() == 1

    assert "evaluation.foresight_failed" in caplog.text
    rollout.refresh_from_db()
    assert rollout.hold_reason == ""
