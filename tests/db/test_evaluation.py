"""The evaluator on real tables: from evidence to verdict, transition, label and event."""

import json
import math
from datetime import timedelta

import pytest
import time_machine

from common.clock import now
from observability import evidence
from observability.core.evidence import Exposure, Observation
from registry.models import Event, Label
from rollout import batches, evaluation, services
from rollout.core.plan import Plan
from rollout.models import Batch, Rollout, Verdict
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

HEALTHY = {"control": (1900, 34), "canary": (100, 2)}  # 1.8 %, the design's base rate, at 5 %
HARMFUL = {"control": (19_000, 342), "canary": (1_000, 80)}  # 1.8 % against 8 %: far beyond any threshold


def observe_all(rollout: Rollout, **arms: tuple[int, int]) -> None:
    for metric in ("error_rate", "hallucination"):
        given.observe(rollout, metric, **(HEALTHY | arms))


def serve_hold(rollout: Rollout) -> None:
    Rollout.objects.filter(pk=rollout.pk).update(hold_until=now() - timedelta(seconds=1))


def test_look__harm__rolled_back_with_verdict_transition_event_and_label() -> None:
    rollout = given.rollout()
    given.observe(rollout, "hallucination", **HARMFUL)
    given.observe(rollout, "error_rate", control=(19_000, 95), canary=(1_000, 5))

    rollout = given.look_now(rollout)

    assert (rollout.status, rollout.weight_bp) == ("rolled_back", 0)
    verdict = rollout.verdict
    assert verdict
    assert verdict.kind == "harmful"
    assert verdict.body["log_e_harm"] >= verdict.body["log_threshold"] == pytest.approx(math.log(20))
    by_name = {metric["name"]: metric for metric in verdict.body["metrics"]}
    assert by_name["hallucination"]["canary"]["n"] == 1000
    assert by_name["hallucination"]["canary"]["estimate"] == pytest.approx(0.08)
    assert by_name["hallucination"]["verdict"] == "harmful"
    assert by_name["error_rate"]["verdict"] != "harmful"
    transition = rollout.transitions.get(action="rolled_back")
    assert (transition.cause, transition.actor) == ("guardrail:hallucination", "system:evaluator")
    assert transition.verdict == verdict
    event = Event.objects.get(type="rollout.rolled_back")
    assert event.data["transition"]["verdict"]["guilty"] == ["hallucination"]
    assert Label.objects.get(name="production").version == rollout.control


def test_look__harm_while_paused__rolls_back_too() -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    given.observe(rollout, "hallucination", **HARMFUL)

    assert given.look_now(rollout).status == "rolled_back"


def test_look__no_harm_but_hold_not_served__stays_and_says_so() -> None:
    rollout = given.rollout()
    observe_all(rollout)

    rollout = given.look_now(rollout)

    assert (rollout.status, rollout.step) == ("running", 0)
    assert rollout.verdict
    assert "The hold of step 1 of 2 is not served yet." in rollout.verdict.body["reasons"]


def test_look__hold_served_and_evidence_of_this_step__goes_to_the_next_step() -> None:
    rollout = given.rollout(min_units=50)
    observe_all(rollout)
    serve_hold(rollout)

    rollout = given.look_now(rollout)

    assert (rollout.step, rollout.weight_bp) == (1, 5000)
    assert Event.objects.filter(type="rollout.step_advanced").count() == 1


def test_look__only_scores_and_no_traces__their_units_count() -> None:
    rollout = given.rollout(min_units=50, metrics=[{"name": "hallucination", "kind": "rate"}])
    given.observe(rollout, "hallucination", **HEALTHY)
    serve_hold(rollout)

    assert given.look_now(rollout).step == 1


def test_look__hold_served_without_evidence_from_this_step__stays() -> None:
    rollout = given.rollout(min_units=50)
    observe_all(rollout)
    serve_hold(rollout)
    rollout = given.look_now(rollout)
    serve_hold(rollout)

    rollout = given.look_now(rollout)

    assert (rollout.status, rollout.step) == ("running", 1)


def test_look__last_step_proven_safe__promoted() -> None:
    rollout = given.rollout(steps=[{"weight": "50%", "hold": "0s"}])
    equal = {"control": (20_000, 400), "canary": (20_000, 400)}  # far more than a proof needs (median 1 576 at 1.8 %)
    observe_all(rollout, **equal)

    rollout = given.look_now(rollout)

    assert rollout.status == "promoted"
    assert Label.objects.get(name="production").version == rollout.canary
    assert rollout.verdict
    assert rollout.verdict.kind == "safe"


def test_look__nothing_arrived__waits_without_promoting_or_repeating_itself() -> None:
    rollout = given.rollout()
    serve_hold(rollout)

    for _ in range(3):
        rollout = given.look_now(rollout)

    assert (rollout.status, rollout.step) == ("running", 0)
    assert rollout.verdicts.count() == 1
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("control", "canary"),
    [((38, 1), (1, 0)), ((500, 9), (0, 0)), ((0, 0), (500, 9))],
    ids=["39 observations", "only control", "only canary"],
)
def test_look__batch_not_full__stays_open_and_nothing_is_lost(
    control: tuple[int, int], canary: tuple[int, int]
) -> None:
    rollout = given.rollout()
    given.observe(rollout, "hallucination", control=control, canary=canary)

    given.look_now(rollout)
    assert not Batch.objects.exists()

    given.observe(rollout, "hallucination", control=(50, 0), canary=(2, 0))
    given.look_now(rollout)
    batch = Batch.objects.get()
    assert sum(batch.control.values()) == control[0] + 50
    assert sum(batch.canary.values()) == canary[0] + 2


def test_look__sample_ratio_broken__frozen_though_harm_is_there_too() -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(9_000, 90), canary=(1_000, 10))  # 10 % instead of 5 %
    given.observe(rollout, "hallucination", **HARMFUL)

    rollout = given.look_now(rollout)

    assert (rollout.status, rollout.hold_reason, rollout.weight_bp) == ("running", "sample_ratio", 500)
    assert Event.objects.filter(type="rollout.invalid").count() == 1
    rollout = given.look_now(rollout)
    assert (rollout.status, Event.objects.filter(type="rollout.invalid").count()) == ("running", 1)


def test_look__versions_that_the_arm_does_not_serve__are_no_evidence() -> None:
    rollout = given.rollout()
    rollout.control_id, rollout.canary_id = rollout.canary_id, rollout.control_id  # reported the wrong way round
    given.observe(rollout, "hallucination", **HARMFUL)

    rollout = given.look_now(Rollout.objects.get(pk=rollout.pk))

    assert rollout.status == "running"
    assert not Batch.objects.exists()


def test_look__time_is_up__held_as_inconclusive_once() -> None:
    rollout = given.rollout()
    Rollout.objects.filter(pk=rollout.pk).update(deadline_at=now() - timedelta(seconds=1))

    for _ in range(2):
        rollout = given.look_now(rollout)

    assert (rollout.status, rollout.hold_reason) == ("running", "inconclusive")
    assert Event.objects.filter(type="rollout.inconclusive").count() == 1


def test_look__auto_rollback_off__announced_and_left_to_a_person() -> None:
    rollout = given.rollout(auto_rollback=False)
    given.observe(rollout, "hallucination", **HARMFUL)

    for _ in range(2):
        rollout = given.look_now(rollout)

    assert (rollout.status, rollout.hold_reason, rollout.weight_bp) == ("running", "harm_found", 500)
    assert Event.objects.filter(type="rollout.harm_found").count() == 1
    assert services.rollback(rollout_id=rollout.id, actor=ANNA, reason="seen").status == "rolled_back"


def test_look__not_due__does_not_take_place() -> None:
    rollout = given.rollout(look_every="60s")

    assert not evaluation.look(rollout.id)
    assert evaluation.evaluate_due() == 0


def test_batches__folded_again_from_what_is_stored__give_the_same_state_to_the_last_bit() -> None:
    rollout = given.rollout()
    for seed in range(5):
        given.observe(rollout, "hallucination", control=(950, 17 + seed), canary=(50, seed), seed=seed)
        given.look_now(rollout)

    metric = rollout.metrics.get(name="hallucination")
    state = batches.refold(batches.freeze(metric, Plan.from_json(rollout.plan)), metric.closed_batches.all())
    assert metric.batches == 5
    assert json.loads(json.dumps(state.to_json())) == metric.state


def test_look__traffic_stopped_before_the_hold_was_served__stays_until_there_is_new_evidence() -> None:
    """Fault 19: what was good once is not taken to be good still."""
    rollout = given.rollout(min_units=50)
    observe_all(rollout)
    rollout = given.look_now(rollout)
    serve_hold(rollout)

    rollout = given.look_now(rollout)

    assert (rollout.step, rollout.verdict and rollout.verdict.body["reasons"]) == (
        0,
        ["No evidence has come since the last look."],
    )
    observe_all(rollout)
    assert given.look_now(rollout).step == 1


def test_look__warm_up__its_units_are_not_counted_either() -> None:
    rollout = given.rollout(warm_up="10m")
    given.observe(rollout, "error_rate", control=(9_000, 90), canary=(3_000, 30))  # a quarter instead of 5 %

    rollout = given.look_now(rollout)

    assert rollout.hold_reason == ""
    assert rollout.verdict
    assert rollout.verdict.body["canary_units"] == 0


def test_look__warm_up__what_was_too_little_for_a_batch__is_dropped_too() -> None:
    rollout = given.rollout(warm_up="10m")
    given.observe(rollout, "hallucination", control=(15, 0), canary=(15, 15))
    rollout = given.look_now(rollout)

    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        given.look_now(rollout)
        given.observe(rollout, "hallucination", control=(30, 0), canary=(30, 0))
        rollout = given.look_now(rollout)

    assert rollout.status == "running"
    assert Batch.objects.get().canary == {"0": 30}


def test_look__warm_up__what_arrives_in_it_is_dropped_and_what_comes_later_counts() -> None:
    rollout = given.rollout(warm_up="10m")
    given.observe(rollout, "hallucination", **HARMFUL)
    rollout = given.look_now(rollout)
    assert not Batch.objects.exists()

    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        given.observe(rollout, "hallucination", **HARMFUL)
        rollout = given.look_now(rollout)
        assert rollout.status == "running"
        assert not Batch.objects.exists()  # some of it may have come before the warm-up was over

        given.observe(rollout, "hallucination", **HARMFUL)
        assert given.look_now(rollout).status == "rolled_back"


def test_evidence__after_the_end__late_arrivals_change_nothing_and_are_discarded() -> None:
    ended, running = given.rollout("ended"), given.rollout("running", look_every="1h")  # not due, however slow the test
    observe_all(running)
    services.rollback(rollout_id=ended.id, actor=ANNA, reason="x")
    late = Exposure(ended.id, 0, "canary", 3)
    forged = Exposure("rol_of_nobody", 0, "canary", 3)
    evidence.add(
        Observation(exposure, ended.canary_id, "error_rate", 1000, count=10_000) for exposure in (late, forged)
    )

    evaluation.evaluate_due()
    evaluation.discard_leftovers()

    ended.refresh_from_db()
    assert ended.status == "rolled_back"
    assert not Verdict.objects.exists()
    assert evidence.rollout_ids() == {running.id}
