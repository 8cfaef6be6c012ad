"""Faults that other canary services had, numbered as in docs/explanation/faults.md, where no other test has them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.test import Client

from common.clock import now
from common.errors import Conflict, Invalid
from observability import evidence
from observability.core.evidence import Exposure, Observation
from registry import services as registry
from registry.models import Event, Label, PromptVersion
from registry.selectors import content_of
from rollout import evaluation, services
from rollout.models import Batch, Delivery, Rollout
from rollout.webhooks import services as webhooks
from tests import make
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOLD_S = 10  # of given.PLAN, both steps; it looks every second
METRICS = ("error_rate", "hallucination")
HALVES = {"control": (2000, 40), "canary": (2000, 40)}  # on a first step of 50 %
QUICK: dict[str, Any] = {"promote_when": "no_harm_found", "min_units": 0}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def observe(rollout: Rollout, *, step: int | None = None, **arms: tuple[int, int]) -> None:
    """Health at the shares of the step, 5 % and 50 %, but for what is given."""
    on = Rollout.objects.get(pk=rollout.pk)
    on.step = on.step if step is None else step
    healthy = {"control": [(1900, 38), (2000, 40)][on.step], "canary": [(100, 2), (2000, 40)][on.step]}
    for metric in METRICS:
        given.observe_many(on, metric, **(healthy | arms))


def actions(rollout: Rollout) -> list[str]:
    return list(rollout.transitions.order_by("revision").values_list("action", flat=True))


def test_fault_5__evaluator_away_for_hours__one_look_one_step_one_event(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(**QUICK)
    for _ in range(5):
        observe(rollout)
        clock.shift(3600)

    assert evaluation.evaluate_due() == 1
    assert evaluation.evaluate_due() == 0

    rollout.refresh_from_db()
    assert actions(rollout) == ["started", "step_advanced"]
    assert Batch.objects.count() == len(METRICS)  # all that was missed, in one batch of each
    told = Event.objects.get(type="rollout.step_advanced").data["transition"]
    assert (told["from_weight_bp"], told["to_weight_bp"]) == (500, 5000)
    assert rollout.hold_until
    assert (rollout.hold_until - now()).total_seconds() == HOLD_S  # from now on, not from when it could have begun


def test_fault_6__look_on_the_very_second__takes_place_once(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(**QUICK)
    observe(rollout)
    clock.shift(HOLD_S)
    rollout = Rollout.objects.get(pk=rollout.pk)
    assert rollout.hold_until == now()

    assert [evaluation.look(rollout.id) for _ in range(3)] == [True, False, False]

    assert actions(rollout) == ["started", "step_advanced"]


def test_fault_6__clock_goes_back__harm_is_found_by_the_right_time(clock: time_machine.Traveller) -> None:
    clock.shift(10 * 365 * 86_400)  # of a machine that believes it is 2036
    rollout = given.rollout()
    clock.move_to(START)
    observe(rollout, canary=(2_000, 1_000), control=(38_000, 760))

    assert evaluation.evaluate_due() == 1

    rollout.refresh_from_db()
    assert rollout.status == "rolled_back"


def test_fault_6__clock_goes_back_a_little__waits_and_loses_nothing(clock: time_machine.Traveller) -> None:
    rollout = given.rollout()
    observe(rollout)
    clock.shift(-60)
    assert evaluation.evaluate_due() == 0

    clock.shift(62)

    assert evaluation.evaluate_due() == 1
    assert Batch.objects.filter(metric__rollout=rollout).count() == len(METRICS)


def test_fault_7__paused_on_the_last_step__its_hold_is_served_all_the_same(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(steps=[{"weight": "50%", "hold": "10s"}], **QUICK)
    clock.shift(4)
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    clock.shift(3600)
    services.resume(rollout_id=rollout.id, actor=ANNA, reason="back")
    clock.shift(5)
    observe(rollout, **HALVES)
    assert given.look_now(rollout).status == "running"

    clock.shift(1)
    observe(rollout, **HALVES)

    assert given.look_now(rollout).status == "promoted"


def test_fault_7__paused_while_a_person_is_waited_for__still_waits_after_the_resume(
    clock: time_machine.Traveller,
) -> None:
    rollout = given.rollout(steps=[{"weight": "5%", "hold": "10s"}], auto_promote=False, **QUICK)
    observe(rollout)
    clock.shift(HOLD_S)
    assert given.look_now(rollout).hold_reason == "proven_safe"

    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    observe(rollout)
    assert given.look_now(rollout).status == "paused"
    services.resume(rollout_id=rollout.id, actor=ANNA, reason="back")
    observe(rollout)

    rollout = given.look_now(rollout)
    assert (rollout.status, rollout.hold_reason) == ("running", "proven_safe")
    assert actions(rollout) == ["started", "proven_safe", "paused", "resumed"]


def test_fault_11__new_version_meanwhile__changes_nothing_of_the_rollout() -> None:
    rollout = given.rollout()
    published = registry.publish_version(
        prompt_name="order-extractor", content=content_of(rollout.canary), notes="another", version="1.2", actor=ANNA
    ).version

    with pytest.raises(Conflict, match="already being rolled out"):
        services.create_rollout(prompt_name="order-extractor", canary="1.2", actor=ANNA)
    evidence.add(  # of calls that were given the new version, by whatever way
        Observation(Exposure(rollout.id, 0, "canary", n % 256), published.pk, "hallucination", 1000)
        for n in range(1_000)
    )
    rollout = given.look_now(rollout)

    assert (rollout.control.number, rollout.canary.number, rollout.status) == ("v1.0", "v1.1", "running")
    assert not Batch.objects.exists()


def test_fault_11__rolled_back__to_the_version_that_was_promoted_last() -> None:
    given.prompt(versions=3)
    first = services.create_rollout(prompt_name="order-extractor", canary="1.1", plan=given.PLAN, actor=ANNA)
    services.promote(rollout_id=first.id, actor=ANNA, reason="good")
    second = services.create_rollout(prompt_name="order-extractor", canary="1.2", plan=given.PLAN, actor=ANNA)

    services.rollback(rollout_id=second.id, actor=ANNA, reason="bad")

    assert Label.objects.get(name="production").version.number == "v1.1"


def test_fault_12__versions_of_an_active_rollout__cannot_be_changed_or_taken_away() -> None:
    rollout = given.rollout()

    with pytest.raises(Conflict) as refusal:
        registry.archive_prompt(prompt=rollout.prompt, actor=ANNA)
    assert refusal.value.code == "rollout_active"
    with pytest.raises(DatabaseError, match="version_is_immutable"), transaction.atomic():
        PromptVersion.objects.filter(pk=rollout.canary_id).update(template="another text")


@pytest.mark.parametrize(
    ("weights", "accepted"),
    [(["0%"], False), (["100%"], False), (["50%", "5%"], False), (["5%", "5%"], False), (["0.1%", "99.99%"], True)],
)
def test_fault_14__weights(weights: list[str], accepted: bool) -> None:
    given.prompt()
    plan = given.PLAN | {"steps": [{"weight": weight, "hold": "0s"} for weight in weights]}

    try:
        rollout = services.create_rollout(prompt_name="order-extractor", canary="1.1", plan=plan, actor=ANNA)
    except Invalid:
        assert not accepted
    else:
        assert accepted
        assert rollout.weight_bp == 10


@pytest.mark.parametrize(
    ("control", "canary", "found"),
    [
        ((0, 0), (0, 0), "undecided"),
        ((38, 1), (0, 0), "undecided"),
        ((1900, 38), (0, 0), "invalid"),  # so many scores of one arm are the other fault, 26
        ((0, 0), (100, 100), "invalid"),
    ],
    ids=["none", "little of one arm", "only control", "only canary"],
)
def test_fault_16__an_arm_without_data__neither_promoted_nor_rolled_back(
    control: tuple[int, int], canary: tuple[int, int], found: str, clock: time_machine.Traveller
) -> None:
    rollout = given.rollout(metrics=[{"name": "hallucination", "kind": "rate"}], **QUICK)
    given.observe_many(rollout, "hallucination", control=control, canary=canary)
    clock.shift(HOLD_S)

    rollout = given.look_now(rollout)

    assert (rollout.status, rollout.step, rollout.weight_bp) == ("running", 0, 500)
    assert rollout.verdict
    assert rollout.verdict.kind == found


def test_fault_17__late_evidence_of_the_step_before__belongs_to_that_step(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(**QUICK)
    observe(rollout)
    clock.shift(HOLD_S)
    rollout = given.look_now(rollout)
    assert rollout.step == 1
    clock.shift(HOLD_S)
    observe(rollout, step=0)

    rollout = given.look_now(rollout)

    assert (rollout.status, rollout.step) == ("running", 1)  # what is new says nothing of this step
    assert set(Batch.objects.filter(number=2).values_list("step", flat=True)) == {0}


def test_fault_17__spike_after_an_outage__a_batch_like_any_other(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(**QUICK)
    for _ in range(50):  # what exporters had kept, in one look
        observe(rollout)
    clock.shift(HOLD_S)

    rollout = given.look_now(rollout)

    assert actions(rollout) == ["started", "step_advanced"]
    batch = Batch.objects.get(metric__name="error_rate")
    assert (sum(batch.control.values()), sum(batch.canary.values())) == (50 * 1900, 50 * 100)


@pytest.mark.parametrize("on_inconclusive", ["hold", "promote", "rollback"])
def test_fault_18__no_evidence_until_its_time_is_up__as_the_plan_says_but_never_promoted(
    on_inconclusive: str, clock: time_machine.Traveller
) -> None:
    rollout = given.rollout(on_inconclusive=on_inconclusive, max_duration="1h", **QUICK)
    clock.shift(3600)

    rollout = given.look_now(rollout)

    assert actions(rollout)[1:] == (["rolled_back"] if on_inconclusive == "rollback" else ["inconclusive"])


def test_fault_19__traffic_stops_after_a_step__does_not_go_on(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(**QUICK)
    observe(rollout)
    clock.shift(HOLD_S)
    assert given.look_now(rollout).step == 1

    for _ in range(5):
        clock.shift(HOLD_S)
        rollout = given.look_now(rollout)

    assert actions(rollout) == ["started", "step_advanced"]
    assert rollout.weight_bp == 5000


def test_fault_20__guardrail_that_nothing_ever_reports__is_waited_for_not_passed(clock: time_machine.Traveller) -> None:
    misspelled = [{"name": "error_rate"}, {"name": "halucination", "kind": "rate"}]
    rollout = given.rollout(metrics=misspelled, **QUICK)
    given.observe_many(rollout, "error_rate", control=(1900, 38), canary=(100, 2))
    given.observe_many(rollout, "hallucination", control=(1900, 38), canary=(100, 2))
    clock.shift(HOLD_S)

    rollout = given.look_now(rollout)

    assert actions(rollout) == ["started"]
    assert rollout.verdict
    assert "There is no evidence of halucination from this step yet." in rollout.verdict.body["reasons"]


def test_fault_20__name_that_was_never_seen__needs_its_kind_said() -> None:
    with pytest.raises(Invalid) as refusal:
        given.rollout(metrics=[{"name": "halucination"}])

    assert [error.field for error in refusal.value.errors] == ["plan.metrics[0].kind"]


@pytest.mark.parametrize(
    ("control", "canary", "status"),
    [
        ((19_000, 0), (1_000, 60), "rolled_back"),
        ((19_000, 0), (1_000, 0), "running"),
        ((19_000, 19_000), (1_000, 1_000), "running"),
        ((38, 0), (2, 2), "running"),  # 40 observations: a batch, but no proof of anything
    ],
    ids=["only the canary fails", "nothing fails", "everything fails", "hardly any"],
)
def test_fault_21__extreme_rates(control: tuple[int, int], canary: tuple[int, int], status: str) -> None:
    rollout = given.rollout()
    given.observe_many(rollout, "hallucination", control=control, canary=canary)

    assert given.look_now(rollout).status == status


def test_fault_22__harm_once_found__stays_found(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(auto_rollback=False)
    observe(rollout, canary=(2_000, 1_000), control=(38_000, 760))
    rollout = given.look_now(rollout)
    for _ in range(3):
        observe(rollout, canary=(20_000, 0), control=(380_000, 7_600))  # far better than the control
        rollout = given.look_now(rollout)

    assert (rollout.hold_reason, rollout.verdict and rollout.verdict.kind) == ("harm_found", "harmful")
    assert actions(rollout) == ["started", "harm_found"]


@pytest.mark.parametrize(("role", "status"), [("guardrail", "rolled_back"), ("observed", "running")])
def test_fault_23__metrics_disagree__one_guardrail_is_enough_and_an_observed_metric_is_not(
    role: str, status: str
) -> None:
    rollout = given.rollout(metrics=[{"name": "error_rate"}, {"name": "hallucination", "kind": "rate", "role": role}])
    given.observe_many(rollout, "error_rate", control=(38_000, 760), canary=(2_000, 0))
    given.observe_many(rollout, "hallucination", control=(38_000, 760), canary=(2_000, 1_000))

    assert given.look_now(rollout).status == status


def test_fault_25__rates_rise_with_the_weight__pooled_it_would_look_like_harm(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(promote_when="proven_safe", min_units=0)
    observe(rollout, control=(38_000, 380), canary=(2_000, 20))  # 1 % in both arms
    clock.shift(HOLD_S)
    rollout = given.look_now(rollout)
    assert rollout.step == 1
    observe(rollout, control=(20_000, 1_000), canary=(20_000, 1_000))  # 5 % in both arms

    rollout = given.look_now(rollout)

    assert rollout.status == "running"  # pooled: 2.4 % of 58 000 calls against 4.6 % of 22 000, z = 16
    assert rollout.verdict
    assert rollout.verdict.body["log_e_harm"] < 0


def test_fault_26__arm_that_gets_nothing__invalid_instead_of_safe(clock: time_machine.Traveller) -> None:
    rollout = given.rollout(**QUICK)
    observe(rollout, control=(2_000, 40), canary=(0, 0))
    clock.shift(HOLD_S)

    assert given.look_now(rollout).hold_reason == "sample_ratio"


def test_fault_26__one_unit_makes_a_tenth_of_all_calls__is_no_broken_ratio() -> None:
    rollout = given.rollout()
    observe(rollout)
    exposure = Exposure(rollout.id, 0, "control", 7)  # a bot
    evidence.add([Observation(exposure, rollout.control_id, "error_rate", 0, count=200)])

    assert given.look_now(rollout).hold_reason == ""


def test_fault_27__judge_that_is_away__is_waited_for_while_errors_still_roll_back(
    clock: time_machine.Traveller,
) -> None:
    rollout = given.rollout(**QUICK)
    given.observe_many(rollout, "error_rate", control=(1900, 38), canary=(100, 2))
    clock.shift(HOLD_S)
    assert actions(given.look_now(rollout)) == ["started"]

    given.observe_many(rollout, "error_rate", control=(19_000, 380), canary=(1_000, 500))

    assert given.look_now(rollout).status == "rolled_back"


def test_fault_28__looks_that_were_missed__are_one_look(clock: time_machine.Traveller) -> None:
    rollout = given.rollout()
    clock.shift(100)  # of a look every second: an evaluator that cannot keep up

    assert [evaluation.evaluate_due() for _ in range(3)] == [1, 0, 0]

    rollout.refresh_from_db()
    assert rollout.next_look_at
    assert (rollout.next_look_at - now()).total_seconds() == 1


def roll_back_by_verdict(rollout: Rollout) -> None:
    observe(rollout, canary=(100, 90))
    given.look_now(rollout)


def roll_back_by_verdict_while_paused(rollout: Rollout) -> None:
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    roll_back_by_verdict(rollout)


def roll_back_when_its_time_is_up(rollout: Rollout) -> None:
    Rollout.objects.filter(pk=rollout.pk).update(deadline_at=now())
    given.look_now(rollout)


def roll_back_by_api(rollout: Rollout) -> None:
    headers = {"Authorization": f"Bearer {make.key('write')}"}
    body = {"reason": "customers complain", "revision": rollout.revision}
    address = f"/api/v1/rollouts/{rollout.id}/rollback"
    assert Client().post(address, body, content_type="application/json", headers=headers).status_code == 200


def roll_back_on_its_page(rollout: Rollout) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("anna"))
    form = {"reason": "customers complain", "revision": rollout.revision}
    assert client.post(f"/rollouts/{rollout.id}/rollback", form).status_code == 302


@pytest.mark.parametrize(
    "roll_back",
    [
        roll_back_by_verdict,
        roll_back_by_verdict_while_paused,
        roll_back_when_its_time_is_up,
        roll_back_by_api,
        roll_back_on_its_page,
    ],
)
def test_fault_35__every_way_to_a_rollback__told_once_and_no_receiver_is_waited_for(
    roll_back: Callable[[Rollout], None],
) -> None:
    """Nobody listens at the endpoint, and no worker runs: the rollback is there all the same, and will be told."""
    webhooks.create_endpoint(url="https://nobody.example.com/hook", actor=ANNA)
    rollout = given.rollout(on_inconclusive="rollback")

    roll_back(rollout)

    rollout.refresh_from_db()
    assert (rollout.status, rollout.weight_bp) == ("rolled_back", 0)
    event = Event.objects.get(type="rollout.rolled_back")
    delivery = Delivery.objects.get(event=event)
    assert (delivery.status, delivery.log.count()) == ("pending", 0)
