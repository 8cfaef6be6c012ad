"""The canary's spend cap: counted exactly, decided at a look, explained and replayed from what the verdict keeps."""

from decimal import Decimal
from typing import Any

import pytest
import time_machine

from observability import evidence
from observability.core.evidence import COST_PER_CALL, ERROR_RATE, Exposure, Observation, log_bin
from observability.models import ArmCost
from registry.models import Event
from rollout import wording
from rollout.evaluation import discard_leftovers
from rollout.explanation import explain
from rollout.explanation_words import lines
from rollout.models import HoldReason, Rollout, Status, Verdict
from rollout.replay import replay
from tests import rollouts

NOW = "2026-01-31T12:30:00Z"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def capped(cap: Any = "25.00", **plan: Any) -> Rollout:
    return rollouts.rollout(canary_spend_cap=cap, **plan)


def cost(rollout: Rollout, usd: str | None, calls: int = 1, arm: str = "canary") -> None:
    """Calls of an arm that cost so much each; None for a cost that is not known."""
    version_id = rollout.versions[arm]
    for number in range(calls):
        exposure = Exposure(rollout.id, rollout.step, arm, number % 256)
        seen = [Observation(exposure, version_id, ERROR_RATE, 0)]
        if usd is not None:
            bin_ = log_bin(float(usd), 1e-9)
            seen.append(Observation(exposure, version_id, COST_PER_CALL, bin_, usd=Decimal(usd)))
        evidence.add(seen)


def newest(rollout: Rollout) -> Verdict:
    verdict = rollout.verdict
    assert verdict is not None
    return verdict


def test_cap__under_it_by_the_last_digit__goes_on() -> None:
    rollout = capped()
    cost(rollout, "24.999999999999")

    rollouts.look_now(rollout)

    assert rollout.status == Status.RUNNING
    assert newest(rollout).body["spend"]["canary"]["usd"] == "24.999999999999"


def test_cap__reached_exactly__rolled_back_with_the_numbers() -> None:
    rollout = capped()
    cost(rollout, "0.25", calls=100)
    cost(rollout, None, calls=3)
    cost(rollout, "7", calls=5, arm="control")

    rollouts.look_now(rollout)

    transition = rollout.transitions.first()
    assert transition is not None
    assert (rollout.status, transition.action, transition.cause) == (Status.ROLLED_BACK, "rolled_back", "spend_cap")
    verdict = newest(rollout)
    assert verdict.kind == "spent"
    assert verdict.body["spend"] == {
        "cap_usd": "25",
        "control": {"usd": "35", "calls": 5, "unpriced_calls": 0},
        "canary": {"usd": "25", "calls": 103, "unpriced_calls": 3},
    }
    assert verdict.body["reasons"] == [
        "The canary's 100 calls of known cost came to 25 USD, its cap is 25 USD.",
        "The cost of 3 more of its calls is not known, and in none of this.",
    ]
    event = Event.objects.get(type="rollout.rolled_back")
    assert event.data["transition"]["cause"] == "spend_cap"
    assert event.data["transition"]["verdict"]["spend"]["canary"]["usd"] == "25"
    assert "calls of the canary cost $25.00" in wording.why(transition)


def test_cap__control_costs_more_than_that__nothing() -> None:
    rollout = capped()
    cost(rollout, "30", arm="control")

    rollouts.look_now(rollout)

    assert rollout.status == Status.RUNNING


def test_cap__a_person_rolls_back__held_once() -> None:
    rollout = capped(auto_rollback=False)
    cost(rollout, "26")

    rollouts.look_now(rollout)
    rollouts.look_now(rollout)

    assert (rollout.status, rollout.hold_reason) == (Status.RUNNING, HoldReason.SPEND_CAP)
    assert Event.objects.filter(type="rollout.spend_cap_reached").count() == 1


def test_cap__held_and_then_harm_is_found__held_for_harm() -> None:
    rollout = capped(auto_rollback=False)
    cost(rollout, "26")
    rollouts.look_now(rollout)

    rollouts.observe_many(rollout, "error_rate", control=(9500, 95), canary=(500, 250))
    rollouts.look_now(rollout)

    assert rollout.hold_reason == HoldReason.HARM_FOUND


def test_cap__sample_ratio_is_broken__rolled_back_all_the_same() -> None:
    rollout = capped()
    rollouts.observe_many(rollout, "error_rate", control=(1000, 10), canary=(9000, 90))
    cost(rollout, "26")

    rollouts.look_now(rollout)

    assert rollout.status == Status.ROLLED_BACK


def test_cap__within_the_warm_up__counts() -> None:
    rollout = capped(warm_up="1h")
    cost(rollout, "26")

    rollouts.look_now(rollout)

    assert rollout.status == Status.ROLLED_BACK


def test_cap__plan_of_before__no_cap_and_nothing_recorded() -> None:
    rollout = rollouts.rollout()
    older = {name: value for name, value in rollout.plan.items() if name != "canary_spend_cap"}
    Rollout.objects.filter(pk=rollout.pk).update(plan=older)
    cost(rollout, "1000")
    rollouts.observe_many(rollout, "error_rate", control=(950, 9), canary=(50, 0))

    rollouts.look_now(rollout)

    assert rollout.status == Status.RUNNING
    assert "spend" not in newest(rollout).body
    assert explain(newest(rollout).pk).differences == ()


def test_explained__the_same_to_the_last_bit_and_says_the_cap() -> None:
    rollout = capped("0.3")
    cost(rollout, "0.1", calls=3)  # as floats these come to more
    rollouts.look_now(rollout)

    explained = explain(newest(rollout).pk)

    text = "\n".join(lines(explained))
    assert explained.differences == ()
    assert explained.rules[0].answer
    assert "canary: 0.3 USD of 3 calls; the cost of 0 more is not known" in text
    assert "1. Has the canary cost what it may, and is no harm found? yes" in text


def test_replay__with_a_cap_that_the_plan_had_not__rolls_back() -> None:
    rollout = rollouts.rollout()
    cost(rollout, "2", calls=2)
    rollouts.observe_many(rollout, "error_rate", control=(950, 9), canary=(50, 0))
    rollouts.look_now(rollout)

    replayed = replay(rollout_id=rollout.pk, written=rollouts.PLAN | {"canary_spend_cap": 3})

    assert replayed.outcome is not None
    assert replayed.outcome.finding.cause == "spend_cap"


def test_costs__of_an_absurd_amount__saturate_instead_of_breaking_ingest() -> None:
    rollout = capped()

    for _ in range(3):
        cost(rollout, "99999999")

    assert evidence.costs(rollout.id, rollout.versions)["canary"].picodollars >= 4 * 10**18


def test_costs__after_the_end__discarded() -> None:
    rollout = capped()
    cost(rollout, "26")
    rollouts.look_now(rollout)

    discard_leftovers()

    assert not ArmCost.objects.exists()


@pytest.mark.parametrize("cap", [0, -1, "x", 2_000_000])
def test_cap__that_cannot_be__refused(cap: Any) -> None:
    from common.errors import Invalid

    with pytest.raises(Invalid) as refused:
        capped(cap)

    assert "plan.canary_spend_cap" in str(refused.value.__dict__)
