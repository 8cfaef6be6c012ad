"""The services that change rollouts: what they allow, refuse, record and tell."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from common.actors import Actor
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from registry import services as registry
from registry.core.content import Content
from registry.models import Event, Label
from registry.selectors import content_of
from rollout import services
from rollout.models import ACTIVE, HoldReason, Rollout, Status, Transition
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _label_is_held_exactly_while_a_rollout_is_active() -> Any:
    yield
    for label in Label.objects.all():
        active = Rollout.objects.filter(label=label, status__in=ACTIVE).first()
        assert label.held_by == (active.id if active else "")


def actions(rollout: Rollout) -> list[str]:
    return [transition.action for transition in rollout.transitions.order_by("revision")]


def test_create__started_at_once__is_on_its_first_step_and_told() -> None:
    rollout = given.rollout()

    assert (rollout.status, rollout.step, rollout.weight_bp, rollout.revision) == ("running", 0, 500, 2)
    assert (rollout.control.number, rollout.canary.number) == ("v1.0", "v1.1")
    assert [metric.name for metric in rollout.metrics.all()] == ["error_rate", "hallucination"]
    event = Event.objects.get(type="rollout.started")
    assert event.data["rollout"]["id"] == rollout.id
    assert event.data["transition"]["to_weight_bp"] == 500


def test_create__as_a_draft__waits_for_its_start() -> None:
    draft = given.rollout(start=False)
    assert (draft.status, draft.weight_bp, draft.next_look_at) == ("draft", 0, None)

    started = services.start(rollout_id=draft.id, actor=ANNA, reason="now")

    assert (started.status, started.weight_bp) == ("running", 500)


def test_start__label_moved_since_the_draft__starts_from_where_it_points() -> None:
    given.prompt(versions=3)
    draft = services.create_rollout(prompt_name="order-extractor", canary="1.2", start=False, actor=ANNA)
    registry.move_label(prompt_name="order-extractor", label="production", version="1.1", reason="a fix", actor=ANNA)

    assert services.start(rollout_id=draft.id, actor=ANNA).control.number == "v1.1"


def test_create__label_already_being_rolled_out__conflict_names_the_rollout() -> None:
    first = given.rollout()

    with pytest.raises(Conflict) as refusal:
        services.create_rollout(prompt_name="order-extractor", canary="1.1", actor=ANNA)

    assert refusal.value.code == "rollout_active"
    assert refusal.value.extra == {"rollout": first.id}


@pytest.mark.parametrize(
    ("request_", "error", "code"),
    [
        ({"prompt_name": "nothing"}, NotFound, "unknown_prompt"),
        ({"canary": "9.9"}, NotFound, "unknown_version"),
        ({"canary": "1.0"}, Conflict, "canary_is_control"),
        ({"label": "staging"}, NotFound, "unknown_label"),
        ({"label": "latest"}, Invalid, "invalid"),
        ({"plan": {"alpha": 2}}, Invalid, "invalid_plan"),
        ({"plan": {"metrics": [{"name": "error_rate", "margin": {"absolute": 0.01}}]}}, Invalid, "invalid_plan"),
        ({"plan": {"metrics": [{"name": "error_rate", "margin": {"ratio": 1.001}}]}}, Invalid, "invalid_plan"),
    ],
)
def test_create__something_wrong__refused_and_nothing_written(request_: Any, error: Any, code: str) -> None:
    given.prompt()

    with pytest.raises(error) as refusal, transaction.atomic():
        services.create_rollout(**{"prompt_name": "order-extractor", "canary": "1.1", "actor": ANNA, **request_})

    assert refusal.value.code == code
    assert not Rollout.objects.exists()


def test_create__another_major__needs_a_reason() -> None:
    given.prompt()
    registry.publish_version(
        prompt_name="order-extractor",
        content=Content("text", "Extract {{ order_text }} for {{ customer }}"),  # one more variable: a major change
        notes="needs the customer",
        actor=ANNA,
    )

    with pytest.raises(Conflict) as refusal:
        services.create_rollout(prompt_name="order-extractor", canary="2.0", actor=ANNA)
    assert refusal.value.code == "major_change"

    forced = services.create_rollout(
        prompt_name="order-extractor", canary="2.0", force_reason="all apps send it", actor=ANNA
    )
    assert forced.force_reason == "all apps send it"


def test_create__text_rolled_back_before__needs_a_reason_also_under_another_number() -> None:
    """Fault 13."""
    first = given.rollout()
    services.rollback(rollout_id=first.id, actor=ANNA, reason="bad")
    published = registry.publish_version(
        prompt_name="order-extractor",
        content=content_of(first.canary),
        notes="the same text again",
        actor=ANNA,
    )

    with pytest.raises(Conflict) as refusal:
        services.create_rollout(prompt_name="order-extractor", canary=published.version.number, actor=ANNA)
    assert refusal.value.code == "text_rolled_back_before"

    assert services.create_rollout(
        prompt_name="order-extractor", canary="1.1", force_reason="it was the judge", actor=ANNA
    ).active


def test_create__text_rolled_back_before_but_for_white_space__needs_a_reason() -> None:
    """Fault 13."""
    first = given.rollout()
    services.rollback(rollout_id=first.id, actor=ANNA, reason="bad")
    spaced = Content("text", first.canary.template.replace(" ", "  ") + "\n")
    published = registry.publish_version(prompt_name="order-extractor", content=spaced, notes="spaced", actor=ANNA)

    with pytest.raises(Conflict) as refusal:
        services.create_rollout(prompt_name="order-extractor", canary=published.version.number, actor=ANNA)

    assert (refusal.value.code, refusal.value.extra) == ("text_rolled_back_before", {"rollout": first.id})


def test_create__text_rolled_back_before_with_another_config__is_another_try() -> None:
    first = given.rollout()
    services.rollback(rollout_id=first.id, actor=ANNA, reason="bad")
    cooler = Content("text", first.canary.template, {"temperature": 0})
    published = registry.publish_version(prompt_name="order-extractor", content=cooler, notes="cooler", actor=ANNA)

    assert services.create_rollout(prompt_name="order-extractor", canary=published.version.number, actor=ANNA).active


def test_create__text_rolled_back_again__rests_before_it_is_forced_once_more(time_machine: Any) -> None:
    """Fault 13: an automation that always gives a reason gets one more try, then one an hour."""
    time_machine.move_to("2026-01-31T12:00:00Z", tick=False)
    first = given.rollout()
    force = {"prompt_name": "order-extractor", "canary": "1.1", "force_reason": "as ever", "actor": ANNA}
    services.rollback(rollout_id=first.id, actor=ANNA, reason="bad")
    registry.move_label(
        prompt_name="order-extractor", label="staging", version="1.0", reason="to try it there", actor=ANNA
    )
    draft = services.create_rollout(**force, label="staging", start=False)
    time_machine.shift(60)
    again = services.create_rollout(**force)
    services.rollback(rollout_id=again.id, actor=ANNA, reason="still bad")

    of_its_label = lambda: services.create_rollout(**force), {"rollout": again.id}
    of_another = lambda: services.start(rollout_id=draft.id, actor=ANNA), {}
    for attempt, named in (of_its_label, of_another):
        with pytest.raises(Conflict, match="after 2026-01-31T13:01:00Z") as refusal:
            attempt()
        assert refusal.value.code == "cooling_down"
        assert refusal.value.extra == {**named, "until": now() + timedelta(hours=1)}

    time_machine.shift(3600)
    assert services.create_rollout(**force).active


def test_rollback__weight_0_at_once_and_the_label_stays() -> None:
    rollout = services.rollback(rollout_id=given.rollout().id, actor=ANNA, reason="customers complain")

    assert (rollout.status, rollout.weight_bp, rollout.next_look_at) == ("rolled_back", 0, None)
    assert rollout.ended_at is not None
    assert Label.objects.get(name="production").version == rollout.control
    transition = rollout.transitions.get(action="rolled_back")
    assert (transition.from_weight_bp, transition.to_weight_bp) == (500, 0)
    assert (transition.actor, transition.reason, transition.cause) == ("user:anna", "customers complain", "by_hand")
    event = Event.objects.get(type="rollout.rolled_back")
    assert "-Extract the order, way 0" in event.data["diff"]["template"]
    assert event.data["traces"] == {"control": [], "canary": []}
    assert event.data["rollout"]["url"].endswith(f"/rollouts/{rollout.id}")


def test_promote__moves_the_label_and_records_the_move() -> None:
    rollout = services.promote(rollout_id=given.rollout().id, actor=ANNA, reason="sure")

    label = Label.objects.get(name="production")
    assert (rollout.status, rollout.weight_bp, label.version) == ("promoted", 0, rollout.canary)
    assert rollout.id in label.moves.first().reason  # type: ignore[union-attr]
    assert not Event.objects.filter(type="label.moved", data__to="v1.1").exists()


def test_cancel__the_text_may_be_tried_again_without_a_reason() -> None:
    services.cancel(rollout_id=given.rollout().id, actor=ANNA, reason="wrong draft")

    assert services.create_rollout(prompt_name="order-extractor", canary="1.1", actor=ANNA).active


def test_label__moved_by_hand_while_held__conflict_names_the_rollout() -> None:
    rollout = given.rollout()

    with pytest.raises(Conflict) as refusal:
        registry.move_label(prompt_name="order-extractor", label="production", version="1.1", reason="x", actor=ANNA)

    assert (refusal.value.code, refusal.value.extra) == ("rollout_active", {"rollout": rollout.id})


def test_pause_and_resume__what_was_left_of_the_hold_is_left(time_machine: Any) -> None:
    time_machine.move_to("2026-01-31T12:00:00Z", tick=False)
    rollout = given.rollout()
    time_machine.shift(4)
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    time_machine.shift(3600)

    resumed = services.resume(rollout_id=rollout.id, actor=ANNA, reason="back")

    assert resumed.status == "running"
    assert resumed.weight_bp == 500
    assert resumed.salt == rollout.salt
    assert (resumed.hold_until - now()).total_seconds() == 6  # type: ignore[operator]  # of 10, 4 were served
    assert (resumed.deadline_at - rollout.deadline_at).total_seconds() == 3600  # type: ignore[operator]
    assert resumed.paused_at is None


STATES = {
    "draft": lambda: given.rollout(start=False),
    "running": lambda: given.rollout(),
    "paused": lambda: services.pause(rollout_id=given.rollout().id, actor=ANNA, reason="x"),
    "promoted": lambda: services.promote(rollout_id=given.rollout().id, actor=ANNA, reason="x"),
    "rolled_back": lambda: services.rollback(rollout_id=given.rollout().id, actor=ANNA, reason="x"),
    "cancelled": lambda: services.cancel(rollout_id=given.rollout().id, actor=ANNA, reason="x"),
}
ACTIONS = {
    "start": services.start,
    "pause": services.pause,
    "resume": services.resume,
    "promote": services.promote,
    "rollback": services.rollback,
    "cancel": services.cancel,
}
ALLOWED = {
    "draft": {"start", "cancel"},
    "running": {"pause", "promote", "rollback", "cancel"},
    "paused": {"resume", "promote", "rollback", "cancel"},
    "promoted": set(),
    "rolled_back": set(),
    "cancelled": set(),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_every_action_in_every_state__allowed_or_a_conflict_that_changes_nothing(state: str, action: str) -> None:
    """Fault 10."""
    rollout = STATES[state]()
    before = Transition.objects.count(), Event.objects.count()

    if action in ALLOWED[state]:
        changed = ACTIONS[action](rollout_id=rollout.id, actor=ANNA, reason="try")
        assert changed.revision == rollout.revision + 1
        assert (Transition.objects.count(), Event.objects.count()) == (before[0] + 1, before[1] + 1)
    else:
        with pytest.raises(Conflict) as refusal:
            ACTIONS[action](rollout_id=rollout.id, actor=ANNA, reason="try")
        assert refusal.value.code == "illegal_transition"
        assert refusal.value.extra["rollout_status"] == state
        assert (Transition.objects.count(), Event.objects.count()) == before


def test_rollback__stale_revision__conflict_with_both_sides() -> None:
    rollout = given.rollout()

    with pytest.raises(Conflict) as refusal:
        services.rollback(rollout_id=rollout.id, actor=ANNA, reason="x", expected_revision=1)

    assert refusal.value.code == "stale_revision"
    assert (refusal.value.extra["expected_revision"], refusal.value.extra["revision"]) == (1, 2)


def test_unknown_rollout__not_found() -> None:
    with pytest.raises(NotFound):
        services.pause(rollout_id="rol_nothing", actor=Actor("user", "x"), reason="x")


def test_events__have_no_gaps_over_any_story() -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="x")
    services.resume(rollout_id=rollout.id, actor=ANNA, reason="x")
    with pytest.raises(Conflict), transaction.atomic():
        services.resume(rollout_id=rollout.id, actor=ANNA, reason="x")
    services.promote(rollout_id=rollout.id, actor=ANNA, reason="x")

    sequences = list(Event.objects.order_by("sequence").values_list("sequence", flat=True))
    assert sequences == list(range(1, len(sequences) + 1))
    assert actions(rollout) == ["started", "paused", "resumed", "promoted"]


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"weight_bp": 10_001}, "weight_between_0_and_10000"),
        ({"status": "sleeping", "next_look_at": None, "weight_bp": 0}, "rollout_status_is_known"),
        ({"status": Status.ROLLED_BACK, "next_look_at": None}, "only_an_active_rollout_has_weight"),
        ({"next_look_at": None}, "an_active_rollout_has_a_next_look"),
    ],
)
def test_the_database_refuses_what_must_not_be(fields: dict[str, Any], constraint: str) -> None:
    rollout = given.rollout()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Rollout.objects.filter(pk=rollout.pk).update(**fields)


def test_the_database_refuses_a_second_active_rollout_of_a_label() -> None:
    rollout = given.rollout()
    rollout.pk = "rol_second"

    with pytest.raises(IntegrityError), transaction.atomic():
        rollout.save(force_insert=True)


def test_hold_reasons__each_has_its_event() -> None:
    assert set(services.EVENT_OF_HOLD) == set(HoldReason)
