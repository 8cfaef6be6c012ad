"""A rollout that replaces the active one of its label: both or neither, and nothing of the old one is in the new."""

from typing import Any

import pytest

from common.errors import Conflict
from observability import evidence
from registry.models import Event, Label
from rollout import evaluation, services
from rollout.models import Batch, HoldReason, Rollout
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

REPLACE = given.PLAN | {"when_superseded": "replace"}


@pytest.fixture
def older() -> Rollout:
    """Of v1.1, active."""
    given.prompt(versions=3)
    return services.create_rollout(prompt_name="order-extractor", canary="1.1", plan=given.PLAN, actor=ANNA)


def replace(canary: str = "1.2", **fields: Any) -> Rollout:
    return services.create_rollout(prompt_name="order-extractor", canary=canary, plan=REPLACE, actor=ANNA, **fields)


def told() -> list[tuple[str, str]]:
    return [(event.type, event.data["rollout"]["id"]) for event in Event.objects.filter(type__startswith="rollout.")]


def test_replace__active_rollout__ends_as_cancelled_and_the_new_one_runs(older: Rollout) -> None:
    newer = replace()

    older.refresh_from_db()
    assert (older.status, older.weight_bp, older.next_look_at) == ("cancelled", 0, None)
    assert (newer.status, newer.weight_bp, newer.control.number) == ("running", 500, "v1.0")
    assert newer.salt != older.salt
    assert Label.objects.get(name="production").held_by == newer.id
    end = older.transitions.get(action="cancelled")
    assert (end.cause, end.reason, end.actor) == ("superseded", f"replaced by {newer.id}", "user:anna")


def test_replace__active_rollout__each_change_is_told_once_and_the_end_says_by_which(older: Rollout) -> None:
    newer = replace()

    assert sorted(told()) == sorted(
        [("rollout.started", older.id), ("rollout.cancelled", older.id), ("rollout.started", newer.id)]
    )
    assert Event.objects.get(type="rollout.cancelled").data["superseded_by"] == newer.id


def test_replace__paused_or_held_for_anything_but_harm__ends_too(older: Rollout) -> None:
    services.pause(rollout_id=older.id, actor=ANNA, reason="lunch")
    Rollout.objects.filter(pk=older.pk).update(hold_reason=HoldReason.SAMPLE_RATIO)

    replace()

    older.refresh_from_db()
    assert (older.status, older.hold_reason) == ("cancelled", "")


@pytest.mark.parametrize(
    "held",
    [
        {"hold_reason": HoldReason.HARM_FOUND},
        {"hold_reason": HoldReason.EVALUATION_FAILED, "hold_before_failure": HoldReason.HARM_FOUND},
    ],
)
def test_replace__harm_was_found__refused_until_it_is_rolled_back(older: Rollout, held: dict[str, Any]) -> None:
    Rollout.objects.filter(pk=older.pk).update(**held)

    with pytest.raises(Conflict) as refusal:
        replace()

    assert (refusal.value.code, refusal.value.extra) == ("harm_found", {"rollout": older.id})
    assert Rollout.objects.get() == older
    services.rollback(rollout_id=older.id, actor=ANNA, reason="it does harm")
    assert replace().active


def test_replace__draft__replaces_when_it_is_started(older: Rollout) -> None:
    draft = replace(start=False)
    older.refresh_from_db()
    assert (draft.status, older.status) == ("draft", "running")

    services.start(rollout_id=draft.id, actor=ANNA, reason="now")

    older.refresh_from_db()
    assert older.status == "cancelled"
    assert Label.objects.get(name="production").held_by == draft.id


def test_replace__nothing_is_active__starts_like_any_other() -> None:
    given.prompt(versions=3)

    assert replace().active
    assert [type_ for type_, _ in told()] == ["rollout.started"]


def test_replace__the_new_one_is_refused__the_old_one_goes_on(older: Rollout) -> None:
    services.rollback(rollout_id=older.id, actor=ANNA, reason="bad")
    active = services.create_rollout(prompt_name="order-extractor", canary="1.2", plan=given.PLAN, actor=ANNA)
    before = told()

    with pytest.raises(Conflict, match="rolled back before"):
        replace("1.1")

    active.refresh_from_db()
    assert (active.status, Label.objects.get(name="production").held_by) == ("running", active.id)
    assert told() == before


def test_the_old_plan_asks_to_replace__does_not_decide_for_the_new_one(older: Rollout) -> None:
    replacing = replace()

    with pytest.raises(Conflict) as refusal:
        services.create_rollout(prompt_name="order-extractor", canary="1.1", plan=given.PLAN, actor=ANNA)

    assert (refusal.value.code, refusal.value.extra) == ("rollout_active", {"rollout": replacing.id})


def test_fault_11__replaced__nothing_of_the_old_evidence_comes_to_the_new_one(older: Rollout) -> None:
    for metric in ("error_rate", "hallucination"):
        given.observe_many(older, metric, control=(19_000, 380), canary=(1_000, 900))

    newer = replace()
    given.observe_many(older, "error_rate", control=(1_900, 38), canary=(100, 90))  # of calls that were still under way
    newer = given.look_now(newer)
    evaluation.discard_leftovers()

    assert (newer.status, newer.verdict and newer.verdict.kind) == ("running", "undecided")
    assert not Batch.objects.exists()
    assert evidence.rollout_ids() == set()
