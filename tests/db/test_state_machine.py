"""Fault 15: whatever people, evaluators, evidence and clocks do, in any order, rollouts stay what they promise to be.

Hypothesis draws stories of actions, looks, arriving evidence, kills and clock moves, on the real services and the real
evaluator, and shortens one that breaks an invariant. Faults 8, 9, 10 and 28 are among what is drawn.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count, pairwise
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.models import Count, Max
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from common.clock import now
from common.errors import Conflict
from observability import evidence
from observability.core.evidence import TOP_LOG_BIN
from observability.models import Evidence
from registry import services as registry
from registry.models import Event, Label, LabelMove
from rollout import evaluation, services
from rollout.models import ACTIVE, Batch, Delivery, HoldReason, Metric, Rollout, Status, Transition, Verdict
from rollout.webhooks import services as webhooks
from tests import rollouts as given
from tests.parallel import at_once
from tests.rollouts import ANNA

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
LOOK_EVERY_S, HOLD_S, MAX_DURATION_S = 10, 30, 3600
PLAN: dict[str, Any] = {
    "steps": [{"weight": "5%", "hold": f"{HOLD_S}s"}, {"weight": "50%", "hold": f"{HOLD_S}s"}],
    "metrics": [{"name": "error_rate"}, {"name": "hallucination", "kind": "rate"}],
    "look_every": f"{LOOK_EVERY_S}s",
    "max_duration": f"{MAX_DURATION_S}s",
}
BY_HAND = PLAN | {"promote_when": "no_harm_found", "auto_rollback": False, "auto_promote": False}
BY_ITSELF = PLAN | {"promote_when": "no_harm_found", "min_units": 0, "on_inconclusive": "rollback"}
IN_DOUBT_FOR = PLAN | {"on_inconclusive": "promote"}
REPLACING = BY_ITSELF | {"when_superseded": "replace"}
plans = st.sampled_from([BY_HAND, BY_ITSELF, IN_DOUBT_FOR, REPLACING])

ACTIONS = {
    "start": services.start,
    "pause": services.pause,
    "resume": services.resume,
    "promote": services.promote,
    "rollback": services.rollback,
    "cancel": services.cancel,
}
MAY = {
    "draft": {"start", "cancel"},
    "running": {"pause", "promote", "rollback", "cancel"},
    "paused": {"resume", "promote", "rollback", "cancel"},
}
FINAL = {Status.PROMOTED, Status.ROLLED_BACK, Status.CANCELLED}
SEEN = 20_000
"""Calls of the canary that are far more than a proof needs, either way."""
NUMBERS = count(1)


class Killed(BaseException):
    """The process ends here: not an Exception, so nothing of the code under test handles it."""


@contextmanager
def dying_at_write(number: int, error: BaseException) -> Iterator[None]:
    """Instead of the write of this number the error is raised, once; at none when there are fewer."""
    writes = count(1)

    def write(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE")) and next(writes) == number:
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(write):
        yield


class Rollouts(RuleBasedStateMachine):
    """Two labels of one prompt with three versions, and the rollouts that are drawn for them."""

    rollouts = Bundle("rollouts")
    label = st.sampled_from(["production", "production", "staging"])
    version = st.sampled_from(["1.1", "1.2", "1.0"])
    action = st.sampled_from(["pause", "resume", *ACTIONS])
    write = st.integers(1, 9)

    def __init__(self, first_state: str) -> None:
        super().__init__()
        self.first_state = first_state
        self._travel = time_machine.travel(START, tick=False)
        self.clock = self._travel.start()
        self.prompt = given.prompt(f"prompt-{next(NUMBERS)}", versions=3)
        self.points_at = {"production": "v1.0", "staging": "v1.0"}
        self.move("staging", "1.0")
        self.ended: dict[str, Any] = {}

    def teardown(self) -> None:
        for rollout in Rollout.objects.filter(status__in=ACTIVE):
            services.cancel(rollout_id=rollout.id, actor=ANNA, reason="the story is over")
        self._travel.stop()

    # What is done by people

    @initialize(target=rollouts)
    def begin(self) -> Any:
        """Most states would take too long to come to by chance."""
        plan, happenings = BEGINNINGS[self.first_state]
        id_ = self.create("production", "1.1", plan, start=self.first_state != Status.DRAFT, force_reason="")
        for happening in happenings:
            happening(self, id_)
        rollout = self.read(id_)
        assert (rollout.hold_reason or rollout.status) == self.first_state
        return id_

    @rule(
        target=rollouts,
        label=label,
        canary=version,
        plan=plans,
        start=st.sampled_from([True, True, False]),
        force_reason=st.sampled_from(["it was the judge", ""]),
    )
    def create(self, label: str, canary: str, plan: dict[str, Any], start: bool, force_reason: str) -> Any:
        created = self.attempt(
            lambda: services.create_rollout(
                prompt_name=self.prompt.name,
                canary=canary,
                label=label,
                plan=plan,
                start=start,
                force_reason=force_reason,
                actor=ANNA,
            ),
            self.refusal(label, f"v{canary}", force_reason, plan, starts=start),
        )
        return created.id if created else multiple()

    @rule(id_=rollouts, action=action, revision=st.sampled_from([None, 0, -1]))
    def act(self, id_: str, action: str, revision: int | None) -> None:
        """On any rollout, also one that has ended, without a revision, with the one it has, or with a stale one."""
        rollout = self.read(id_)
        refused_as = None
        if revision == -1:
            refused_as = "stale_revision"
        elif action not in MAY.get(rollout.status, ()):
            refused_as = "illegal_transition"
        elif action == "start":
            refused_as = self.refusal(
                rollout.label.name, rollout.canary.number, rollout.force_reason, rollout.plan, starts=True
            )
        seen = None if revision is None else rollout.revision + revision
        self.attempt(
            lambda: ACTIONS[action](rollout_id=id_, actor=ANNA, reason="drawn", expected_revision=seen), refused_as
        )

    @rule(id_=rollouts, action=action)
    def act_twice(self, id_: str, action: str) -> None:
        if action in MAY.get(self.read(id_).status, ()):
            self.act(id_, action, None)
        if action not in MAY.get(self.read(id_).status, ()):  # a start may have been refused, for its label is held
            self.act(id_, action, None)

    @rule(label=label, version=version)
    def move(self, label: str, version: str) -> None:
        held = Rollout.objects.filter(prompt=self.prompt, label__name=label, status__in=ACTIVE).exists()
        moved = self.attempt(
            lambda: registry.move_label(
                prompt_name=self.prompt.name, label=label, version=version, reason="drawn", actor=ANNA
            ),
            "rollout_active" if held else None,
        )
        if moved:
            self.points_at[label] = f"v{version}"

    @rule(label=label, seconds=st.sampled_from([1, MAX_DURATION_S]))
    def pause_and_resume(self, label: str, seconds: int) -> None:
        """Fault 7: what was left of the hold and of max_duration is left."""
        before = self.active(label)
        if before is None or before.status != Status.RUNNING:
            return
        services.pause(rollout_id=before.id, actor=ANNA, reason="lunch")
        self.clock.shift(seconds)
        after = services.resume(rollout_id=before.id, actor=ANNA, reason="back")

        paused_for = timedelta(seconds=seconds)
        assert (after.hold_until, after.deadline_at) == (
            before.hold_until and before.hold_until + paused_for,
            before.deadline_at and before.deadline_at + paused_for,
        )

    # What arrives

    @rule(
        id_=rollouts,
        counts=st.sampled_from([((1900, 38), (100, 2)), ((1900, 38), (0, 0)), ((0, 0), (100, 2)), ((30, 1), (9, 0))]),
        step=st.sampled_from([0, 0, 0, -1, 1, 9]),
        swapped=st.sampled_from([False, False, True]),
    )
    def observe(self, id_: str, counts: Any, step: int, swapped: bool) -> None:
        """Evidence of the step, of an earlier one, of one that never was, or of versions the arms do not serve."""
        rollout = self.read(id_)
        if swapped:
            rollout.control_id, rollout.canary_id = rollout.canary_id, rollout.control_id
        rollout.step = max(0, rollout.step + step)
        self.observe_both(rollout, *counts)

    @rule(label=label)
    def observe_wrong_shares_until_they_are_found(self, label: str) -> None:
        if rollout := self.active(label):
            given.observe_many(rollout, "error_rate", control=(SEEN, SEEN // 50), canary=(3 * SEEN, SEEN // 50))
        self.clock.shift(LOOK_EVERY_S + 1)
        evaluation.evaluate_due()

    @rule(label=label)
    def observe_health_until_it_goes_on(self, label: str) -> None:
        if rollout := self.active(label):
            self.observe_both(rollout, self.control(rollout), (SEEN, SEEN // 50))
        self.clock.shift(HOLD_S + 1)
        evaluation.evaluate_due()

    @rule(label=label)
    def observe_harm_until_it_is_found(self, label: str) -> None:
        if not (before := self.active(label)):
            return
        given.observe_many(before, "hallucination", control=self.control(before), canary=(SEEN, SEEN))
        self.make_due(before)
        evaluation.evaluate_due()

        after = self.read(before.id)
        # Neither on arms that do not get their shares, which the cap that holds a rollout hides, is harm found.
        if after.hold_reason not in ("sample_ratio", "spend_cap"):
            found = (Status.ROLLED_BACK, "") if after.plan["auto_rollback"] else (before.status, "harm_found")
            assert (after.status, after.hold_reason) == found

    # What the evaluator does, and what becomes of it

    @rule()
    def tick(self) -> None:
        evaluation.evaluate_due()
        evaluation.discard_leftovers()

        active = [rollout for rollout in self.all() if rollout.active]
        latest = now() + evaluation.RETRY_AFTER + evaluation.CLOCKS_DIFFER_BY
        assert all(rollout.next_look_at and now() < rollout.next_look_at <= latest for rollout in active)
        assert evidence.rollout_ids() <= {rollout.id for rollout in active}

    @rule(id_=rollouts)
    def look(self, id_: str) -> None:
        """Early, late, or a second time at the same moment: it takes place if it is due and then not again."""
        due = self.is_due(id_)

        assert evaluation.look(id_) == due
        assert not evaluation.look(id_)

    @rule(id_=rollouts)
    def look_at_once(self, id_: str) -> None:
        due = self.is_due(id_)

        assert at_once(*[lambda: evaluation.look(id_)] * 2).count(True) == due

    @rule(label=label, action=st.sampled_from(["pause", "promote", "rollback", "cancel"]))
    def look_and_act_at_once(self, label: str, action: str) -> None:
        if rollout := self.active(label):
            at_once(
                lambda: evaluation.look(rollout.id),
                lambda: ACTIONS[action](rollout_id=rollout.id, actor=ANNA, reason="race"),
            )

    @rule(label=label, number=write)
    def kill_look(self, label: str, number: int) -> None:
        if rollout := self.active(label):
            self.give_work(rollout)
            self.kill(lambda: evaluation.look(rollout.id), number)

    @rule(label=label, action=action, number=write)
    def kill_action(self, label: str, action: str, number: int) -> None:
        if rollout := self.active(label):
            self.kill(lambda: ACTIONS[action](rollout_id=rollout.id, actor=ANNA, reason="drawn"), number)

    @rule(label=label, number=write, recovers=st.booleans())
    def fail_look(self, label: str, number: int, recovers: bool) -> None:
        """Fault 9, at any of its writes."""
        if not (before := self.active(label)):
            return
        self.give_work(before)

        with dying_at_write(number, RuntimeError("a bug")):
            evaluation.evaluate_due()

        after = self.read(before.id)
        if after.hold_reason == "evaluation_failed":
            assert (after.status, after.weight_bp, after.step) == (before.status, before.weight_bp, before.step)
        if recovers:
            self.make_due(after)
            evaluation.evaluate_due()
            assert self.read(before.id).hold_reason != "evaluation_failed"

    @rule(seconds=st.sampled_from([LOOK_EVERY_S, HOLD_S, 61, 86_400, 1, -1, -11, -3600, -86_400]))
    def move_clock(self, seconds: int) -> None:
        """Faults 5 and 6: an evaluator that was away, daylight saving, a clock that is put right."""
        self.clock.shift(seconds)

    @rule()
    def wait_until_time_is_up(self) -> None:
        self.clock.shift(MAX_DURATION_S + 1)
        evaluation.evaluate_due()

    # What is true after each of them

    @invariant()
    def promises(self) -> None:
        rollouts = self.all()
        self.check_weights_and_looks(rollouts)
        self.check_ends(rollouts)
        self.check_labels(rollouts)
        self.check_history(rollouts)

    def check_weights_and_looks(self, rollouts: list[Rollout]) -> None:
        for rollout in rollouts:
            assert rollout.weight_bp == (rollout.plan["steps"][rollout.step]["weight_bp"] if rollout.active else 0)
            assert (rollout.next_look_at is not None) == rollout.active

    def check_ends(self, rollouts: list[Rollout]) -> None:
        """Ended is final: the row stays what it was when its end was seen first, and so does what it left behind."""
        for rollout in rollouts:
            if rollout.status not in FINAL:
                continue
            row = [getattr(rollout, field.attname) for field in Rollout._meta.concrete_fields]
            if rollout.id not in self.ended and rollout.status == Status.PROMOTED:
                self.points_at[rollout.label.name] = rollout.canary.number
            elif rollout.id not in self.ended and rollout.started_at:
                assert self.points_at[rollout.label.name] == rollout.control.number
            assert self.ended.setdefault(rollout.id, row) == row

    def check_labels(self, rollouts: list[Rollout]) -> None:
        """One active rollout a label, which holds it; the label is where people and promotions have put it."""
        active = [rollout for rollout in rollouts if rollout.active]
        holders = {rollout.label.name: rollout.id for rollout in active}
        assert len(holders) == len(active)
        labels = Label.objects.select_related("version").filter(prompt=self.prompt, name__in=self.points_at)
        assert {label.name: (label.version.number, label.held_by) for label in labels} == {
            name: (number, holders.get(name, "")) for name, number in self.points_at.items()
        }

    def check_history(self, rollouts: list[Rollout]) -> None:
        """Each revision has one transition, one event and one delivery, and the events' numbers have no gap."""
        transitions = list(Transition.objects.filter(rollout__prompt=self.prompt).order_by("revision"))
        events = list(Event.objects.filter(prompt=self.prompt.name, type__startswith="rollout.").order_by("sequence"))
        told = [(event.data["rollout"]["id"], event.type, event.data["rollout"]["revision"]) for event in events]
        for rollout in rollouts:
            mine = [transition for transition in transitions if transition.rollout_id == rollout.id]
            assert [transition.revision for transition in mine] == list(range(2, rollout.revision + 1))
            assert [event for event in told if event[0] == rollout.id] == [
                (rollout.id, f"rollout.{transition.action}", transition.revision) for transition in mine
            ]
            for before, after in pairwise(mine):
                assert (after.from_status, after.from_weight_bp) == (before.to_status, before.to_weight_bp)
        assert Delivery.objects.filter(event__in=events).count() == len(told)
        recorded, last = Event.objects.aggregate(Count("sequence"), Max("sequence")).values()
        assert last == recorded

    # How it is done and seen

    def attempt(self, change: Callable[[], Any], refused_as: str | None) -> Any:
        """What the change returns; None when it is refused, as it is expected to be, which changes nothing."""
        if refused_as is None:
            return change()
        before = self.picture()
        with pytest.raises(Conflict) as refusal:
            change()
        assert refusal.value.code == refused_as
        assert self.picture() == before
        return None

    def kill(self, work: Callable[[], Any], number: int) -> None:
        """Nothing is left of what was killed on its way, or was refused."""
        before = self.picture()
        try:
            with dying_at_write(number, Killed()):
                work()
        except (Killed, Conflict):
            assert self.picture() == before

    def refusal(self, label: str, canary: str, force_reason: str, plan: dict[str, Any], *, starts: bool) -> str | None:
        """The code of the Conflict that a rollout of the label to the version meets now."""
        active = self.active(label)
        if active and plan.get("when_superseded") != "replace":
            return "rollout_active"
        if self.points_at[label] == canary:
            return "canary_is_control"
        if refused_as := self.refusal_of_text(canary, force_reason):
            return refused_as
        harmful = active and "harm_found" in (active.hold_reason, active.hold_before_failure)
        return "harm_found" if harmful and starts else None

    def refusal_of_text(self, canary: str, force_reason: str) -> str | None:
        """Fault 13."""
        mine = [rollout for rollout in self.all() if rollout.canary.number == canary]
        ends = [rollout.ended_at for rollout in mine if rollout.status == Status.ROLLED_BACK and rollout.ended_at]
        if ends and not force_reason:
            return "text_rolled_back_before"
        return "cooling_down" if len(ends) > 1 and now() < max(ends) + timedelta(hours=1) else None

    def active(self, label: str) -> Rollout | None:
        """The label's active rollout, if there is one."""
        return next((rollout for rollout in self.all() if rollout.active and rollout.label.name == label), None)

    def control(self, rollout: Rollout) -> tuple[int, int]:
        """As many calls as make the canary's SEEN its share on the rollout's step; 2 % of them fail."""
        share = rollout.weight_bp / 10_000
        calls = round(SEEN * (1 - share) / share)
        return calls, calls // 50

    def is_due(self, id_: str) -> bool:
        rollout = self.read(id_)
        return rollout.next_look_at is not None and rollout.next_look_at <= now()

    def observe_both(self, rollout: Rollout, control: tuple[int, int], canary: tuple[int, int]) -> None:
        for metric in ("error_rate", "hallucination"):
            given.observe_many(rollout, metric, control=control, canary=canary)

    def give_work(self, rollout: Rollout) -> None:
        """The next look is due and closes a batch of each metric."""
        self.observe_both(rollout, (1900, 38), (100, 2))
        self.make_due(rollout)

    def make_due(self, rollout: Rollout) -> None:
        Rollout.objects.filter(pk=rollout.pk, status__in=ACTIVE).update(next_look_at=now())

    def read(self, id_: str) -> Rollout:
        return Rollout.objects.select_related("label", "control", "canary").get(pk=id_)

    def all(self) -> list[Rollout]:
        return list(Rollout.objects.select_related("label", "control", "canary").filter(prompt=self.prompt))

    def picture(self) -> Any:
        """All that is stored of this prompt's rollouts."""
        ids = [rollout.pk for rollout in self.all()]
        counted = (
            Transition.objects.filter(rollout__in=ids),
            Verdict.objects.filter(rollout__in=ids),
            Batch.objects.filter(metric__rollout__in=ids),
            LabelMove.objects.filter(label__prompt=self.prompt),
            Event.objects.filter(prompt=self.prompt.name),
            Delivery.objects.filter(event__prompt=self.prompt.name),
        )
        return [
            *Rollout.objects.filter(pk__in=ids).values(),
            *Metric.objects.filter(rollout__in=ids).values(),
            *Label.objects.filter(prompt=self.prompt).order_by("pk").values(),
            *Evidence.objects.filter(rollout__in=ids).order_by("pk").values(),
            *(rows.count() for rows in counted),
        ]


def go_on(story: Rollouts, id_: str) -> None:
    story.observe_health_until_it_goes_on("production")


def find_harm(story: Rollouts, id_: str) -> None:
    story.observe_harm_until_it_is_found("production")


def spend_all(story: Rollouts, id_: str) -> None:
    rollout = story.read(id_)
    exposure = evidence.Exposure(rollout.id, rollout.step, "canary", 0)
    call = evidence.Observation(exposure, rollout.canary_id, "cost_per_call", TOP_LOG_BIN, usd=Decimal(1))
    evidence.add([call])
    story.clock.shift(LOOK_EVERY_S + 1)
    evaluation.evaluate_due()


BEGINNINGS: dict[str, tuple[dict[str, Any], list[Callable[[Rollouts, str], Any]]]] = {
    "draft": (BY_ITSELF, []),
    "running": (BY_ITSELF, [go_on]),
    "paused": (BY_ITSELF, [lambda story, id_: story.act(id_, "pause", None)]),
    "promoted": (BY_ITSELF, [go_on, go_on]),
    "rolled_back": (BY_ITSELF, [find_harm]),
    "cancelled": (BY_ITSELF, [lambda story, id_: story.act(id_, "cancel", None)]),
    "harm_found": (BY_HAND, [find_harm]),
    "proven_safe": (BY_HAND, [go_on, go_on]),
    "spend_cap": (BY_HAND | {"canary_spend_cap": "1.00"}, [spend_all]),
    "inconclusive": (BY_HAND, [lambda story, id_: story.wait_until_time_is_up()]),
    "sample_ratio": (BY_HAND, [lambda story, id_: story.observe_wrong_shares_until_they_are_found("production")]),
    "evaluation_failed": (BY_HAND, [lambda story, id_: story.fail_look("production", number=1, recovers=False)]),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("number", "state"), list(enumerate([*Status.values, *HoldReason.values])))
def test_rollouts__any_story_from_this_state__keeps_every_promise(number: int, state: str) -> None:
    webhooks.create_endpoint(url="https://example.com/hook", actor=ANNA)

    run_state_machine_as_test(
        seed(number)(partial(Rollouts, state)),  # the same stories in every run; a longer search draws others
        settings=settings(
            max_examples=6,
            stateful_step_count=16,
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),  # a story takes as long as its transactions
        ),
    )
