"""The page of a rollout, as a browser gets it: what everybody reads, and what takes a right."""

import re
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from common.clock import now
from observability.models import Call, Score
from observability.models.calls import first_place
from registry import services as registry
from registry.core.content import Content
from rollout import services
from rollout.models import Delivery, DeliveryAttempt, Outlook, Rollout, Verdict
from rollout.pages import rollout_texts
from rollout.webhooks.services import create_endpoint
from tests import observed, traces
from tests import rollouts as given
from tests.pages import html_of, links, queries_of, read_strictly, section, words
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

HARM = {"control": (1900, 34), "canary": (100, 30)}  # 1.8 % against 30 %: one look is enough
OF_EVERY_KIND = [
    {"name": "error_rate", "limit": 0.05},
    {"name": "latency", "limit": 2000},
    {"name": "hallucination", "kind": "rate"},
    {"name": "thumbs_down"},
    {"name": "tone", "kind": "score", "role": "observed"},
]


def person(client: Client, *rights: str) -> Client:
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def page_of(rollout: Rollout) -> str:
    return f"/rollouts/{rollout.pk}"


def judged(rollout: Rollout) -> Rollout:
    """After a look that found no harm."""
    given.observe(rollout, "error_rate", control=(1900, 19), canary=(100, 1))
    return given.look_now(rollout)


def rolled_back(name: str = "order-extractor", **plan: Any) -> Rollout:
    rollout = given.rollout(name, **plan)
    given.observe(rollout, "error_rate", control=(1900, 19), canary=(100, 1))
    given.observe(rollout, "hallucination", **HARM)
    return given.look_now(rollout)


def looked_at(rollout: Rollout, times: int, *, every: timedelta = timedelta(seconds=1)) -> datetime:
    """Of a rollout with a verdict: it has as many more, the newest found now, and has started as long before."""
    until, body = now(), rollout.verdict.body  # type: ignore[union-attr]  # it has one
    Verdict.objects.bulk_create(
        Verdict(rollout=rollout, kind="undecided", step=0, found_at=until - every * (times - number), body=body)
        for number in range(1, times + 1)
    )
    Rollout.objects.filter(pk=rollout.pk).update(started_at=until - every * times, verdict=Verdict.objects.latest("pk"))
    return until


def call(rollout: Rollout, arm: str, number: int, *, score: float | None = None, **fields: Any) -> Call:
    made = Call.objects.create(
        **{"duration_ms": 100.0, "error": False, **fields},
        id=10**6 + number,
        trace_id=number.to_bytes(16),
        span_id=number.to_bytes(8),
        rollout=rollout.pk,
        step=0,
        arm=arm,
        unit_bucket=number % 256,
        operation="chat",
        started_at=now(),
        place=first_place(now()) + number,
    )
    if score is not None:
        Score.objects.create(
            key=f"score-{number}",
            target=f"call-{number}",
            call=made,
            waiting=False,
            recheck=False,
            counts=True,
            name="hallucination",
            value=score,
            source="judge",
            received_at=now(),
        )
    return made


def test_verdict__every_number_behind_it(client: Client) -> None:
    rollout = judged(given.rollout())

    page = client.get(page_of(rollout))

    metrics = section(page, "metrics")
    for shown in ("error_rate rate, lower is better", "1.0 % n 1 900", "n 100", "points", "of 20", "No harm found"):
        assert shown in metrics
    assert "Started at 5 % by anna" in section(page, "happened")
    assert "It is rolled back when the e-value of harm reaches 20" in section(page, "plan")


def test_foreseen__how_many_calls_the_proof_takes_in_place_of_what_is_not_proven(client: Client) -> None:
    rollout = judged(given.rollout(steps=[{"weight": "5%", "hold": "10s"}]))
    Rollout.objects.update(hold_until=now() - timedelta(seconds=1))
    given.look_now(rollout)
    before = words(client.get(page_of(rollout)))
    Outlook.objects.create(rollout=rollout, foreseen_at=now(), canary_calls=2000, metric="error_rate", calls_per_s=3.52)

    page = words(client.get(page_of(rollout)))

    assert "is not proven safe yet" in before
    assert "Needs about 1 900 more canary calls to prove it safe" in page
    assert "is not proven safe yet" not in page.split("What happened")[0]


def test_metrics__the_interval_decides_nothing__said_below_the_table(client: Client) -> None:
    page = client.get(page_of(rolled_back()))

    assert "the interval beside a difference is for the eye and decides nothing" in section(page, "metrics").lower()


def test_checks__units_in_words_and_the_error_budget(client: Client) -> None:
    page = client.get(page_of(judged(given.rollout())))

    checks = section(page, "checks")
    assert re.search(
        r"Units per arm: 1 \d{3} control, \d{2,3} canary: [45]\.\d\d % of the 5 % planned\. As planned", checks
    )
    assert re.search(r"evidence against a working assignment: [\d.]+ of 1 000", checks)
    assert (
        "Error budget: at most 5 % chance of a false rollback over the whole rollout, whatever is looked at" in checks
    )
    assert re.search(r"Evidence of harm: [\d.]+ of 20", checks)
    assert "spent" not in checks


def test_checks__broken_sample_ratio__said(client: Client) -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(1000, 9), canary=(1000, 9))
    given.look_now(rollout)

    page = client.get(page_of(rollout))

    assert re.search(r"canary: 50\.\d\d % of the 5 % planned\. Broken", section(page, "checks"))


def test_checks__one_arm_judged_more__only_that_is_broken(client: Client) -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(1900, 19), canary=(100, 1))
    given.observe(rollout, "hallucination", control=(100, 1), canary=(100, 1))
    given.look_now(rollout)

    checks = section(client.get(page_of(rollout)), "checks")

    assert re.search(
        r"Units per arm: 1 \d{3} control, \d{2,3} canary: [45]\.\d\d % of the 5 % planned\. As planned", checks
    )
    assert re.search(
        r"Units with a score per arm: hallucination \d+ control, \d+ canary: \d\d\.\d\d % of the 5 % planned\. Broken",
        checks,
    )


def test_checks__limits__how_much_of_each_is_used(client: Client) -> None:
    rollout = given.rollout(metrics=OF_EVERY_KIND)
    given.observe(rollout, "error_rate", control=(950, 9), canary=(50, 1))

    page = client.get(page_of(given.look_now(rollout)))

    checks = section(page, "checks")
    assert (
        "error_rate, limit: under 5.0 % error_rate, limit: under 5.0 %. 40 % of it is used: the canary has 2.0 %"
        in (checks)
    )
    assert "latency, limit: P95 under 2 000 ms" in checks
    assert "- of it is used: - of the canary's calls take longer" in checks
    assert "hallucination" not in checks


def test_no_verdict_yet__undefined_is_an_en_dash(client: Client) -> None:
    page = client.get(page_of(given.rollout()))

    assert "No look at the evidence has found anything yet" in section(page, "evidence")
    assert "<svg" not in html_of(page).partition("checks")[0]
    assert "Units per arm: none was counted yet." in section(page, "checks")
    assert "Evidence of harm: 1.0 of 20" in section(page, "checks")
    assert "hallucination rate, lower is better, margin default - n 0 units 0 - n 0 units 0 - 1.0" in section(
        page, "metrics"
    )
    assert "None" not in words(page)
    assert "nan" not in words(page).split()


def test_metric_without_evidence_in_a_verdict__en_dash(client: Client) -> None:
    page = client.get(page_of(judged(given.rollout())))

    assert (
        "hallucination rate, lower is better, margin \N{MULTIPLICATION SIGN}1.5 - n 0 units 0 - n 0 units 0 - 1.0"
        in section(page, "metrics")
    )
    assert "None" not in words(page)


def test_observed_metrics__apart(client: Client) -> None:
    page = client.get(page_of(given.rollout(metrics=OF_EVERY_KIND)))

    before, _, after = section(page, "metrics").partition("Observed: never decides")
    assert "thumbs_down" in before
    assert "tone" not in before
    assert after.startswith(" tone score, higher is better")


def test_difference__drawn_with_its_words(client: Client) -> None:
    page = client.get(page_of(rolled_back()))

    assert re.search(
        r"Canary minus control: \+28\.\d points, from \+\d+\.\d to \+\d+\.\d points; margin .1\.5", words(page)
    )


def test_steps__as_they_happened(client: Client) -> None:
    rollout = given.rollout()
    transition = rollout.transitions.get()
    services.pause(rollout_id=rollout.pk, actor=ANNA)
    began, ended = transition.happened_at, transition.happened_at + timedelta(seconds=75)
    running = client.get(page_of(rollout))
    services.rollback(rollout_id=rollout.pk, actor=ANNA)
    rollout.transitions.filter(action="rolled_back").update(happened_at=ended)

    page = client.get(page_of(rollout))

    assert f"5 % since {began:%H:%M:%S} , at least 10 s 50 % at least 10 s" in section(running, "steps")
    assert f"5 % 1 min 15 s from {began:%H:%M:%S} 50 % not reached" in section(page, "steps")


def test_chart__lines_limit_steps_and_the_end_with_words(client: Client) -> None:
    page = client.get(page_of(rolled_back()))

    chart = section(page, "evidence")
    assert "<title>Evidence of harm over time</title>" in html_of(page)
    assert re.search(r"Over all guardrails \d\d\.\d at the end and \d\d\.\d at the most", chart)
    assert "against a limit of 3.0; that is an e-value of over 10 000" in chart
    assert "rolls back at 3.0" in chart
    assert "rolled back" in chart
    assert 'class="line guilty"' in html_of(page)
    assert 'class="line all"' in html_of(page)


def test_chart__only_guardrails_have_lines(client: Client) -> None:
    page = client.get(page_of(judged(given.rollout(metrics=OF_EVERY_KIND))))

    assert "thumbs_down" in section(page, "evidence")
    assert "tone" not in section(page, "evidence")


def test_chart__rollback_left_to_a_person__the_limit_says_so(client: Client) -> None:
    page = client.get(page_of(judged(given.rollout(auto_rollback=False))))

    assert "harm is found at 3.0" in section(page, "evidence")


def test_ended__shows_its_last_verdict_and_stands_still(client: Client) -> None:
    running = client.get(page_of(judged(given.rollout("running"))))

    page = client.get(page_of(rolled_back()))

    assert "data-live" in html_of(running)
    assert "data-live" not in html_of(page)
    assert "of the last verdict" in section(page, "metrics")
    assert "30.0 % n 100" in section(page, "metrics")
    assert "Harmful" in section(page, "metrics")
    assert "Evidence of harm: over 10 000" in section(page, "checks")
    assert "hallucination: 30.0 % (n 100) against 1.8 % (n 1 900), e-value of harm over 10 000" in section(
        page, "happened"
    )


def test_draft__nothing_yet(client: Client) -> None:
    page = client.get(page_of(given.rollout(start=False)))

    assert "Not started. Nobody is given v1.1 by it until it is started." in words(page)
    assert "5 % at least 10 s 50 % at least 10 s" in section(page, "steps")


def test_never_started__cancelled(client: Client) -> None:
    rollout = given.rollout(start=False)
    services.cancel(rollout_id=rollout.pk, reason="wrong draft", actor=ANNA)

    page = client.get(page_of(rollout))

    assert "it was never started" in words(page)
    assert "5 % not reached 50 % not reached" in section(page, "steps")


@pytest.mark.parametrize("state", ["draft", "running", "paused", "held", "promoted", "rolled_back", "cancelled"])
def test_every_state__read_strictly(client: Client, state: str) -> None:
    client.force_login(User.objects.create_superuser("anna"))
    rollout = given.rollout(start=state != "draft", metrics=OF_EVERY_KIND, auto_rollback=state != "held")
    call(rollout, "canary", 1, error=True)
    if state in {"held", "rolled_back"}:
        given.observe(rollout, "error_rate", control=(1900, 19), canary=(100, 1))
        given.observe(rollout, "hallucination", **HARM)
        given.look_now(rollout)
    elif state != "draft":
        judged(rollout)
    if state in {"paused", "promoted", "cancelled"}:
        {"paused": services.pause, "promoted": services.promote, "cancelled": services.cancel}[state](
            rollout_id=rollout.pk, actor=ANNA
        )

    read_strictly(client.get(page_of(rollout)))


def test_folded__what_is_old_can_be_unfolded(client: Client) -> None:
    create_endpoint(url="https://hooks.example/", actor=ANNA)
    rollout = given.rollout()
    for _ in range(10):
        services.pause(rollout_id=rollout.pk, actor=ANNA)
        services.resume(rollout_id=rollout.pk, actor=ANNA)

    page = client.get(page_of(rollout))

    assert "11 before" in section(page, "happened")
    assert "11 before" in section(page, "deliveries")
    assert section(page, "happened").endswith("Started at 5 % by anna")
    read_strictly(page)


def test_deliveries__attempts_without_address_or_payload(client: Client) -> None:
    create_endpoint(url="https://hooks.example/services/T0-SECRET", description="for the shop", actor=ANNA)
    rollout = given.rollout()
    given.rollout("another")
    delivery = Delivery.objects.get(event__data__rollout__id=rollout.pk)
    for number in range(1, 6):
        DeliveryAttempt.objects.create(
            delivery=delivery,
            number=number,
            attempted_at=now(),
            duration_ms=number,
            error="ConnectionError: https://hooks.example/services/T0-SECRET refused",
        )
    DeliveryAttempt.objects.create(delivery=delivery, number=6, attempted_at=now(), duration_ms=212, http_status=503)

    page = client.get(page_of(rollout))

    deliveries = section(page, "deliveries")
    assert deliveries.count("rollout.started") == 1
    for shown in ("hooks.example", "3 earlier ones", "failed: ConnectionError after 5 ms", "answered 503 after 212 ms"):
        assert shown in deliveries
    assert "next at" in deliveries
    assert "SECRET" not in html_of(page)
    assert "for the shop" not in html_of(page)


@pytest.mark.parametrize(("right", "offered"), [("change_delivery", True), ("view_delivery", False)])
def test_dead_delivery__replay_for_those_who_may(client: Client, right: str, *, offered: bool) -> None:
    create_endpoint(url="https://hooks.example/", actor=ANNA)
    rollout = given.rollout()
    Delivery.objects.update(status="dead", dead_reason="retries_used_up", next_attempt_at=None)

    page = person(client, right).get(page_of(rollout))

    assert (f"/admin/rollout/delivery/{Delivery.objects.get().pk}/change/" in links(page)) == offered


@pytest.mark.parametrize("rollout_id", ["rol_00000000000000000000", "x", "%00", "%3Cb%3E"])
def test_unknown__404_page(client: Client, rollout_id: str) -> None:
    page = client.get(f"/rollouts/{rollout_id}")

    assert page.status_code == 404
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert "There is nothing at this address" in words(page)


def test_stranger__reads_no_text_and_no_trace_and_is_offered_nothing(client: Client) -> None:
    rollout = rolled_back()
    active = given.rollout("active")
    call(rollout, "canary", 7)

    pages = [client.get(page_of(each)) for each in (rollout, active)]

    for page in pages:
        assert "Extract the order" not in html_of(page)
        assert "/insights/traces/" not in html_of(page)
        assert "Log in to see what changed in the text." in section(page, "text")
        assert not [link for link in links(page) if re.match(r"/rollouts/\w+/\w+", link)]


@pytest.mark.parametrize(
    ("right", "offered"),
    [
        ("start_rollout", []),
        ("promote_rollout", ["promote"]),
        ("steer_rollout", ["pause", "rollback", "cancel"]),
        ("view_rollout", []),
    ],
)
def test_running__buttons_by_right(client: Client, right: str, offered: list[str]) -> None:
    rollout = given.rollout()

    page = person(client, right).get(page_of(rollout))

    assert [link for link in links(page) if link.startswith(f"/rollouts/{rollout.pk}/")] == [
        f"/rollouts/{rollout.pk}/{act}" for act in offered
    ]


def test_text__word_by_word_to_those_who_may_look_at_versions(client: Client) -> None:
    rollout = given.rollout()

    page = person(client, "view_promptversion").get(page_of(rollout))

    assert "Extract the order, way <del>0</del><ins>1</ins>: {{ order_text }}" in html_of(page)


def test_text__without_the_right__says_which(client: Client) -> None:
    rollout = given.rollout()

    page = person(client, "view_rollout").get(page_of(rollout))

    assert "It takes the right to look at versions." in section(page, "text")
    assert "Extract the order" not in html_of(page)


def spoken(system: str, user: str = "{{ email }}", *more: dict[str, str]) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}, *more]


def rollout_of(before: Content, after: Content) -> Rollout:
    registry.create_prompt(name="support", actor=ANNA)
    for content in (before, after):
        registry.publish_version(prompt_name="support", content=content, notes="n", actor=ANNA)
    registry.move_label(prompt_name="support", label="production", version="1.0", reason="go live", actor=ANNA)
    return services.create_rollout(prompt_name="support", canary="2", plan=given.PLAN, start=False, actor=ANNA)


def test_text__chat__each_message_under_its_role(client: Client) -> None:
    rollout = rollout_of(
        Content("chat", spoken("Be brief.")),
        Content("chat", spoken("Be friendly.", "{{ email }}", {"role": "assistant", "content": "Dear customer"})),
    )

    page = person(client, "view_promptversion").get(page_of(rollout))

    html = html_of(page)
    assert '<h3 class="role">system</h3><pre class="diff">Be <del>brief</del><ins>friendly</ins>.</pre>' in html
    assert '<h3 class="role">user</h3><pre class="diff">{{ email }}</pre>' in html
    assert '<h3 class="role">assistant</h3><pre class="diff"><ins>Dear customer</ins></pre>' in html


def test_text__only_settings_changed__said(client: Client) -> None:
    rollout = rollout_of(
        Content("text", "Be brief.", config={"temperature": 0.2}),
        Content("text", "Be brief.", config={"temperature": 0.7}),
    )

    page = person(client, "view_promptversion").get(page_of(rollout))

    assert "Nothing in the text." in section(page, "text")
    assert "<del>    &quot;temperature&quot;: 0.2\n</del>" in html_of(page)
    assert "<ins>    &quot;temperature&quot;: 0.7\n</ins>" in html_of(page)


def test_text__long__what_is_the_same_is_left_out(client: Client) -> None:
    lines = [f"Line {number}." for number in range(600)]
    edited = [*lines[:300], "A new line.", *lines[301:]]
    rollout = rollout_of(Content("text", "\n".join(lines)), Content("text", "\n".join(edited)))

    page = person(client, "view_promptversion").get(page_of(rollout))

    shown = section(page, "text")
    assert shown.count("characters are the same") == 2
    assert "Line 299." in shown
    assert "Line 200." not in shown


def test_text__chat_of_many_messages__compared_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = ([{"role": "user", "content": f"{word} {number}"} for number in range(100)] for word in ("old", "new"))
    rollout = rollout_of(Content("chat", old), Content("chat", new))
    compared = Mock(wraps=rollout_texts.template_differences)
    monkeypatch.setattr(rollout_texts, "template_differences", compared)
    reader = person(client, "view_promptversion")

    pages = [reader.get(page_of(rollout)) for _ in range(3)]

    assert html_of(pages[0]).count("<del>old</del><ins>new</ins>") == 100
    assert html_of(pages[2]).count("<del>old</del><ins>new</ins>") == 100
    assert compared.call_count == 1


def test_text__settings_too_long__said(client: Client) -> None:
    rollout = rollout_of(
        Content("text", "Be brief.", config={"stop": "x" * 300_000}),
        Content("text", "Be brief.", config={"stop": "y" * 300_000}),
    )

    page = person(client, "view_promptversion").get(page_of(rollout))

    assert "The settings are too long to be compared here." in section(page, "text")
    assert len(page.content) < 100_000


def test_text__markup_in_it__stays_text(client: Client) -> None:
    rollout = rollout_of(Content("text", "<b>old</b>"), Content("text", "<script>alert(1)</script>"))

    page = person(client, "view_promptversion").get(page_of(rollout))

    assert "<script>alert" not in html_of(page)
    read_strictly(page)


def test_samples__worst_and_random_of_both_arms(client: Client) -> None:
    rollout = rolled_back()
    for number in range(100, 120):
        call(rollout, "control", number)
    call(rollout, "canary", 1, error=True)
    call(rollout, "canary", 2, score=1.0)
    call(rollout, "canary", 3, score=0.0)
    call(rollout, "canary", 4, duration_ms=12_400.0)

    page = person(client, "view_call").get(page_of(rollout))

    control, _, canary = section(page, "samples").partition("Canary v1.1")
    assert "Control v1.0 Worst" in control
    assert len(re.findall(r"\b00000000\b", control)) == 10
    assert (
        "Worst 00000000 failed, 100 ms 00000000 hallucination 1, 100 ms 00000000 12.4 s "
        "00000000 hallucination 0, 100 ms At random"
    ) in canary
    assert f"/insights/traces/{4:032x}" in links(page)


def test_samples__one_trace_of_many_calls__once(client: Client) -> None:
    rollout = given.rollout()
    for number in range(5):
        made = call(rollout, "canary", number)
        Call.objects.filter(pk=made.pk).update(trace_id=bytes(16))

    page = person(client, "view_call").get(page_of(rollout))

    assert links(page).count(f"/insights/traces/{0:032x}") == 2  # of the worst and of those at random


def test_samples__of_another_rollout__not_shown(client: Client) -> None:
    rollout, other = given.rollout(), given.rollout("other")
    call(other, "canary", 1)

    page = person(client, "view_call").get(page_of(rollout))

    assert "No call of either arm was seen." in section(page, "samples")


def test_login__asked_for_when_the_pages_are_not_open(client: Client, settings: Settings) -> None:
    settings.STATUS_PAGES = "login"

    assert client.get(page_of(given.rollout())).status_code == 302


def test_number_of_queries__the_same_with_more_transitions_deliveries_and_verdicts(client: Client) -> None:
    for number in range(3):
        create_endpoint(url=f"https://hooks.example/{number}", actor=ANNA)
    one = rolled_back()
    many = judged(given.rollout("many"))
    for _ in range(10):
        services.pause(rollout_id=many.pk, actor=ANNA)
        services.resume(rollout_id=many.pk, actor=ANNA)
    looked_at(many, 10_000)

    counts = {queries_of(client, page_of(each)) for each in (one, many)}

    # rollout, transitions, weights, verdicts, events, deliveries, attempts; for the cache state, marks, hours, calls
    assert counts == {11}


def test_cache__cold_at_first__the_hit_rates_of_both_arms(client: Client) -> None:
    rollout = given.rollout()
    for number, (arm, cached) in enumerate((("control", 80), ("canary", 10))):
        told = traces.CHAT | {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": cached}
        told |= {"serinus.exposure": f"{rollout.pk}:0:{arm}:{number}", "gen_ai.prompt.name": "order-extractor"}
        observed.ingest(traces.span(told, number=number, age_s=1))

    page = page_of(rollout)

    answer = client.get(page).content.decode().replace("\u202f", " ")
    assert "The provider's cache" in answer
    assert "80.0 %" in answer or "80 %" in answer
    assert "10.0 %" in answer or "10 %" in answer


def test_number_of_queries__of_a_person__the_same_with_more_calls(client: Client) -> None:
    client.force_login(User.objects.create_superuser("anna"))
    few, many = given.rollout("few"), given.rollout("many")
    for number, arm in enumerate(("canary", "control")):
        call(few, arm, number, score=1.0)
    for number in range(2, 60):
        call(many, "canary" if number % 2 else "control", number, score=1.0)
    for rollout in (few, many):
        client.get(page_of(rollout))  # what changed in the text is remembered from now on

    assert queries_of(client, page_of(few)) == queries_of(client, page_of(many))
