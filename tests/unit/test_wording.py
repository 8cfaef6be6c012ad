"""Rollouts in words: what the pages say of each state, on objects that no database has seen."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.html import strip_tags

from registry.models import Label, Prompt, PromptVersion
from rollout import wording
from rollout.core.lifecycle import ALLOWED_FROM
from rollout.core.plan import Plan, PlanMetric, PlanStep
from rollout.models import Delivery, HoldReason, Outlook, Rollout, Status, Transition, Verdict
from rollout.wording import State

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
STARTED = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
GAPS = str.maketrans("\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}", "  ")
PROMPT = Prompt(name="order-extractor")
PLAN = Plan(
    metrics=(PlanMetric("error_rate", "rate", "lower"), PlanMetric("hallucination", "rate", "lower")),
    steps=(PlanStep(500, 4 * 3600), PlanStep(2500, 3600)),
)


def rollout(**fields: Any) -> Rollout:
    """Running on its first step since 9:00, with nothing found yet."""
    plan = PLAN.to_json() | fields.pop("plan", {})
    usual: dict[str, Any] = {
        "id": "rol_1",
        "prompt": PROMPT,
        "label": Label(prompt=PROMPT, name="production"),
        "control": PromptVersion(prompt=PROMPT, major=2, minor=2, patch=0),
        "canary": PromptVersion(prompt=PROMPT, major=2, minor=3, patch=0),
        "status": Status.RUNNING,
        "weight_bp": 500,
        "created_at": STARTED,
        "started_at": STARTED,
        "step_entered_at": STARTED,
        "hold_until": STARTED + timedelta(hours=4),
    }
    return Rollout(plan=plan, **usual | fields)


def metric(name: str = "hallucination", **fields: Any) -> dict[str, Any]:
    healthy = {
        "name": name,
        "measure": name,
        "kind": "rate",
        "role": "guardrail",
        "direction": "lower",
        "unit": "share",
        "limit": None,
        "control": {"n": 9912, "units": 9407, "estimate": 0.018},
        "canary": {"n": 502, "units": 496, "estimate": 0.041},
        "log_e_harm": math.log(1.5),
        "verdict": "undecided",
    }
    return healthy | fields


def verdict(kind: str = "undecided", *metrics: dict[str, Any], **body: Any) -> Verdict:
    found = {"reasons": [], "guilty": [], "log_e_harm": 0.0, "log_threshold": math.log(20)}
    return Verdict(pk=1, kind=kind, step=0, body=found | {"metrics": list(metrics)} | body)


def transition(action: str = "started", **fields: Any) -> Transition:
    usual = {"action": action, "cause": "by_hand", "actor": "user:anna", "happened_at": NOW - timedelta(minutes=18)}
    return Transition(**usual | fields)


HARMFUL = verdict("harmful", metric("error_rate"), metric(), guilty=["hallucination"], log_e_harm=math.log(20.6))


def said(of: Rollout, last: Transition | None) -> str:
    return strip_tags(wording.sentence(of, last, NOW)).translate(GAPS)


def test_headline() -> None:
    assert wording.headline(attention=0, alarms=[], active=0) == "Nothing needs attention, no rollout is active"
    assert wording.headline(attention=1, alarms=["webhooks are not sent"], active=1) == (
        "1 rollout needs attention, webhooks are not sent, 1 rollout is active"
    )
    assert wording.headline(attention=0, alarms=["no evaluator is at work"], active=2) == (
        "No evaluator is at work, 2 rollouts are active"
    )


@pytest.mark.parametrize(
    ("newest", "state"),
    [
        (None, State("open", "No evidence yet")),
        (verdict("undecided", metric(canary={"n": 0, "estimate": None})), State("open", "No evidence yet")),
        (verdict("undecided", metric()), State("open", "No harm found yet")),
        (
            verdict("undecided", metric("error_rate", verdict="safe"), metric()),
            State("open", "Proven safe on 1 of 2 guardrails"),
        ),
        (verdict("safe", metric(verdict="safe")), State("safe", "Proven safe")),
        (
            verdict("safe", metric(verdict="safe"), metric("tone", role="observed")),
            State("safe", "Proven safe"),
        ),
    ],
)
def test_running__no_harm_found_is_not_proven_safe(newest: Verdict | None, state: State) -> None:
    assert wording.state_of(rollout(verdict=newest)) == state


def test_running__hold_not_served__says_what_comes_next_and_when() -> None:
    assert said(rollout(), transition()) == (
        "5 % of units get v2.3 since 09:00:00, the others v2.2. Next: 25 %, not before 13:00:00."
    )


def test_running__hold_served__next_waits_for_what_is_missing() -> None:
    on_last_step = rollout(step=1, weight_bp=2500, hold_until=STARTED)
    by_hand = rollout(step=1, weight_bp=2500, hold_until=STARTED, plan={"auto_promote": False})

    assert said(on_last_step, transition()).endswith("Next: promotion, as soon as nothing is missing.")
    assert said(by_hand, transition()).endswith("Next: a person may promote it, as soon as nothing is missing.")


def test_draft__says_that_nothing_changes_yet() -> None:
    draft = rollout(status=Status.DRAFT, started_at=None, weight_bp=0)

    assert wording.state_of(draft).words == "Not started"
    assert said(draft, None) == "Nobody is given v2.3 by it until it is started."


SPENT = verdict("spent", spend={"cap_usd": "25", "canary": {"usd": "25.0413", "calls": 903, "unpriced_calls": 3}})


def test_held__says_by_what_and_until_when() -> None:
    invalid = verdict("invalid", reasons=["The sample ratio of scores is broken: the judge chose."])
    newest = dict.fromkeys(HoldReason, HARMFUL) | {HoldReason.SAMPLE_RATIO: invalid, HoldReason.SPEND_CAP: SPENT}

    held = {
        reason: (wording.state_of(one).words, said(one, transition("invalid", verdict=newest[reason])))
        for reason in HoldReason
        for one in [rollout(hold_reason=reason, verdict=newest[reason], plan={"max_duration_s": 7200})]
    }

    assert held == {
        HoldReason.SAMPLE_RATIO: (
            "Held: sample ratio broken",
            "The sample ratio of scores is broken: the judge chose. Nothing is decided on this data. "
            "5 % of units keep v2.3 until a person rolls back or cancels.",
        ),
        HoldReason.INCONCLUSIVE: (
            "Held: its time is up",
            "2 h were over before there was proof. 5 % of units keep v2.3 until a person acts or nothing is missing "
            "any more; harm still rolls it back.",
        ),
        HoldReason.HARM_FOUND: (
            "Held: harm found",
            "hallucination 4.1 % against 1.8 %. The plan leaves the rollback to a person; "
            "until then 5 % of units get v2.3.",
        ),
        HoldReason.PROVEN_SAFE: (
            "Held: waits for a person to promote it",
            "No harm was found. The plan leaves the promotion to a person; until then 5 % of units get v2.3.",
        ),
        HoldReason.EVALUATION_FAILED: (
            "Held: a look at it failed",
            "The evidence could not be looked at. It is tried again every minute; "
            "5 % of units keep v2.3 until that succeeds or a person acts.",
        ),
        HoldReason.SPEND_CAP: (
            "Held: the canary has cost what it may",
            "Calls of the canary cost $25.04, of $25.00 at most; the cost of 3 more calls is not known. "
            "The plan leaves the rollback to a person; until then 5 % of units get v2.3.",
        ),
    }


def test_held__a_look_failed__says_by_what() -> None:
    held = rollout(hold_reason=HoldReason.EVALUATION_FAILED)
    last = transition(
        "evaluation_failed", cause="evaluation_failed", actor="system:evaluator", reason="KeyError: steps"
    )

    assert said(held, last).startswith("The evidence could not be looked at (KeyError: steps). It is tried again")
    assert wording.why(last) == "by Serinus (evaluator): “KeyError: steps”"


def test_paused__says_by_whom_and_what_harm_would_do() -> None:
    paused = rollout(status=Status.PAUSED)
    announced = rollout(status=Status.PAUSED, plan={"auto_rollback": False})
    last = transition("paused", reason="nobody is watching")

    assert wording.state_of(paused) == State("held", "Held: paused")
    assert said(paused, last) == (
        "Since 11:42:00 by anna: “nobody is watching”. 5 % of units keep v2.3 until a person acts; "
        "harm still rolls it back."
    )
    assert said(announced, last).endswith("harm is still announced.")


def test_paused__its_time_is_up_too__promises_nothing_but_what_a_person_does() -> None:
    paused = rollout(status=Status.PAUSED, hold_reason=HoldReason.INCONCLUSIVE, paused_at=NOW - timedelta(hours=1))
    first_held = transition("paused", reason="nobody is watching")
    first_paused = transition("inconclusive", cause="max_duration", actor="system:evaluator")

    assert wording.state_of(paused) == State("held", "Held: paused")
    assert said(paused, first_held) == (
        "Since 11:00:00 by anna: “nobody is watching”. Its time is up. 5 % of units keep v2.3 until a person acts; "
        "harm still rolls it back."
    )
    assert said(paused, first_paused).startswith("Since 11:00:00. Its time is up. 5 % of units keep v2.3 until")


@pytest.mark.parametrize("reason", [HoldReason.SAMPLE_RATIO, HoldReason.HARM_FOUND, HoldReason.EVALUATION_FAILED])
def test_paused__held_for_what_matters_more__says_that(reason: HoldReason) -> None:
    paused = rollout(status=Status.PAUSED, hold_reason=reason)

    assert wording.state_of(paused) == wording.HELD[reason]


def test_rolled_back__only_scores_count__says_that_they_are_the_judged_calls() -> None:
    plan = Plan((PlanMetric("hallucination", "rate", "lower"),)).to_json()
    ended = rollout(plan=plan, status=Status.CANCELLED, ended_at=NOW, verdict=verdict("undecided", metric()))

    assert said(ended, transition("cancelled")).endswith("; 502 judged calls saw v2.3.")
    assert needs(foreseen(outlook(), plan=plan, hold_until=NOW)).startswith(
        "Needs about 1 900 more judged canary calls to prove it safe"
    )


def test_rolled_back__says_why_when_and_how_many_calls_saw_it() -> None:
    ended = rollout(
        status=Status.ROLLED_BACK,
        weight_bp=0,
        verdict=verdict("harmful", metric("error_rate", canary={"n": 523, "estimate": 0.01}), metric()),
        ended_at=STARTED + timedelta(hours=2, minutes=42),
    )
    last = transition("rolled_back", cause="guardrail:hallucination", actor="system:evaluator", verdict=HARMFUL)

    assert wording.state_of(ended) == State("harm", "Rolled back")
    assert said(ended, last) == (
        "by the verdict: hallucination 4.1 % against 1.8 %. Everyone got v2.2 back at 11:42:00, "
        "2 h 42 min after the start; 523 counted calls saw v2.3."
    )


def test_promoted__everyone_gets_the_canary() -> None:
    ended = rollout(status=Status.PROMOTED, weight_bp=0, ended_at=NOW)
    last = transition("promoted", cause="proven_safe", actor="system:evaluator")

    assert wording.state_of(ended) == State("safe", "Promoted")
    assert said(ended, last) == (
        "by the verdict: every guardrail proven safe. Everyone got v2.3 at 11:42:00, 3 h after the start."
    )


def test_cancelled__before_its_start__says_so() -> None:
    ended = rollout(status=Status.CANCELLED, started_at=None, ended_at=NOW)

    assert said(ended, transition("cancelled", reason="wrong draft")) == (
        "by anna: “wrong draft” at 11:42:00; it was never started."
    )


@pytest.mark.parametrize(
    ("actor", "name"),
    [("user:anna", "anna"), ("key:deploy", "the key deploy"), ("system:command line", "Serinus (command line)")],
)
def test_who(actor: str, name: str) -> None:
    assert wording.why(transition(actor=actor)) == f"by {name}"


def test_sentence__names_from_outside_never_become_markup() -> None:
    last = transition("paused", actor="user:<i>anna</i>", reason="<script>alert(1)</script>")

    html = wording.sentence(rollout(status=Status.PAUSED), last, NOW)

    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_missing__what_the_newest_verdict_waits_for() -> None:
    waits = ["The hold of step 1 of 2 is not served yet.", "hallucination is not proven safe yet."]
    waiting, late = verdict(reasons=waits), verdict("inconclusive", reasons=["Its time is up.", *waits])

    assert wording.missing(rollout(verdict=waiting), transition()) == waits
    assert wording.missing(rollout(verdict=late), transition("inconclusive", verdict=late)) == waits
    assert wording.missing(rollout(), transition()) == []


def test_missing__nothing_fresh__said_only_where_nothing_else_is_missing() -> None:
    proof, stale = "hallucination is not proven safe yet.", "No evidence has come since the last look."

    assert wording.missing(rollout(verdict=verdict(reasons=[stale, proof])), transition()) == [proof]
    assert wording.missing(rollout(verdict=verdict(reasons=[stale])), transition()) == [stale]
    late = verdict("inconclusive", reasons=["Its time is up.", stale])
    assert wording.missing(rollout(verdict=late), transition()) == [stale]


def test_missing__nothing_of_an_earlier_step_a_decided_verdict_or_an_end() -> None:
    waiting, safe = verdict(reasons=["It is paused."]), verdict("safe", reasons=["No harm was found."])

    assert wording.missing(rollout(verdict=waiting, step=1), transition()) == []
    assert wording.missing(rollout(verdict=safe), transition("proven_safe", verdict=safe)) == []
    assert wording.missing(rollout(verdict=HARMFUL), transition()) == []
    assert wording.missing(rollout(verdict=waiting, status=Status.CANCELLED), transition()) == []


def outlook(canary_calls: int | None = 2423, calls_per_s: float = 3.5) -> Outlook:
    return Outlook(canary_calls=canary_calls, metric="hallucination", calls_per_s=calls_per_s, foreseen_at=NOW)


def foreseen(what: Outlook, **fields: Any) -> Rollout:
    """Running, with 523 canary calls."""
    found = rollout(**{"verdict": verdict("undecided", metric(canary={"n": 523})), **fields})
    found.outlook = what
    return found


def needs(found: Rollout) -> str:
    return wording.needs(found, NOW).translate(GAPS)


def test_needs__calls_and_how_long_they_take_at_the_steps_to_come() -> None:
    # 1 900 more, of 3.5 calls a second 5 % now and 25 % on the next step
    served = foreseen(outlook(), hold_until=NOW)
    in_two_hours = foreseen(outlook(), hold_until=NOW + timedelta(hours=2))
    held = foreseen(outlook(), hold_until=NOW, hold_reason=HoldReason.INCONCLUSIVE)

    assert needs(served) == "Needs about 1 900 more canary calls to prove it safe, 36 min at today's traffic."
    assert "2 h at today's traffic" in needs(in_two_hours)
    assert "3 h at today's traffic" in needs(held)


def test_needs__longer_than_its_time__says_so() -> None:
    found = foreseen(outlook(canary_calls=90_000), hold_until=NOW, deadline_at=NOW + timedelta(hours=4))

    paused = foreseen(
        outlook(canary_calls=90_000), hold_until=NOW, deadline_at=NOW + timedelta(hours=4), status=Status.PAUSED
    )

    assert needs(found).endswith("28 h at today's traffic, but its time is up in 4 h.")
    assert "its time is up" not in needs(paused)  # the pause does not count against it


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (outlook(canary_calls=None), "At this margin hallucination is hardly ever proven safe."),
        (outlook(canary_calls=500), "As many canary calls as hallucination usually needs for its proof have come."),
        (outlook(canary_calls=524), "Needs about 1 more canary call to prove it safe, 6 s at today's traffic."),
        (outlook(calls_per_s=0.0), "Needs about 1 900 more canary calls to prove it safe, and no calls come."),
    ],
)
def test_needs__what_else_there_is_to_say(what: Outlook, words: str) -> None:
    assert needs(foreseen(what)) == words


def test_needs__proven_or_decided__empty() -> None:
    assert needs(foreseen(outlook(), verdict=verdict("safe", metric(verdict="safe")))) == ""
    assert needs(foreseen(outlook(), hold_reason=HoldReason.SAMPLE_RATIO)) == ""
    assert needs(foreseen(outlook(), status=Status.ROLLED_BACK)) == ""


def test_evidence_of_harm__says_what_its_picture_shows() -> None:
    assert wording.evidence_of_harm(rollout()) == "No evidence of harm yet"
    assert wording.evidence_of_harm(rollout(course=[[0, 0.0], [60, math.log(2.4)], [120, math.log(1.25)]])) == (
        "Evidence of harm: 1.2 of 20 now, 2.4 at its highest"
    )


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"verdict": "harmful"}, State("harm", "Harmful")),
        ({"verdict": "safe"}, State("safe", "Proven safe")),
        ({}, State("open", "No harm found")),
        ({"canary": {"n": 0}}, State("open", "No evidence yet")),
    ],
)
def test_state_of_metric(fields: dict[str, Any], state: State) -> None:
    assert wording.state_of_metric(metric(**fields)) == state


def test_numbers__a_line_for_all_and_one_for_each_metric_with_evidence() -> None:
    found = verdict(
        "harmful",
        metric(log_e_harm=math.log(120)),
        metric("faithfulness", canary={"n": 0, "estimate": None}),
        log_e_harm=math.log(20.6),
    )

    assert [line.translate(GAPS) for line in wording.numbers(found)] == [
        "Evidence of harm: 20.6 of 20",
        "hallucination: 4.1 % (n 502) against 1.8 % (n 9 912), e-value of harm 120",
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "hallucination 4.1 % against 1.8 %"),
        (
            {"kind": "score", "unit": "score", "canary": {"estimate": 0.87}, "control": {"estimate": 0.94}},
            "hallucination 0.870 against 0.940",
        ),
        (
            {"kind": "latency", "unit": "ms", "canary": {"estimate": 1512.4}, "control": {"estimate": 998.0}},
            "hallucination 1 512 ms against 998 ms",
        ),
        (
            {"kind": "cost", "unit": "USD", "canary": {"estimate": 0.0123}, "control": {"estimate": 0.01}},
            "hallucination $0.0123 against $0.0100",
        ),
        (
            {"kind": "cost", "unit": "tokens", "limit": 900.0, "canary": {"estimate": 1204.0}},
            "hallucination 1 204 tokens against limit: under 900 tokens",
        ),
        ({"limit": 0.02}, "hallucination 4.1 % against limit: under 2.0 %"),
        (
            {"kind": "latency", "limit": 2000.0, "canary": {"estimate": 0.07}},
            "hallucination 7.0 % against limit: P95 under 2 000 ms",
        ),
        ({"control": {"estimate": None}}, "hallucination 4.1 % against \N{EN DASH}"),
    ],
    ids=[
        "rate",
        "score",
        "latency",
        "cost",
        "limit of a cost",
        "limit",
        "limit of a latency",
        "nothing of the control",
    ],
)
def test_why__harm_of_each_kind__in_its_unit(fields: dict[str, Any], words: str) -> None:
    harmful = verdict("harmful", metric(**fields), guilty=["hallucination"])
    last = transition("rolled_back", cause="guardrail:hallucination", verdict=harmful)

    assert wording.why(last).translate(GAPS) == f"by the verdict: {words}"


def test_state_after__every_transition_has_words() -> None:
    holds = {"invalid", "inconclusive", "harm_found", "proven_safe", "evaluation_failed"}
    by_hand = {"started", "paused", "resumed", "step_advanced", "promoted", "rolled_back", "cancelled", "recovered"}
    assert len(by_hand | {"hold"}) == len(ALLOWED_FROM)  # a new transition needs words

    words = {
        action: wording.state_after(transition(action, from_weight_bp=500, to_weight_bp=2500)).words.translate(GAPS)
        for action in holds | by_hand
    }

    assert words["started"] == "Started at 25 %"
    assert words["step_advanced"] == "From 5 % to 25 %"
    assert all(words.values())


def test_state_of_delivery__dead_says_why() -> None:
    assert wording.state_of_delivery(Delivery(status="pending")).words == "Waiting"
    assert wording.state_of_delivery(Delivery(status="delivered")).words == "Delivered"
    assert (
        wording.state_of_delivery(Delivery(status="dead", dead_reason="retries_used_up")).words
        == "Dead: retries used up"
    )


def test_plan_in_words__says_who_acts_and_when() -> None:
    words = dict(wording.plan_in_words(PLAN))
    by_hand = dict(wording.plan_in_words(Plan(PLAN.metrics, auto_rollback=False, auto_promote=False, alpha=0.01)))

    assert words["On harm"].startswith("It is rolled back when the e-value of harm reaches 20: 5 of 100")
    assert words["On success"].startswith("It is promoted when the last hold is served and every guardrail is proven")
    assert by_hand["On harm"].startswith("It is held for a person to roll back when the e-value of harm reaches 100")
    assert by_hand["On success"].startswith("It is held for a person to promote")
