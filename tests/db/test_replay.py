"""`manage.py replay`: another plan over the evidence that was; the rollout's own plan comes to what really happened."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from common.clock import now
from rollout import services
from rollout.models import Metric, Rollout, Transition, Verdict
from rollout.replay import Look, Replay, replay
from tests import rollouts as given
from tests.db.test_kinds_of_metrics import drawn
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

RATES = {"metrics": [{"name": "error_rate"}, {"name": "refusal", "kind": "rate"}]}
PLAN = given.PLAN | RATES
STEPS = given.PLAN["steps"]


def observe(rollout: Rollout, *, failing: int, of: int = 50) -> None:
    """5 % of the calls get the canary on the first step and half of them on the second; 2 % of the control's fail."""
    control = 19 * of if rollout.step == 0 else of
    for measure in ("error_rate", "refusal"):
        given.observe_values(
            rollout,
            measure,
            control={0: control - control // 50, 1000: control // 50},
            canary={0: of - failing, 1000: failing},
        )


def drifting(*, failing: int, looks: int = 12, **plan: Any) -> Rollout:
    """A rollout of which so many of 50 canary calls fail in each batch, a look a minute."""
    rollout = given.rollout(**(RATES | plan))
    with time_machine.travel(now(), tick=False) as clock:
        for _ in range(looks):
            if not rollout.active:
                break
            clock.shift(60)
            observe(rollout, failing=failing)
            rollout = given.look_now(rollout)
    return rollout


def promoted() -> Rollout:
    """One that was promoted on its last step, after a pause on the first."""
    rollout = given.rollout(min_units=50, **RATES)
    with time_machine.travel(now(), tick=False) as clock:
        for look in range(12):
            if look == 0:
                services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
            if look == 2:
                services.resume(rollout_id=rollout.id, actor=ANNA, reason="back")
            clock.shift(60)
            observe(rollout, failing=1 if rollout.step == 0 else 60, of=50 if rollout.step == 0 else 3000)
            rollout = given.look_now(rollout)
            if not rollout.active:
                break
    assert rollout.status == "promoted"
    return rollout


def unbalanced() -> Rollout:
    rollout = given.rollout(**RATES)
    given.observe_values(rollout, "error_rate", control={0: 9000}, canary={0: 1000})
    return given.look_now(rollout)


@pytest.mark.parametrize(
    ("made", "own"),
    [
        (lambda: drifting(failing=6), {}),
        (promoted, {"min_units": 50}),
        (lambda: drifting(failing=6, auto_rollback=False), {"auto_rollback": False}),
        (unbalanced, {}),
        (lambda: drifting(failing=1, looks=4), {}),
    ],
    ids=["rolled back", "promoted", "held for harm", "sample ratio broken", "undecided"],
)
def test_replay__own_plan__the_stored_verdicts_again_and_the_real_outcome_at_the_real_look(
    made: Callable[[], Rollout], own: dict[str, Any]
) -> None:
    rollout = made()

    replayed = under(rollout, **own)

    stored = {verdict.pk: verdict.body for verdict in Verdict.objects.filter(rollout=rollout)}
    for look in (*replayed.changes, replayed.last):
        assert as_stored(look.body) == stored[look.verdict_id]
    acted = rollout.transitions.filter(verdict__isnull=False).exclude(action="step_advanced").order_by("id")
    assert (replayed.outcome and replayed.outcome.verdict_id) == acted.values_list("verdict_id", flat=True).last()
    assert replayed.last.verdict_id == max(stored)


def test_replay__looser_alpha__earlier_and_stricter_not_at_all() -> None:
    rollout = drifting(failing=5)
    assert rollout.status == "rolled_back"

    looser, stricter = under(rollout, alpha=0.4), under(rollout, alpha=0.0001)

    assert outcome_of(looser).finding.act == "rollback"
    assert outcome_of(looser).at < last_change(rollout).happened_at
    assert stricter.outcome is None


def test_replay__stricter_alpha_where_the_rollout_went_on__later() -> None:
    rollout = drifting(failing=5, auto_rollback=False)  # harm was found and only told

    usual, stricter = (outcome_of(under(rollout, alpha=alpha)) for alpha in (0.05, 0.0001))

    assert usual.verdict_id == Verdict.objects.filter(kind="harmful").earliest("id").pk
    assert (usual.finding.act, stricter.finding.act) == ("rollback", "rollback")
    assert stricter.at > usual.at
    assert stricter.canary_calls > usual.canary_calls


def test_replay__longer_hold__counted_from_the_step_and_prolonged_by_the_pause() -> None:
    one_step = [{"weight": "50%", "hold": "0s"}]
    rollout = given.rollout(auto_promote=False, steps=one_step, **RATES)
    with time_machine.travel(now(), tick=False) as clock:
        for minute in range(1, 12):
            clock.shift(60)
            if minute == 2:
                services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
            if minute == 4:
                services.resume(rollout_id=rollout.id, actor=ANNA, reason="back")
            given.observe_values(rollout, "error_rate", control={0: 2940, 1000: 60}, canary={0: 2940, 1000: 60})
            given.observe_values(rollout, "refusal", control={0: 2940, 1000: 60}, canary={0: 2940, 1000: 60})
            rollout = given.look_now(rollout)
    assert rollout.hold_reason == "proven_safe"

    look = outcome_of(under(rollout, steps=[{"weight": "50%", "hold": "5m"}]))

    started = rollout.transitions.get(action="started").happened_at
    assert look.finding.act == "promote"
    assert round((look.at - started).total_seconds()) == 7 * 60  # 2 of the 5 minutes before the pause of 2 minutes


def test_replay__max_duration__over_earlier_and_what_the_plan_says_follows() -> None:
    rollout = drifting(failing=1, looks=6)

    look = outcome_of(under(rollout, max_duration="150s", on_inconclusive="rollback"))

    assert (look.finding.kind, look.finding.act, look.finding.cause) == ("inconclusive", "rollback", "max_duration")
    assert look.verdict_id == Verdict.objects.order_by("id")[2].pk  # the looks are at 60, 120 and 180 s


def test_replay__less_to_prove__promotes_where_the_real_plan_waited() -> None:
    one_step = [{"weight": "5%", "hold": "10s"}]
    rollout = drifting(failing=1, looks=3, steps=one_step)
    assert rollout.status == "running"

    look = outcome_of(under(rollout, steps=one_step, min_units=10, promote_when="no_harm_found"))

    assert look.finding.act == "promote"
    assert look.verdict_id == Verdict.objects.earliest("id").pk


def test_replay__other_metrics__roles_and_limits_of_the_same_measures_and_nothing_is_written() -> None:
    rollout = drifting(failing=6, auto_rollback=False)
    before = list(Metric.objects.values())
    keeps = {"name": "keeps", "measure": "refusal", "kind": "rate", "limit": 0.5}

    replayed = under(rollout, metrics=[{"name": "error_rate", "role": "observed"}, keeps])

    assert replayed.outcome is None
    assert limits_of(replayed.last) == {"error_rate": None, "keeps": 0.5}
    assert list(Metric.objects.values()) == before


def test_replay__score_counted_against_other_shares__says_that_its_sample_ratio_is_not_tested() -> None:
    rollout = drifting(failing=1, looks=2)
    refusal = {"name": "refusal", "kind": "rate", "judged": {"control": "5%"}}

    assert under(rollout, metrics=[{"name": "error_rate"}, refusal]).untested == ("refusal",)
    assert under(rollout).untested == ()


def test_replay__cost_that_learned_its_scale__frozen_from_the_same_baseline() -> None:
    metrics = [{"name": "error_rate"}, {"name": "tokens"}]
    rollout = given.rollout(metrics=metrics)
    for seed in range(5):
        given.observe_values(rollout, "error_rate", control={0: 950}, canary={0: 50})
        values = {"control": drawn("tokens", 110, scale=300, seed=seed), "canary": drawn("tokens", 10, scale=300)}
        given.observe_values(rollout, "tokens", **values)
        rollout = given.look_now(rollout)

    last = under(rollout, metrics=metrics).last

    assert rollout.verdict
    assert as_stored(last.body) == rollout.verdict.body
    assert batches_of(last) == {"error_rate": 5, "tokens": 3}


def test_replay__comparison_where_only_a_limit_was_judged__learns_its_scale_from_the_first_batches() -> None:
    rollout = given.rollout(metrics=[{"name": "error_rate"}, {"name": "slow", "measure": "ttft", "limit": 2000}])
    for seed in range(4):
        given.observe_values(rollout, "error_rate", control={0: 950}, canary={0: 50})
        values = {"control": drawn("ttft", 150, scale=400, seed=seed), "canary": drawn("ttft", 10, scale=400)}
        given.observe_values(rollout, "ttft", **values)
        rollout = given.look_now(rollout)

    last = under(rollout, metrics=[{"name": "error_rate"}, {"name": "ttft"}]).last

    assert batches_of(last) == {"error_rate": 4, "ttft": 2}  # 200 observations make a scale


def test_replay__command__a_line_for_each_change_and_the_outcome_beside_what_happened(tmp_path: Path) -> None:
    rollout = drifting(failing=5)

    text = said(rollout, written(tmp_path, PLAN))

    first, *changes, last = text.splitlines()
    assert rollout.pk in first
    assert "  step 1 of 2 (5 %)  50 canary calls  undecided: " in changes[0]
    assert "harmful: " in changes[-1]
    assert changes[-1].endswith("It would have rolled it back.")
    assert "This plan would have rolled it back at " in last
    assert (
        f"Really it was rolled back at {last_change(rollout).happened_at:%Y-%m-%d %H:%M:%S} (cause guardrail:" in last
    )


def test_replay__command_without_an_outcome__says_so_and_what_the_rollout_does(tmp_path: Path) -> None:
    rollout = drifting(failing=1, looks=2)

    last = said(rollout, written(tmp_path, PLAN)).splitlines()[-1]

    assert last.startswith("This plan would have decided nothing by the last look, at ")
    assert last.endswith(f"Really it is still running, on step {rollout.step + 1} of 2.")


def test_replay__command_as_json__the_same_with_whole_verdicts(tmp_path: Path) -> None:
    rollout = drifting(failing=5)

    told = json.loads(said(rollout, written(tmp_path, PLAN), "--json"))

    assert told["outcome"]["verdict"] == told["really"]["verdict"] == rollout.verdict_id
    assert told["outcome"]["act"] == "rollback"
    assert told["really"]["status"] == "rolled_back"
    assert rollout.verdict
    assert told["changes"][-1]["body"] == rollout.verdict.body


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("{", "is not JSON"),
        ("[]", "plan: "),
        (PLAN | {"alhpa": 0.1}, "plan.alhpa"),
        (
            PLAN | {"steps": [{"weight": "10%"}, {"weight": "50%"}]},
            "expected the weights that the rollout had, 5 % - 50 %",
        ),
        (PLAN | {"steps": STEPS[:1]}, "of other weights there is no evidence"),
        (PLAN | {"metrics": [{"name": "ttft"}]}, "kept no evidence of ttft, only of error_rate, refusal"),
        (PLAN | {"metrics": [{"name": "grounded", "kind": "score"}]}, "kept no evidence of grounded"),
        (PLAN | {"metrics": [{"name": "grounded"}]}, "grounded was not seen lately"),
        (PLAN | {"metrics": [{"name": "refusal", "kind": "complaint"}]}, "expected refusal to be a rate"),
        (PLAN | {"metrics": [{"name": "refusal", "margin": {"absolute": 0.02}}]}, "plan.metrics[0].margin"),
    ],
    ids=lambda value: None if isinstance(value, str) else "plan",
)
def test_replay__plan_that_cannot_be_replayed__says_what_was_expected(tmp_path: Path, plan: Any, expected: str) -> None:
    rollout = unbalanced()

    with pytest.raises(CommandError) as refused:
        said(rollout, written(tmp_path, plan))

    assert expected in str(refused.value)


def test_replay__no_such_file_or_rollout_or_verdict__said(tmp_path: Path) -> None:
    rollout = given.rollout(**RATES)
    plan = written(tmp_path, PLAN)

    with pytest.raises(CommandError, match=r"nowhere.json cannot be read: No such file"):
        said(rollout, str(tmp_path / "nowhere.json"))
    with pytest.raises(CommandError, match="There is no rollout rol_unknown"):
        call_command("replay", "rol_unknown", "--plan", plan)
    with pytest.raises(CommandError, match=f"There is no verdict of {rollout.pk} yet"):
        said(rollout, plan)


def under(rollout: Rollout, **changes: Any) -> Replay:
    """The replay of a rollout under PLAN with these changes."""
    return replay(rollout_id=rollout.pk, written=PLAN | changes)


def outcome_of(replayed: Replay) -> Look:
    assert replayed.outcome
    return replayed.outcome


def last_change(rollout: Rollout) -> Transition:
    return rollout.transitions.latest("id")


def as_stored(body: dict[str, Any]) -> Any:
    return json.loads(json.dumps(body))


def batches_of(look: Look) -> dict[str, int]:
    return {metric["name"]: metric["batches"] for metric in look.body["metrics"]}


def limits_of(look: Look) -> dict[str, float | None]:
    return {metric["name"]: metric["limit"] for metric in look.body["metrics"]}


def written(tmp_path: Path, plan: Any) -> str:
    file = tmp_path / "plan.json"
    file.write_text(plan if isinstance(plan, str) else json.dumps(plan))
    return str(file)


def said(rollout: Rollout, file: str, *options: str) -> str:
    out = StringIO()
    call_command("replay", rollout.pk, "--plan", file, *options, stdout=out)
    return out.getvalue()
