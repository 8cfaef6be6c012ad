"""What a plan would come to, and what people are warned of, from a few metrics and an amount of traffic."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from rollout.core import foresight
from rollout.core.foresight import Foresight, Outcome, Subject, foresee
from rollout.core.plan import Judged, Plan, PlanMetric, PlanStep
from rollout.core.stats.evidence import Bins

DAY = 86_400
RARE = {0: 9_800, 1000: 200}  # 2 %
TIMES = {place: round(300 * math.exp(-(((place - 1550) / 60) ** 2) / 2)) for place in range(1400, 1701, 10)}
GOOD = {1000: 700, 900: 200, 400: 100}


def subject(name: str = "error_rate", baseline: Bins = RARE, observed: float = 1.0, **fields: Any) -> Subject:
    metric = PlanMetric(**{"name": name, "kind": "rate", "direction": "lower", **fields})
    return foresight.subject(metric, baseline=baseline, shares=[0.05, 0.5], observed=observed)


def score(name: str = "faithfulness", baseline: Bins = GOOD, observed: float = 1.0, **fields: Any) -> Subject:
    return subject(name, baseline, observed, kind="score", direction="higher", **fields)


def foreseen(*subjects: Subject, per_day: float = 100_000, **plan: Any) -> Foresight:
    steps = (PlanStep(500, DAY), PlanStep(5000, DAY // 2))
    return foresee(
        Plan((), **{"steps": steps, **plan}), subjects or (subject(),), calls_per_s=per_day / DAY, least_batch=40
    )


def test_foresee__enough_traffic__rolls_back_or_promotes_in_time_and_warns_of_nothing() -> None:
    found = foreseen()

    assert found.find_harm.canary_calls
    assert found.find_harm.seconds == pytest.approx(found.find_harm.canary_calls / 0.05 / 100_000 * DAY, rel=0.01)
    assert found.if_worse == Outcome("rollback", found.find_harm.seconds)
    assert found.if_equal == Outcome("promote", DAY + DAY // 2)  # the holds: proven safe before they are served
    assert found.warnings == ()


def test_foresee__half_the_traffic__as_many_calls_in_twice_the_time() -> None:
    steps = (PlanStep(500, 7 * DAY),)

    much, half = (foreseen(per_day=per_day, steps=steps) for per_day in (100_000, 50_000))

    assert half.find_harm.canary_calls == pytest.approx(much.find_harm.canary_calls, rel=0.15)
    assert half.find_harm.seconds == pytest.approx(2 * (much.find_harm.seconds or 0), rel=0.15)


def test_foresee__a_ramp_that_is_passed__seconds_and_canary_calls_by_its_steps() -> None:
    found = foreseen(per_day=1_000, min_units=0)

    days = (found.find_harm.seconds or 0) / DAY
    assert days > 1
    assert found.find_harm.canary_calls == pytest.approx(0.05 * 1_000 + 0.5 * 1_000 * (days - 1), abs=2)


def test_foresee__other_guardrails__the_one_that_is_worse_has_to_outweigh_them() -> None:
    alone = foreseen(subject())
    of_five = foreseen(subject(), *(subject(f"other_{n}") for n in range(4)))
    heavy = foreseen(subject(weight=96), *(subject(f"other_{n}") for n in range(4)))

    calls = [found.metrics["error_rate"].find_harm.canary_calls or 0 for found in (alone, heavy, of_five)]
    assert calls == sorted(calls)
    assert calls[0] < 0.8 * calls[2]
    assert calls[1] == pytest.approx(calls[0], rel=0.1)


def test_foresee__several_guardrails__the_slowest_harm_and_the_proof_of_all() -> None:
    found = foreseen(subject(), score(), subject("refusal", {0: 9_000, 1000: 1_000}))

    delays = found.metrics.values()
    assert found.find_harm.canary_calls == max(each.find_harm.canary_calls or 0 for each in delays)
    assert (found.prove_safe.canary_calls or 0) >= max(each.prove_safe.canary_calls or 0 for each in delays)


def test_foresee__every_kind__is_decided() -> None:
    found = foreseen(
        subject("thumbs_down", {0: 9_000, 1000: 1_000}, kind="complaint"),
        subject("cost_per_call", TIMES, kind="cost"),
        subject("ttft", TIMES, kind="latency"),
        subject("ttft_objective", TIMES, kind="latency", measure="ttft", limit=100_000.0),
        subject("faithfulness_objective", GOOD, kind="score", direction="higher", limit=0.8),
        per_day=1_000_000,
    )

    for expected in found.metrics.values():
        assert 0 < (expected.find_harm.canary_calls or 0) < 50_000
        assert 0 < (expected.prove_safe.canary_calls or 0) < 50_000
    assert found.warnings == ()


def test_foresee__observed_metric__decides_nothing_and_weighs_nothing() -> None:
    with_it, without = foreseen(subject(), subject("tone", role="observed")), foreseen(subject())

    assert with_it == without


def test_foresee__a_twentieth_of_the_calls_judged__twenty_times_the_calls() -> None:
    steps = (PlanStep(500, 30 * DAY),)

    all_judged, few = (foreseen(score(observed=share), steps=steps) for share in (1.0, 0.05))

    assert few.find_harm.canary_calls == pytest.approx(20 * (all_judged.find_harm.canary_calls or 0), rel=0.2)


def test_foresee__judged_unequally__as_the_plan_says() -> None:
    steps = (PlanStep(500, 30 * DAY),)
    unequally = Judged(control=0.05, canary=1.0)

    alike, more_of_the_canary = (
        foreseen(score(observed=0.05, judged=judged), steps=steps) for judged in (Judged(), unequally)
    )

    assert (more_of_the_canary.find_harm.canary_calls or 0) < 0.2 * (alike.find_harm.canary_calls or 0)


def test_foresee__complaints__every_call_may_be_complained_about() -> None:
    steps = (PlanStep(500, 30 * DAY),)
    baseline = {0: 9_800, 1000: 200}

    found = [foreseen(subject("thumbs_down", baseline, share, kind="complaint"), steps=steps) for share in (0.02, 1.0)]

    assert found[0].metrics == found[1].metrics


def test_foresee__warm_up__so_much_later() -> None:
    steps = (PlanStep(500, 30 * DAY),)

    at_once, warming_up = (foreseen(steps=steps, warm_up_s=warm_up_s) for warm_up_s in (0, DAY))

    assert warming_up.find_harm.seconds == pytest.approx((at_once.find_harm.seconds or 0) + DAY, rel=0.05)
    assert warming_up.prove_safe.seconds == pytest.approx((at_once.prove_safe.seconds or 0) + DAY, rel=0.05)


def test_foresee__no_scale_yet__learns_it_first_and_warns() -> None:
    steps = (PlanStep(500, 300 * DAY),)
    few = {1500 + place: 2 for place in range(50)}
    known, unknown = (
        subject("cost_per_call", {place: times * n for place, n in few.items()}, 0.001, kind="cost") for times in (2, 1)
    )

    at_once, late = (foreseen(each, steps=steps, max_duration_s=900 * DAY) for each in (known, unknown))

    missed = 100 / (0.95 * 0.001)  # calls that bring 100 observations of the control
    later_s = (late.find_harm.seconds or 0) - (at_once.find_harm.seconds or 0)
    assert later_s == pytest.approx(missed / 100_000 * DAY, rel=0.1)
    assert at_once.warnings == ()
    assert late.warnings == (
        "cost_per_call: its figures rest on only 100 observations of the control version.",
        "cost_per_call has no scale yet: the control's first 100 observations give it one, and nothing counts before.",
    )


@pytest.mark.parametrize("limit", [None, 100_000.0], ids=["comparison", "limit"])
@pytest.mark.parametrize(("kind", "measure"), [("cost", "cost_per_call"), ("latency", "ttft")])
def test_foresee__nothing_known_of_an_amount__a_guess(kind: str, measure: str, limit: float | None) -> None:
    found = foreseen(subject(measure, {}, 0, kind=kind, limit=limit))

    assert found.metrics[measure].find_harm.canary_calls
    assert found.metrics[measure].prove_safe.canary_calls
    assert f"{measure}: nothing of it is known of the control version, so its figures rest on a guess." in (
        found.warnings
    )


def test_foresee__control_that_breaks_a_limit__an_equal_canary_is_rolled_back() -> None:
    found = foreseen(subject(limit=0.01), score())

    assert found.metrics["error_rate"].prove_safe.canary_calls is None
    assert found.if_equal.decision == "rollback"
    assert 0 < found.if_equal.seconds < DAY
    assert found.warnings == (
        "error_rate: the control version breaks the limit itself; a canary that is equal would be rolled back.",
        "error_rate: an equal canary is proven safe hardly ever.",
    )


def test_foresee__evidence_that_comes_slower_than_the_holds__promotes_when_it_has_come() -> None:
    steps = (PlanStep(2500, 60), PlanStep(5000, 60))

    found = foreseen(score(observed=0.001), per_day=100_000, steps=steps, promote_when="no_harm_found", min_units=0)

    assert found.if_equal.decision == "promote"
    assert found.if_equal.seconds == pytest.approx(2 * 40 / 0.001 / 100_000 * DAY)  # 40 scores on either step


def test_foresee__the_same_question__the_same_answer() -> None:
    assert foreseen(subject(), score()) == foreseen(subject(), score())


@pytest.mark.parametrize(
    ("plan", "decision", "warned"),
    [
        ({"max_duration_s": 7 * DAY, "promote_when": "proven_safe"}, "inconclusive", "max_duration, 7 d, is too short"),
        ({"max_duration_s": 7 * DAY, "promote_when": "no_harm_found"}, "promote", "no_harm_found promotes after about"),
        ({"max_duration_s": 900 * DAY, "promote_when": "proven_safe"}, "rollback", None),
    ],
)
def test_foresee__harm_that_is_found_late__what_comes_first(
    plan: dict[str, Any], decision: str, warned: str | None
) -> None:
    found = foreseen(per_day=300, min_units=0, **plan)

    assert found.if_worse.decision == decision
    assert found.find_harm.seconds is not None
    assert found.find_harm.seconds > 7 * DAY
    assert any(warned in warning for warning in found.warnings) if warned else found.warnings == ()


def test_foresee__proof_later_than_max_duration__warns_and_is_inconclusive_then() -> None:
    found = foreseen(score(), subject(), per_day=1_500, max_duration_s=3 * DAY)

    assert found.if_equal == Outcome("inconclusive", 3 * DAY)
    days = (found.metrics["error_rate"].prove_safe.seconds or 0) / DAY
    span = f"{days:.1f} d".replace(".0 d", " d")
    assert f"error_rate: an equal canary is proven safe after about {span}; max_duration, 3 d, is too short." in (
        found.warnings
    )


def test_foresee__holds_longer_than_max_duration__warns() -> None:
    found = foreseen(max_duration_s=DAY)

    assert found.if_equal == Outcome("inconclusive", DAY)
    assert any(
        warning.startswith("The steps, with their holds, 100 units and evidence from each, take about 1.5 d")
        for warning in found.warnings
    )


def test_foresee__min_units_that_come_late__promotes_when_they_have_come() -> None:
    found = foreseen(score(), per_day=1_000, min_units=400, steps=(PlanStep(500, 60),), max_duration_s=30 * DAY)

    assert found.if_equal == Outcome("promote", 8 * DAY)  # 400 canary calls of 50 a day


def test_foresee__no_traffic__calls_without_times_and_a_warning() -> None:
    found = foreseen(subject(baseline={}, observed=0), per_day=0)

    assert found.find_harm.canary_calls
    assert (found.find_harm.seconds, found.prove_safe.seconds) == (None, None)
    assert found.if_worse == found.if_equal == Outcome("inconclusive", 7 * DAY)
    assert found.warnings == (
        "The prompt had no calls lately: no time can be told, and the canary's calls are those of the last step.",
        "error_rate: nothing of it is known of the control version, so its figures rest on a guess.",
    )


def test_foresee__misspelled_metric__warns() -> None:
    """Fault 20: a metric that is never emitted is told before the start."""
    found = foreseen(subject(), subject("halucination", {}, observed=0))

    assert found.warnings == (
        "halucination was not seen lately; is it spelled right? The figures take it that every call gets one.",
        "halucination: nothing of it is known of the control version, so its figures rest on a guess.",
    )


def test_foresee__few_observations__warns() -> None:
    found = foreseen(subject(baseline={0: 49, 1000: 1}))

    assert found.warnings == ("error_rate: its figures rest on only 50 observations of the control version.",)


def test_reference_page__its_example__is_what_comes_of_it() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "rollouts.md").read_text()
    example = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[-1])
    shown = example["metrics"][0]
    judged = shown["observed_calls"] / example["traffic"]["calls"]
    ones = round(shown["baseline"]["n"] * shown["baseline"]["estimate"])
    baseline = {0: shown["baseline"]["n"] - ones, 1000: ones}

    found = foresee(
        Plan(()),
        [subject("hallucination", baseline, judged)],
        calls_per_s=example["traffic"]["calls_per_day"] / DAY,
        least_batch=40,
    )

    delays = found.metrics["hallucination"]
    assert delays.find_harm.canary_calls == pytest.approx(shown["canary_calls_to_find_harm"], rel=0.02)
    assert delays.find_harm.seconds == pytest.approx(shown["find_harm_s"], rel=0.02)
    assert delays.prove_safe.canary_calls == pytest.approx(shown["canary_calls_to_prove_safe"], rel=0.02)
    assert delays.prove_safe.seconds == pytest.approx(shown["prove_safe_s"], rel=0.02)
    assert found.warnings == tuple(example["warnings"])
    assert example["overall"]["if_worse"] == {"decision": found.if_worse.decision, "after_s": found.if_worse.seconds}
