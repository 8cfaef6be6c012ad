"""`manage.py explain_verdict`: every kind of metric and of verdict is recomputed, and tampering is named."""

import json
import math
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from common.clock import now
from rollout import explanation_words, services
from rollout.core.stats import mixtures
from rollout.explanation import Explanation, explain
from rollout.models import Batch, Metric, Rollout, Verdict
from tests import rollouts as given
from tests.db.test_kinds_of_metrics import drawn, know
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

SAME = "the same to the last bit."
CALLS = {"control": {0: 1880, 1000: 20}, "canary": {0: 98, 1000: 2}}  # 1 % and 2 % fail, at 5 %
HARMFUL = {"control": {0: 1880, 1000: 20}, "canary": {0: 80, 1000: 20}}  # 1 % against 20 %: far over any threshold
EQUAL = {"control": {0: 19_600, 1000: 400}, "canary": {0: 19_600, 1000: 400}}  # far more than a proof needs
HALF = [{"weight": "50%", "hold": "0s"}]


def command(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def newest(rollout: Rollout) -> Explanation:
    assert rollout.verdict_id
    return explain(rollout.verdict_id)


def judged(
    *metrics: dict[str, Any], name: str = "order-extractor", evidence: dict[str, Any] = CALLS, **plan: Any
) -> Rollout:
    """A rollout on error_rate and these metrics after one look at evidence of error_rate."""
    rollout = given.rollout(name, metrics=[{"name": "error_rate"}, *metrics], **plan)
    given.observe_values(rollout, "error_rate", **evidence)
    return given.look_now(rollout)


@pytest.mark.parametrize(
    ("metric", "control", "canary"),
    [
        ({"name": "refusal", "kind": "rate"}, {0: 930, 1000: 20}, {0: 46, 1000: 4}),
        ({"name": "helpful", "kind": "rate"}, {0: 20, 1000: 930}, {0: 4, 1000: 46}),
        ({"name": "answered", "kind": "rate", "limit": 0.95}, {0: 20, 1000: 930}, {0: 4, 1000: 46}),
        ({"name": "faithfulness", "kind": "score"}, {940: 900, 0: 50}, {930: 45, 100: 5}),
        ({"name": "toxicity", "kind": "score"}, {40: 900, 900: 50}, {50: 45, 900: 5}),
        ({"name": "relevance", "kind": "score", "limit": 0.9}, {940: 950}, {930: 45, 100: 5}),
        ({"name": "thumbs_down"}, {1000: 30}, {1000: 3}),
        ({"name": "tokens"}, drawn("tokens", 950, scale=300), drawn("tokens", 50, scale=330)),
        ({"name": "tokens", "limit": 400}, drawn("tokens", 950, scale=300), drawn("tokens", 50, scale=330)),
        ({"name": "cost_per_call"}, drawn("cost_per_call", 950, scale=0.002), drawn("cost_per_call", 50, scale=0.003)),
        ({"name": "ttft"}, drawn("ttft", 950, scale=400), drawn("ttft", 50, scale=420)),
        ({"name": "ttft", "limit": 1000}, drawn("ttft", 950, scale=400), drawn("ttft", 50, scale=420)),
        ({"name": "latency"}, drawn("latency", 950, scale=3000), drawn("latency", 50, scale=9000)),
    ],
    ids=lambda given: "-".join(map(str, given.values())) if isinstance(given, dict) and "name" in given else "",
)
def test_explain__each_kind_of_metric__the_same_again_and_its_mixtures_give_its_e_values(
    metric: dict[str, Any], control: dict[int, int], canary: dict[int, int]
) -> None:
    rollout = given.rollout(metrics=[{"name": "error_rate"}, metric])
    if metric["name"] in ("tokens", "cost_per_call", "ttft", "latency"):
        know(rollout, metric["name"], scale=500)
    for _ in range(3):
        given.observe_values(rollout, "error_rate", **CALLS)
        given.observe_values(rollout, metric["name"], control=control, canary=canary)
        rollout = given.look_now(rollout)

    explained = newest(rollout)

    assert explained.differences == ()
    for account in explained.accounts:
        assert account.frozen
        assert account.state
        process, report = account.frozen.process, account.report
        harm = [
            mixtures.log_e(mixture, logs, design_effect=report.design_effect)
            for mixture, logs in mixtures.of_harm(process).split(account.state.harm)
        ]
        assert report.log_e_harm == pytest.approx(math.log(sum(map(math.exp, harm)) / len(harm)), abs=1e-9)
        safe = [
            mixtures.log_e(mixture, logs, design_effect=report.design_effect)
            for mixture, logs in mixtures.of_safety(process).split(account.state.safe)
        ]
        assert report.log_e_safe == min(safe)
    assert SAME in command("explain_verdict", str(rollout.verdict_id))


@pytest.mark.parametrize(
    ("kind", "said", "evidence", "plan"),
    [
        ("harmful", "it is rolled back (cause guardrail:error_rate)", HARMFUL, {}),
        ("harmful", "it is held where it is until a person acts", HARMFUL, {"auto_rollback": False}),
        ("safe", "it is promoted (cause proven_safe)", EQUAL, {"steps": HALF}),
        ("undecided", "nothing for now", CALLS, {}),
        ("invalid", "it is held where it is until a person acts (cause sample_ratio)", EQUAL, {}),
    ],
    ids=["rolled back", "held for harm", "safe", "undecided", "invalid"],
)
def test_explain_verdict__each_kind__says_why_and_recomputes_it(
    kind: str, said: str, evidence: dict[str, Any], plan: dict[str, Any]
) -> None:
    rollout = judged(evidence=evidence, **plan)

    text = command("explain_verdict", str(rollout.verdict_id))

    assert text.startswith(f"Verdict {rollout.verdict_id}: {kind}\n")
    assert f"So the verdict is {kind}, and {said}" in text
    assert text.rstrip().endswith(f"Recomputed from 1 batch: {SAME}")


def test_explain_verdict__time_is_up__inconclusive_without_a_batch() -> None:
    rollout = given.rollout()
    Rollout.objects.filter(pk=rollout.pk).update(deadline_at=now() - timedelta(seconds=1))
    rollout = given.look_now(rollout)

    text = command("explain_verdict", str(rollout.verdict_id))

    assert "4. Is its time up? yes. max_duration is over." in text
    assert text.rstrip().endswith(f"Recomputed from 0 batches: {SAME}")


def test_explain_verdict__decided_early__later_rules_are_not_asked() -> None:
    rollout = judged(evidence=HARMFUL)

    text = command("explain_verdict", str(rollout.verdict_id))

    assert "2. Is harm found? yes." in text
    assert "3. Is nothing left to wait for? not asked any more\n" in text
    assert "because: error_rate: 20.00% of 100 canary calls against 1.05% of 1900 control calls." in text
    assert "then: rolled_back (cause guardrail:error_rate)" in text


def test_explain_verdict__many_batches__shows_the_last_of_them_and_recomputes_from_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explanation_words, "BATCHES_SHOWN", 1)
    rollout = judged()
    given.observe_values(rollout, "error_rate", **CALLS)
    rollout = given.look_now(rollout)

    text = command("explain_verdict", str(rollout.verdict_id))

    assert "(batches 1 to 1: see --json)\n      2 " in text
    assert text.rstrip().endswith(f"Recomputed from 2 batches: {SAME}")


def test_explain__older_verdicts__stay_what_they_were_whatever_came_later() -> None:
    rollout = given.rollout(metrics=[{"name": "error_rate"}, {"name": "tokens"}])
    for seed in range(5):
        given.observe_values(rollout, "error_rate", **CALLS)
        given.observe_values(  # the first two looks only learn its scale
            rollout,
            "tokens",
            control=drawn("tokens", 110, scale=300, seed=seed),
            canary=drawn("tokens", 10, scale=300, seed=seed),
        )
        rollout = given.look_now(rollout)
    services.pause(rollout_id=rollout.id, actor=ANNA, reason="lunch")
    given.observe_values(rollout, "error_rate", **CALLS)
    given.look_now(rollout)
    services.cancel(rollout_id=rollout.id, actor=ANNA, reason="enough")

    explained = [explain(verdict.pk) for verdict in Verdict.objects.order_by("id")]

    assert [one.differences for one in explained] == [()] * 6
    assert [len(account.folded) for one in explained for account in one.accounts] == [
        1,
        0,
        2,
        0,
        3,
        1,
        4,
        2,
        5,
        3,
        6,
        3,
    ]


def test_explain__units_of_a_fraction__whether_they_suffice_is_recomputed_exactly() -> None:
    rollout = given.rollout(min_units=2, metrics=[{"name": "error_rate"}])
    given.observe_values(rollout, "error_rate", control={0: 247}, canary={0: 13}, units=2)
    rollout = given.look_now(rollout)
    assert rollout.verdict
    units = rollout.verdict.body["canary_units"]
    assert 1.9 < units < 2  # two units, of 7 and of 6 calls

    explained = newest(rollout)

    assert explained.differences == ()
    assert "1 of at least 2 units have seen the canary." in explained.finding.reasons


def test_explain_verdict__tampered_batch__every_difference_is_named_and_it_fails() -> None:
    rollout = judged({"name": "refusal", "kind": "rate"})
    Batch.objects.filter(metric__name="error_rate").update(canary={"0": 90, "1000": 10})
    out = StringIO()

    with pytest.raises(CommandError, match="are not what is stored"):
        call_command("explain_verdict", str(rollout.verdict_id), stdout=out)

    named = {difference.where for difference in newest(rollout).differences}
    assert {"kind", "log_e_harm", "metrics[error_rate].log_e_harm", "metrics[error_rate].canary.estimate"} <= named
    assert not any("refusal" in where for where in named)
    assert "metrics[error_rate].canary.estimate: stored 0.02, recomputed 0.1" in out.getvalue()
    assert SAME not in out.getvalue()


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (lambda: Batch.objects.all().delete(), "closed batches of error_rate"),
        (
            lambda: Metric.objects.update(baseline={"0": 8000, "1000": 2000}),
            "frozen of error_rate.process.harm.points[0]",
        ),
        (lambda: Batch.objects.update(design_effect=1.5), "metrics[error_rate].design_effect"),
        (lambda: Batch.objects.update(step=1), "reasons[1]"),
        (lambda: Verdict.objects.update(kind="safe"), "the verdict's kind"),
    ],
    ids=["lost batch", "baseline", "design effect", "step", "kind"],
)
def test_explain__tampered__named(tamper: Any, where: str) -> None:
    rollout = judged()
    tamper()

    assert where in {difference.where for difference in newest(rollout).differences}


def test_explain_verdict__tampered_and_as_json__differences_are_listed_and_it_fails() -> None:
    rollout = judged()
    Batch.objects.update(canary={"0": 90, "1000": 10})
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("explain_verdict", str(rollout.verdict_id), "--json", stdout=out)

    listed = {difference["where"]: difference for difference in json.loads(out.getvalue())["differences"]}
    assert listed["metrics[error_rate].canary.estimate"]["stored"] == 0.02


def test_explain_verdict__json__its_increments_add_up_to_its_logs_and_they_to_the_verdict() -> None:
    rollout = given.rollout(metrics=[{"name": "error_rate"}, {"name": "ttft"}])
    know(rollout, "ttft", scale=400)
    for seed in range(3):
        given.observe_values(rollout, "error_rate", **CALLS, units=8)
        given.observe_values(
            rollout,
            "ttft",
            control=drawn("ttft", 950, scale=400, seed=seed),
            canary=drawn("ttft", 50, scale=400, seed=seed + 9),
        )
        rollout = given.look_now(rollout)

    told = json.loads(command("explain_verdict", str(rollout.verdict_id), "--json"))

    assert told["verdict"]["body"] == Verdict.objects.get(pk=rollout.verdict_id).body
    for metric, stored in zip(told["metrics"], told["verdict"]["body"]["metrics"], strict=True):
        for question in ("harm", "safe"):
            e_values = []
            alternatives = [one for mixture in metric[question]["mixtures"] for one in mixture["alternatives"]]
            sums = [
                math.fsum(parts) for parts in zip(*(b["increments"][question] for b in metric["batches"]), strict=True)
            ]
            assert [one["log_e"] for one in alternatives] == pytest.approx(sums)
            for mixture in metric[question]["mixtures"]:
                e_values.append(
                    sum(a["weight"] * math.exp(a["log_e"] / metric["design_effect"]) for a in mixture["alternatives"])
                )
            together = {"mean": sum(e_values) / len(e_values), "least": min(e_values)}[metric[question]["together"]]
            assert math.log(together) == pytest.approx(stored[f"log_e_{question}"])
        assert max(0.0, *(b["log_e_safe"] for b in metric["batches"])) == pytest.approx(stored["max_log_e_safe"])
    weights = told["overall"]["weights"]
    mean = sum(weights[m["name"]] * math.exp(m["log_e_harm"]) for m in told["metrics"]) / sum(weights.values())
    assert math.log(mean) == pytest.approx(told["verdict"]["body"]["log_e_harm"])


def test_explain_verdict__unknown__said() -> None:
    with pytest.raises(CommandError, match="There is no verdict 404"):
        call_command("explain_verdict", "404")


def test_explain_verdict__of_an_earlier_release__says_which_input_is_missing() -> None:
    rollout = judged()
    assert rollout.verdict
    del rollout.verdict.body["judged_ratio"]
    rollout.verdict.save(update_fields=["body"])

    with pytest.raises(CommandError, match="did not keep its 'judged_ratio'"):
        call_command("explain_verdict", str(rollout.verdict_id))
