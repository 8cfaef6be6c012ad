"""Fault 9: an unexpected exception in a look holds its rollout, changes no traffic, tells why, and ends by itself."""

from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError

from common.clock import now
from registry.models import Event
from rollout import evaluation, services
from rollout.models import Batch, Rollout
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

HARMFUL = {"control": (19_000, 342), "canary": (1_000, 80)}  # 1.8 % against 8 %: far beyond any threshold


def set_plan(rollout: Rollout, **fields: Any) -> None:
    Rollout.objects.filter(pk=rollout.pk).update(plan={**rollout.plan, **fields})


def break_looks(rollout: Rollout) -> None:
    """Every look at it raises a TypeError where its threshold is computed, after all else."""
    set_plan(rollout, alpha="five percent")


def mend(rollout: Rollout) -> None:
    set_plan(rollout, alpha=0.05)


def tick(rollout: Rollout) -> Rollout:
    """A tick of the evaluator when the rollout's look is due, and the rollout after it."""
    Rollout.objects.filter(pk=rollout.pk, next_look_at__isnull=False).update(next_look_at=now())
    evaluation.evaluate_due()
    rollout.refresh_from_db()
    return rollout


def told(rollout: Rollout) -> list[str]:
    events = Event.objects.filter(data__rollout__id=rollout.pk).order_by("sequence")
    return [event.type.removeprefix("rollout.") for event in events]


def test_look__raises__held_with_its_traffic_and_the_reason_told() -> None:
    rollout = given.rollout()
    given.observe(rollout, "hallucination", **HARMFUL)
    break_looks(rollout)

    rollout = tick(rollout)

    assert (rollout.status, rollout.hold_reason, rollout.weight_bp) == ("running", "evaluation_failed", 500)
    assert not Batch.objects.exists()  # what the look took is there for the next one
    transition = rollout.transitions.first()
    assert transition
    assert (transition.action, transition.cause, transition.actor) == (
        "evaluation_failed",
        "evaluation_failed",
        "system:evaluator",
    )
    assert transition.reason == "TypeError: must be real number, not str"
    assert Event.objects.get(type="rollout.evaluation_failed").data["transition"]["reason"] == transition.reason


def test_look__raises_again__tried_every_minute_and_told_once() -> None:
    rollout = given.rollout(look_every="1h")
    break_looks(rollout)

    for _ in range(3):
        rollout = tick(rollout)

    assert told(rollout) == ["started", "evaluation_failed"]
    assert rollout.next_look_at
    assert timedelta(seconds=50) < rollout.next_look_at - now() <= timedelta(seconds=60)


def test_look__succeeds_again__goes_on_where_it_was() -> None:
    rollout = given.rollout()
    break_looks(rollout)
    tick(rollout)
    mend(rollout)

    rollout = tick(rollout)

    assert (rollout.status, rollout.hold_reason, rollout.weight_bp) == ("running", "", 500)
    assert told(rollout) == ["started", "evaluation_failed", "recovered"]
    assert rollout.verdict


def test_look__succeeds_again_and_finds_harm__rolled_back_in_it() -> None:
    rollout = given.rollout()
    break_looks(rollout)
    tick(rollout)
    given.observe(rollout, "hallucination", **HARMFUL)
    mend(rollout)

    rollout = tick(rollout)

    assert (rollout.status, rollout.weight_bp, rollout.hold_reason) == ("rolled_back", 0, "")
    assert told(rollout) == ["started", "evaluation_failed", "recovered", "rolled_back"]


def test_look__sample_ratio_was_broken_before_it_failed__still_is_afterwards() -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(9_000, 90), canary=(1_000, 10))  # 10 % instead of 5 %
    rollout = tick(rollout)
    assert rollout.hold_reason == "sample_ratio"
    break_looks(rollout)
    assert tick(rollout).hold_reason == "evaluation_failed"
    given.observe(rollout, "error_rate", control=(10_000, 100), canary=(0, 0))  # together 5 %: it looks right again
    given.observe(rollout, "hallucination", **HARMFUL)
    mend(rollout)

    rollout = tick(rollout)

    assert (rollout.status, rollout.hold_reason) == ("running", "sample_ratio")
    assert told(rollout) == ["started", "invalid", "evaluation_failed", "recovered"]


def test_look__raises_while_paused__resumed_and_ended_by_people_all_the_same() -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    break_looks(rollout)
    assert tick(rollout).hold_reason == "evaluation_failed"

    services.resume(rollout_id=rollout.id, actor=ANNA, reason="back")
    ended = services.rollback(rollout_id=rollout.id, actor=ANNA, reason="nobody can see how it does")

    assert (ended.status, ended.weight_bp, ended.hold_reason) == ("rolled_back", 0, "")


def test_evaluate_due__one_rollout_fails__the_others_are_looked_at(caplog: Any) -> None:
    broken, fine = given.rollout("broken"), given.rollout("fine")
    Rollout.objects.update(next_look_at=now())
    break_looks(broken)

    assert evaluation.evaluate_due() == 1

    assert "evaluation.failed" in caplog.text
    fine.refresh_from_db()
    assert fine.verdict


def test_evaluate_due__a_rollout_cannot_even_be_held__tried_later_and_the_others_are_looked_at(caplog: Any) -> None:
    broken, fine = given.rollout("broken"), given.rollout("fine")
    Rollout.objects.update(next_look_at=now())
    Rollout.objects.filter(pk=broken.pk).update(plan={})  # neither can it be looked at nor told about

    assert evaluation.evaluate_due() == 1

    assert "evaluation.hold_failed" in caplog.text
    broken.refresh_from_db()
    fine.refresh_from_db()
    assert broken.next_look_at
    assert broken.next_look_at > now() + timedelta(seconds=50)
    assert fine.verdict


def test_evaluate_due__ended_by_a_person_while_the_look_failed__stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = given.rollout()

    def end_and_raise(rollout_id: str) -> bool:
        services.cancel(rollout_id=rollout_id, actor=ANNA, reason="enough")
        raise ValueError("bug")

    monkeypatch.setattr(evaluation, "look", end_and_raise)

    assert tick(rollout).status == "cancelled"
    assert told(rollout) == ["started", "cancelled"]


@pytest.mark.parametrize("away", [OperationalError("database is locked"), InterfaceError("connection already closed")])
def test_evaluate_due__database_away__tried_again_at_the_next_tick(
    away: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = given.rollout()
    monkeypatch.setattr(evaluation, "look", Mock(side_effect=away))

    rollout = tick(rollout)

    assert rollout.next_look_at
    assert (rollout.hold_reason, rollout.next_look_at <= now()) == ("", True)


def test_reason__of_a_database_error__does_not_quote_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = given.rollout()
    error = IntegrityError(f"duplicate key {'x' * 500}\nDETAIL:  Key (name)=(secret) already exists.")
    monkeypatch.setattr(evaluation, "look", Mock(side_effect=error))

    tick(rollout)

    reason = rollout.transitions.get(action="evaluation_failed").reason
    assert reason.startswith("IntegrityError: duplicate key xxx")
    assert len(reason) == evaluation.LONGEST_REASON
    assert "secret" not in reason
