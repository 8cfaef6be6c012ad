"""Many at once on one rollout: exactly one wins, the others get a Conflict, and nothing is told twice."""

import pytest

from common.clock import now
from common.errors import Conflict
from registry import services as registry_services
from registry.models import Event, Label
from rollout import evaluation, services
from rollout.models import Rollout, Status, Transition
from tests import rollouts as given
from tests.parallel import at_once
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
HARM = {"control": (19_000, 342), "canary": (1_000, 80)}  # 1.8 % against 8 %


@pytest.mark.parametrize("action", ["pause", "promote", "rollback", "cancel"])
def test_the_same_change_at_once__one_wins(action: str) -> None:
    rollout = given.rollout()
    change = getattr(services, action)

    results = at_once(*[lambda: change(rollout_id=rollout.id, actor=ANNA, reason="race")] * THREADS)

    refused = [result for result in results if isinstance(result, Conflict)]
    assert len(refused) == THREADS - 1
    assert {conflict.code for conflict in refused} == {"illegal_transition"}
    assert Transition.objects.filter(rollout=rollout).count() == 2
    assert Event.objects.filter(type__startswith="rollout.").count() == 2


def test_promote_and_rollback_at_once__one_wins_and_the_label_agrees() -> None:
    rollout = given.rollout()

    at_once(
        lambda: services.promote(rollout_id=rollout.id, actor=ANNA, reason="race"),
        lambda: services.rollback(rollout_id=rollout.id, actor=ANNA, reason="race"),
    )

    rollout.refresh_from_db()
    label = Label.objects.get(name="production")
    assert label.version == (rollout.canary if rollout.status == Status.PROMOTED else rollout.control)
    assert label.held_by == ""
    assert Transition.objects.filter(rollout=rollout).count() == 2


def test_starting_at_once__one_active_rollout_of_the_label() -> None:
    given.prompt()

    results = at_once(
        *[lambda: services.create_rollout(prompt_name="order-extractor", canary="1.1", actor=ANNA)] * THREADS
    )

    assert sum(isinstance(result, Rollout) for result in results) == 1
    assert {result.code for result in results if isinstance(result, Conflict)} == {"rollout_active"}
    assert Rollout.objects.count() == 1


def test_start_while_the_label_is_moved__the_control_is_what_it_points_at() -> None:
    given.prompt(versions=3)
    draft = services.create_rollout(prompt_name="order-extractor", canary="1.2", start=False, actor=ANNA)
    move = {"prompt_name": "order-extractor", "label": "production", "version": "1.1", "reason": "race", "actor": ANNA}

    results = at_once(
        lambda: services.start(rollout_id=draft.id, actor=ANNA), lambda: registry_services.move_label(**move)
    )

    rollout = Rollout.objects.get()
    assert rollout.control == Label.objects.get(name="production").version
    assert isinstance(results[0], Rollout)


def replace() -> Rollout:
    plan = given.PLAN | {"when_superseded": "replace"}
    return services.create_rollout(prompt_name="order-extractor", canary="1.1", plan=plan, actor=ANNA)


def test_replacing_at_once__the_label_passes_from_one_to_the_next_and_nobody_waits_for_ever() -> None:
    older = given.rollout()

    results = at_once(*[replace] * THREADS)

    newer = [result for result in results if isinstance(result, Rollout)]
    refused = {result.code for result in results if isinstance(result, Conflict)}
    assert newer
    assert refused <= {"rollout_active"}
    active = Rollout.objects.get(status=Status.RUNNING)
    assert (active in newer, Label.objects.get(name="production").held_by) == (True, active.id)
    ends = Event.objects.filter(type="rollout.cancelled")
    ended = sorted(ends.values_list("data__rollout__id", flat=True))
    assert ended == sorted({older.id, *(one.id for one in newer)} - {active.id})
    assert sorted(ends.values_list("data__superseded_by", flat=True)) == sorted(one.id for one in newer)


@pytest.mark.parametrize("action", ["pause", "promote", "rollback", "cancel"])
def test_replacing_while_the_older_one_is_changed_or_looked_at__one_active_and_no_ring_of_waits(action: str) -> None:
    older = given.rollout()
    given.observe(older, "hallucination", **HARM)
    Rollout.objects.update(next_look_at=now())

    at_once(
        replace,
        replace,
        lambda: evaluation.look(older.id),
        lambda: getattr(services, action)(rollout_id=older.id, actor=ANNA, reason="race"),
    )

    older.refresh_from_db()
    active = Rollout.objects.filter(status__in=(Status.RUNNING, Status.PAUSED)).first()
    assert Label.objects.get(name="production").held_by == (active.id if active else "")
    assert Transition.objects.filter(rollout=older).exclude(action="paused").count() == 2
    assert not older.active


def test_evaluators_at_once__one_look_one_transition_one_event() -> None:
    """Faults 2 and 28."""
    rollout = given.rollout()
    given.observe(rollout, "hallucination", **HARM)
    Rollout.objects.update(next_look_at=now())

    results = at_once(*[lambda: evaluation.look(rollout.id)] * THREADS)

    assert results.count(True) == 1
    assert Event.objects.filter(type="rollout.rolled_back").count() == 1
    assert Rollout.objects.get().status == Status.ROLLED_BACK


def test_evaluator_against_a_rollback_by_hand__one_of_them_did_it() -> None:
    rollout = given.rollout()
    given.observe(rollout, "hallucination", **HARM)
    Rollout.objects.update(next_look_at=now())

    at_once(
        lambda: evaluation.look(rollout.id),
        lambda: services.rollback(rollout_id=rollout.id, actor=ANNA, reason="race"),
    )

    assert Rollout.objects.get().status == Status.ROLLED_BACK
    assert Event.objects.filter(type="rollout.rolled_back").count() == 1


def test_changes_of_many_prompts_at_once__events_have_no_gap_and_nobody_waits_for_ever() -> None:
    rollouts = [given.rollout(f"prompt-{number}") for number in range(THREADS)]

    at_once(
        *[
            lambda rollout=rollout: services.pause(rollout_id=rollout.id, actor=ANNA, reason="race")  # type: ignore[misc]
            for rollout in rollouts
        ]
    )

    sequences = list(Event.objects.order_by("sequence").values_list("sequence", flat=True))
    assert sequences == list(range(1, len(sequences) + 1))
    assert Rollout.objects.filter(status=Status.PAUSED).count() == THREADS
