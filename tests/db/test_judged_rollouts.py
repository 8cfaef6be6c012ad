"""A rollout judged by evaluators: pinned when it starts, its judged shares kept, counted and told beforehand."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.actors import Actor
from common.clock import now
from common.errors import Invalid
from observability import evidence
from observability.core.evidence import Exposure, Observation
from observability.core.scores import NewScore
from observability.models import Call, Evaluation, EvaluatorKind, EvaluatorVersion, JudgedShare
from observability.services.scores import record_scores
from registry.models import Prompt
from rollout import services
from rollout.core.judged import split
from rollout.explanation import explain
from rollout.forecast_words import forecast_in_words
from rollout.forecasting import forecast, forecast_json
from rollout.models import Rollout
from rollout.pages.rollout_parts import metric_rows
from rollout.replay import replay
from tests import judgings, rollouts, traces
from tests.observed import ingest

ANNA = Actor("user", "anna")
STEPS = [{"weight": "5%", "hold": "10s"}, {"weight": "50%", "hold": "10s"}]

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt() -> Prompt:
    return rollouts.prompt()


@pytest.fixture
def judged(prompt: Prompt) -> Prompt:
    """2 % of the prompt's calls are judged for faithfulness."""
    judgings.judging(prompt, judgings.evaluator(versions=2))
    return prompt


def start(*, begin: bool = True, **plan: Any) -> Rollout:
    return services.create_rollout(
        prompt_name="order-extractor",
        canary="1.1",
        plan={"steps": STEPS, "look_every": "1s"} | plan,
        start=begin,
        actor=ANNA,
    )


def metric_of(rollout: Rollout, name: str = "faithfulness") -> dict[str, Any]:
    (found,) = [metric for metric in rollout.plan["metrics"] if metric["name"] == name]
    return dict(found)


def publish(ordinal: int) -> None:
    newest = EvaluatorVersion.objects.get(evaluator__name="faithfulness", ordinal=ordinal - 1)
    newest.pk, newest.ordinal = None, ordinal
    newest.save(force_insert=True)


def calls(n: int) -> None:
    for start in range(0, n, 500):
        ingest(
            *(
                traces.span(traces.CHAT | {"gen_ai.prompt.name": "order-extractor"}, number=number, trace=number)
                for number in range(start, min(start + 500, n))
            )
        )


def scores(rollout: Rollout, step: int, *, control: int, canary: int, good: float = 0.94) -> None:
    """So many judged calls of each arm, each of another unit."""
    versions = rollout.versions
    evidence.add(
        Observation(
            Exposure(rollout.id, step, arm, 7 * number % 256),
            versions[arm],
            "faithfulness",
            1000 if number < good * n else 0,
        )
        for arm, n in (("control", control), ("canary", canary))
        for number in range(n)
    )


def test_start__silent_plan__judged_by_the_prompts_evaluator_at_its_newest_version(judged: Prompt) -> None:
    rollout = start()

    metric = metric_of(rollout)
    assert (metric["evaluator"], metric["role"], metric["kind"]) == ("faithfulness@2", "guardrail", "score")
    shares = [split(0.02, weight=weight) for weight in (0.05, 0.5)]
    assert metric["judged_by_step"] == [{"control": s.control, "canary": s.canary} for s in shares]
    rows = JudgedShare.objects.order_by("step", "arm").values_list("step", "arm", "share", "evaluator_version__ordinal")
    assert list(rows) == [
        (step, arm, getattr(share, arm), 2) for step, share in enumerate(shares) for arm in ("canary", "control")
    ]


def test_start__draft__pinned_when_it_starts_and_not_before(judged: Prompt) -> None:
    draft = start(begin=False)
    assert metric_of(draft)["evaluator"] == "faithfulness"
    assert not JudgedShare.objects.exists()
    publish(3)

    services.start(rollout_id=draft.id, actor=ANNA)
    publish(4)

    draft.refresh_from_db()
    assert metric_of(draft)["evaluator"] == "faithfulness@3"
    assert metric_of(draft) | {"margin": {"absolute": 0.03}} == draft.metrics.get(name="faithfulness").declared
    assert {share.evaluator_version.ordinal for share in JudgedShare.objects.all()} == {3}


def test_start__draft_whose_evaluator_is_gone__refused_and_named(judged: Prompt) -> None:
    draft = start(begin=False)
    draft.plan["metrics"][1]["evaluator"] = "gone"
    draft.save(update_fields=["plan"])

    with pytest.raises(Invalid) as refused:
        services.start(rollout_id=draft.id, actor=ANNA)

    assert [error.field for error in refused.value.errors] == ["plan.metrics[1].evaluator"]


def test_start__refused__no_shares_are_left(judged: Prompt) -> None:
    start()

    with pytest.raises(Exception, match="already being rolled out"):
        start()

    assert JudgedShare.objects.values("rollout").distinct().count() == 1


def test_start__prompt_without_evaluators__its_plan_says_nothing_of_any(prompt: Prompt) -> None:
    judgings.evaluator()

    rollout = start()

    assert not JudgedShare.objects.exists()
    assert [metric["name"] for metric in rollout.plan["metrics"]] == ["error_rate"]
    assert "evaluator" not in rollout.plan["metrics"][0]


def test_start__judging_turned_off__not_judged_by_it(judged: Prompt) -> None:
    judged.judgings.update(active=False)

    assert [metric["name"] for metric in start().plan["metrics"]] == ["error_rate"]


def test_start__budget_is_less_than_the_share__lowered_at_recent_traffic(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now().replace(year=2020))
    calls(700)  # 100 a day, of which 2 would be judged
    judgings.budget(judged, calls_a_day=1)

    (step, *_) = metric_of(start())["judged_by_step"]

    assert step["canary"] == pytest.approx(split(0.01, weight=0.05).canary)


def test_start__prompt_minutes_old__its_calls_are_no_more_than_a_days(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now() - timedelta(minutes=4))
    calls(700)  # in all, of which 14 would be judged
    judgings.budget(judged, calls_a_day=7)

    (step, *_) = metric_of(start())["judged_by_step"]

    assert step["canary"] == pytest.approx(split(0.01, weight=0.05).canary)


def test_start__external_evaluator__pinned_and_nothing_is_chosen(prompt: Prompt) -> None:
    judgings.evaluator(kind=EvaluatorKind.EXTERNAL)

    rollout = start(metrics=[{"name": "faithfulness", "evaluator": "faithfulness"}])

    assert metric_of(rollout)["evaluator"] == "faithfulness@1"
    assert "judged_by_step" not in metric_of(rollout)
    assert set(JudgedShare.objects.values_list("share", flat=True)) == {1.0}


def test_start__baseline__of_the_pinned_evaluators_scores_alone(judged: Prompt) -> None:
    control = {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v1.0"}
    ingest(*(traces.span(traces.CHAT | control, number=number, trace=number) for number in range(3)))
    for number, by in enumerate(["faithfulness@1", "faithfulness@2", None]):
        score = {"name": "faithfulness", "source": "judge", "span_id": traces.span_id(number).hex()}
        record_scores(scores=[NewScore(value=number / 10, evaluator=by, probability=0.02, **score)])

    rollout = start()

    assert rollout.metrics.get(name="faithfulness").baseline == {"100": 1}


def test_look__scores_in_the_shares_of_each_step__the_ratio_holds(judged: Prompt) -> None:
    rollout = start()
    scores(rollout, 0, control=3000, canary=3000)
    scores(rollout, 1, control=3000, canary=3000)

    rollout = rollouts.look_now(rollout)

    assert rollout.verdict is not None
    ratio = rollout.verdict.body["judged_ratio"]
    assert ratio["log_e"] < 0
    assert {round(one["share"], 6) for one in ratio["counted"]["faithfulness"]} == {0.5}
    assert rollout.hold_reason == ""


def test_look__canary_gets_more_scores_than_planned__invalid(judged: Prompt) -> None:
    rollout = start()
    scores(rollout, 0, control=2000, canary=3000)

    rollout = rollouts.look_now(rollout)

    assert rollout.hold_reason == "sample_ratio"


def test_explain_and_replay__of_a_judged_rollout__to_the_same_answer(judged: Prompt) -> None:
    rollout = start(metrics=[{"name": "faithfulness"}])
    scores(rollout, 0, control=400, canary=400, good=0.94)
    rollout = rollouts.look_now(rollout)
    assert rollout.verdict is not None

    explained = explain(verdict_id=rollout.verdict.pk)
    replayed = replay(rollout_id=rollout.id, written={"steps": STEPS, "metrics": [{"name": "faithfulness"}]})

    assert explained.differences == ()
    assert replayed.untested == ()
    assert replayed.plan.metrics[0].evaluator == "faithfulness@2"
    assert replayed.last.body["judged_ratio"] == rollout.verdict.body["judged_ratio"]


def test_explain__frozen_before_there_were_evaluators__still_follows(prompt: Prompt) -> None:
    rollout = start(metrics=[{"name": "tone", "kind": "score"}])
    evidence.add(
        Observation(Exposure(rollout.id, 0, arm, number), rollout.versions[arm], "tone", 900)
        for arm in ("control", "canary")
        for number in range(200)
    )
    rollout = rollouts.look_now(rollout)

    stored = rollout.metrics.get().frozen["metric"]

    assert not {"evaluator", "judged_by_step"} & stored.keys()
    assert rollout.verdict is not None
    assert explain(verdict_id=rollout.verdict.pk).differences == ()


def test_forecast__judged_prompt__tells_calls_and_what_the_budget_allows(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now().replace(year=2020))
    calls(700)  # 100 a day
    judged.judgings.update(share_bp=5000)

    told = forecast_json(forecast(prompt_name="order-extractor", plan={"steps": STEPS}))

    assert told["judging"] == {
        "calls_per_day": 50.0,
        "usd_per_day": None,
        "afforded": 1.0,
        "budget": {"calls_a_day": 5000, "usd_a_day": "5"},
    }
    (metric,) = [metric for metric in told["metrics"] if metric["name"] == "faithfulness"]
    assert metric["evaluator"] == "faithfulness@2"
    assert not any("budget" in warning for warning in told["warnings"])
    assert not any("spelled" in warning and "faithfulness" in warning for warning in told["warnings"])


def test_forecast__budget_too_small_to_decide__warned_of(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now().replace(year=2020))
    calls(700)
    judged.judgings.update(share_bp=5000)
    judgings.budget(judged, calls_a_day=1)

    told = forecast_json(forecast(prompt_name="order-extractor", plan={"steps": STEPS}))

    assert told["judging"]["afforded"] == pytest.approx(1 / 50)
    assert any("allows 1 judged calls a day of the 50" in warning for warning in told["warnings"])
    assert "faithfulness cannot be decided within max_duration on what the judging budget allows." in told["warnings"]


def test_forecast__check_beside_a_judge__takes_nothing_of_the_budget(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now().replace(year=2020))
    calls(700)
    judgings.judging(judged, judgings.evaluator("brevity", kind=EvaluatorKind.CHECK), share_bp=10_000)
    judged.judgings.filter(evaluator__name="faithfulness").update(share_bp=5000)
    judgings.budget(judged, calls_a_day=1)

    told = forecast_json(forecast(prompt_name="order-extractor", plan={"steps": STEPS}))

    assert (told["judging"]["calls_per_day"], told["judging"]["afforded"]) == (1.0, pytest.approx(1 / 50))
    assert not any(warning.startswith("brevity cannot be decided") for warning in told["warnings"])
    assert any(warning.startswith("faithfulness cannot be decided") for warning in told["warnings"])


def test_start__checks_alone_and_no_budget_left__wholly_judged(prompt: Prompt) -> None:
    Prompt.objects.update(created_at=now().replace(year=2020))
    calls(700)
    judgings.judging(prompt, judgings.evaluator("brevity", kind=EvaluatorKind.CHECK), share_bp=10_000)
    judgings.budget(prompt, calls_a_day=1)

    rollout = start()

    assert metric_of(rollout, "brevity")["judged_by_step"][0] == {"control": 1.0, "canary": 1.0}
    assert forecast_json(forecast(prompt_name="order-extractor", plan={"steps": STEPS}))["judging"] is None


def test_forecast__prompt_minutes_old__afforded_what_its_start_would_be(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now() - timedelta(minutes=4))
    calls(700)
    judgings.budget(judged, calls_a_day=7)

    told = forecast_json(forecast(prompt_name="order-extractor", plan={"steps": STEPS}))

    assert told["judging"]["afforded"] == pytest.approx(0.5)


def test_forecast__what_a_judgement_costs_is_known__dollars_limit_it_too(judged: Prompt) -> None:
    Prompt.objects.update(created_at=now().replace(year=2020))
    calls(700)
    judged.judgings.update(share_bp=5000)
    judgings.budget(judged, usd_a_day=Decimal("0.25"))
    Evaluation.objects.create(
        call=Call.objects.earliest("pk"),
        evaluator_version=EvaluatorVersion.objects.earliest("ordinal"),
        prompt=judged,
        probability=0.5,
        by_design=True,
        urgent=False,
        next_attempt_at=now(),
        created_at=now(),
        cost_usd=Decimal("0.01"),
    )

    told = forecast_json(forecast(prompt_name="order-extractor", plan={"steps": STEPS}))

    assert (told["judging"]["calls_per_day"], told["judging"]["usd_per_day"]) == (25.0, "0.2500")
    assert told["judging"]["afforded"] == pytest.approx(0.5)
    assert forecast_in_words(told).judging.startswith("About 25 calls a day are judged, about $0.25")


def test_metric_rows__judged_by_an_evaluator__by_whom_and_how_many_calls_of_each_arm(judged: Prompt) -> None:
    rows = {row.name: row.about for row in metric_rows(start()).guardrails}

    told = "by faithfulness@2, which judges 20.0 % of the canary's calls and 1.1 % of the control's"
    assert rows["faithfulness"].replace("\N{NARROW NO-BREAK SPACE}", " ").endswith(told)
    assert "by " not in rows["error_rate"]


def test_forecast__prompt_without_evaluators__no_judging(prompt: Prompt) -> None:
    assert forecast_json(forecast(prompt_name="order-extractor"))["judging"] is None
