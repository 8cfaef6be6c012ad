"""The status page beyond what all pages have: what is still missing, groups of many, alarms, and the data's quality."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from common.clock import now
from rollout import services, work
from rollout.models import ACTIVE, Delivery, Outlook, Rollout, Verdict, WebhookEndpoint
from rollout.pages import status_parts
from rollout.webhooks.services import create_endpoint, disable_endpoint
from tests import rollouts as given
from tests import traces
from tests.observed import ingest
from tests.pages import html_of, links, queries_of, section, words
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

HEALTHY = {"control": (950, 9), "canary": (50, 1)}


def looked_at(name: str = "order-extractor", **plan: Any) -> Rollout:
    rollout = given.rollout(name, **plan)
    for metric in ("error_rate", "hallucination"):
        given.observe(rollout, metric, **HEALTHY)
    return given.look_now(rollout)


def test_active__foreseen__how_many_calls_and_how_long() -> None:
    rollout = looked_at(steps=[{"weight": "5%", "hold": "10s"}])
    Outlook.objects.create(
        rollout=rollout, foreseen_at=now(), canary_calls=1950, metric="hallucination", calls_per_s=3.52
    )
    Rollout.objects.update(hold_until=now() - timedelta(seconds=1), deadline_at=now() + timedelta(days=2))
    given.look_now(rollout)

    active = section(Client().get("/"), "active")

    assert "Needs about 1 900 more canary calls to prove it safe, 3 h at today's traffic." in active
    assert "is not proven safe yet" not in active  # the same in other words


def test_active__looked_at__its_evidence_as_a_picture_with_words() -> None:
    looked_at()

    page = html_of(Client().get("/"))

    assert re.search(r'<svg class="spark".*?<title>Evidence of harm: [\d.]+ of 20 now, ', page)
    assert '<circle class="canary"' in page


def test_active__never_looked_at__no_picture_and_no_number() -> None:
    given.rollout()

    page = Client().get("/")

    assert "No evidence yet" in section(page, "active")
    assert "<svg" not in html_of(page)
    assert "None" not in words(page)


def test_active__many__in_groups_of_which_the_long_ones_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_parts, "SHOWN_AT_ONCE", 2)
    held = given.rollout("held")
    services.pause(rollout_id=held.pk, actor=ANNA)
    for number in range(3):
        looked_at(f"healthy-{number}")
    given.rollout("silent")

    html = html_of(Client().get("/"))

    groups = re.findall(r'<details class="group" data-part="([\w-]+)"( open)?>\s*<summary><h3>(.*?)</h3>', html)
    assert groups == [
        ("held", " open", "Held <small>1</small>"),
        ("no-harm-found-yet", "", "No harm found yet <small>3</small>"),
        ("no-evidence-yet", " open", "No evidence yet <small>1</small>"),
    ]


def test_active__group__nearest_to_harm_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_parts, "SHOWN_AT_ONCE", 1)
    for name, log_e in (("calm", -1.0), ("worried", 1.0), ("worst", 2.5)):
        rollout = looked_at(name)
        body = rollout.verdict.body | {"log_e_harm": log_e}  # type: ignore[union-attr]  # it was looked at
        Verdict.objects.filter(pk=rollout.verdict_id).update(body=body)

    active = section(Client().get("/"), "active")

    assert "Evidence of harm 1 worst" in active
    assert active.index("worst") < active.index("worried") < active.index("calm")


def test_active__evidence_that_has_no_course_yet__grouped_by_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_parts, "SHOWN_AT_ONCE", 1)
    looked_at("first")
    looked_at("second")
    Rollout.objects.update(course=[])

    active = section(Client().get("/"), "active")

    assert "No harm found yet 2" in active
    assert "No evidence yet" not in active


def test_active__no_fresh_evidence_beside_what_else_is_missing__not_said() -> None:
    rollout = looked_at(steps=[{"weight": "5%", "hold": "1h"}])
    given.look_now(rollout)

    active = section(Client().get("/"), "active")

    assert "Still missing: The hold of step 1 of 1 is not served yet." in active
    assert "since the last look" not in active


def test_alarm__no_evaluator_while_a_rollout_waits__first_of_all() -> None:
    given.rollout()
    work.beat()

    with time_machine.travel(now() + timedelta(minutes=12)):
        page = Client().get("/")

    assert "No evaluator is at work, 1 rollout is active" in words(page)
    assert "One was last seen 12 min ago. Until one is, no rollout is looked at" in section(page, "attention")


def test_alarm__no_evaluator_ever__once_a_look_is_late() -> None:
    given.rollout()

    fresh = Client().get("/")
    with time_machine.travel(now() + timedelta(minutes=2)):
        late = Client().get("/")

    assert section(fresh, "attention") == ""
    assert "None was ever seen." in section(late, "attention")


def test_alarm__evaluator_that_does_not_keep_up__says_since_when() -> None:
    given.rollout()
    with time_machine.travel(now() + timedelta(minutes=5)):
        work.beat()
        page = Client().get("/")

    assert "Looks are late. One has been due for 4 min" in section(page, "attention")


def test_alarm__no_sender__says_what_to_start() -> None:
    create_endpoint(url="https://hooks.example/", actor=ANNA)
    rollout = given.rollout()
    services.cancel(rollout_id=rollout.pk, actor=ANNA)
    Delivery.objects.update(next_attempt_at=now() - timedelta(minutes=5))

    page = Client().get("/")

    waiting = Delivery.objects.count()
    assert f"Webhooks are not sent. {waiting} are due, the oldest for 5 min" in section(page, "attention")
    assert "Webhooks are not sent, no rollout is active" in words(page)


def failing(address: str, *, minutes: int) -> WebhookEndpoint:
    endpoint = create_endpoint(url=address, actor=ANNA)
    since = now() - timedelta(minutes=minutes)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=since, consecutive_failures=3)
    return endpoint


def test_alarm__webhook_that_fails__its_host_and_since_when() -> None:
    services.cancel(rollout_id=given.rollout().pk, actor=ANNA)
    endpoint = failing("https://hooks.example/secret-path", minutes=20)

    page = Client().get("/")

    assert "A webhook fails, no rollout is active" in words(page)
    assert "A webhook fails. hooks.example has taken nothing for 20 min" in section(page, "attention")
    assert f"/admin/rollout/webhookendpoint/{endpoint.pk}/change/" in links(page)
    assert "secret-path" not in html_of(page)


def test_alarm__webhooks_that_fail__all_hosts_and_the_longest() -> None:
    failing("https://pager.example/", minutes=20)
    failing("https://chat.example/", minutes=200)

    page = Client().get("/")

    assert "2 webhooks fail. chat.example, pager.example take nothing, the longest for 3 h 20 min" in section(
        page, "attention"
    )
    assert "/admin/rollout/webhookendpoint/" in links(page)


def test_alarm__webhook_that_fails_since_a_moment_or_is_disabled__none() -> None:
    failing("https://blip.example/", minutes=14)
    disable_endpoint(endpoint_id=failing("https://gone.example/", minutes=200).pk, actor=ANNA)

    assert section(Client().get("/"), "attention") == ""


def test_alarm__dead_deliveries__until_they_are_replayed_or_nobody_can() -> None:
    endpoint = create_endpoint(url="https://hooks.example/", events=["rollout.started"], actor=ANNA)
    given.rollout()
    Delivery.objects.update(status="dead", dead_reason="retries_used_up", next_attempt_at=None)

    dead = section(Client().get("/"), "attention")
    disable_endpoint(endpoint_id=endpoint.pk, actor=ANNA)

    assert "1 webhook delivery is dead and will not be tried again by itself." in dead
    assert section(Client().get("/"), "attention") == ""


def test_title__counts_rollouts_and_alarms_together() -> None:
    held = given.rollout()
    Rollout.objects.filter(pk=held.pk).update(hold_reason="proven_safe")
    failing("https://hooks.example/", minutes=20)

    assert "<title>(2) Rollouts · Serinus</title>" in html_of(Client().get("/"))
    Rollout.objects.update(hold_reason="")
    WebhookEndpoint.objects.update(failing_since=None)
    assert "<title>Rollouts · Serinus</title>" in html_of(Client().get("/"))


def test_ended__only_scores_count__its_calls_are_the_judged_ones() -> None:
    rollout = given.rollout(metrics=[{"name": "hallucination", "kind": "rate"}])
    given.observe(rollout, "hallucination", **HEALTHY)
    given.look_now(rollout)
    services.cancel(rollout_id=rollout.pk, actor=ANNA)

    page = Client().get("/")

    assert " 50 judged " in section(page, "ended")
    assert "50 judged calls saw v1.1" in words(Client().get(f"/rollouts/{rollout.pk}"))


def test_quality__calls_that_are_no_evidence__with_what_mends_it() -> None:
    given.rollout()
    ingest(
        traces.span(traces.CHAT, number=1),
        traces.span(traces.CHAT | {"gen_ai.prompt.name": "order-extractor"}, number=2),
        traces.span(traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "9.9"}, number=3),
        traces.span(traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "1.0"}, number=4),
    )

    quality = section(Client().get("/"), "quality")

    assert "last 24 hours: 4 calls, 25.0 % of them with a version that exists" in quality
    assert "Calls that name no prompt 1 Put the trace attributes" in quality
    assert "Calls that name a prompt but no version 1" in quality
    assert "Calls that name a version that does not exist: order-extractor 9.9 1 A misspelt name" in quality


def test_quality__calls_without_a_price__only_where_there_were_tokens_to_price() -> None:
    given.rollout()
    failed = traces.CHAT | {"gen_ai.request.model": "gpt-4o-mini", "error.type": "timeout"}
    tokens = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1}
    ingest(
        traces.span(failed, number=1),
        traces.span(failed, number=2),
        traces.span(traces.CHAT | tokens | {"gen_ai.request.model": "house-model"}, number=3),
    )

    quality = section(Client().get("/"), "quality")

    assert "Calls without a price: house-model 1 Set a price for the model" in quality
    assert "gpt-4o-mini" not in quality


def test_quality__no_calls__says_so() -> None:
    given.rollout()

    assert section(Client().get("/"), "quality") == "Evidence quality last 24 hours: no calls came"


def test_quality__counted_once_a_minute() -> None:
    given.rollout()
    before = section(Client().get("/"), "quality")
    ingest(traces.span(traces.CHAT, number=1))

    assert section(Client().get("/"), "quality") == before
    with time_machine.travel(now() + timedelta(minutes=2)):
        assert section(Client().get("/"), "quality") != before


def test_log_in_and_out__stand_on_every_page(client: Client) -> None:
    stranger = html_of(client.get("/?a=b"))
    client.force_login(User.objects.create_user("anna"))
    known = html_of(client.get("/"))

    assert 'href="/admin/login/?next=/%3Fa%3Db"' in stranger
    assert "anna" in known
    assert re.search('<form class="who" method="post" action="/admin/logout/">.*csrfmiddlewaretoken', known, re.DOTALL)


def test_status__number_of_queries__the_same_for_1_and_200_rollouts() -> None:
    none = queries_of(Client(), "/")
    first = looked_at("first")
    Client().get("/")  # counts the data's quality for the next minute
    one = queries_of(Client(), "/")
    _copies_of(first, 199)
    many = queries_of(Client(), "/")

    assert Rollout.objects.filter(status__in=ACTIVE).count() == 200
    # active, rolled back, ended, failing webhooks, dead deliveries, five of the work; newest transitions if any
    assert (none, one, many) == (11, 12, 12)


def _copies_of(rollout: Rollout, n: int) -> None:
    """Of other prompts, in the same state and with the same verdict."""
    for number in range(n):
        prompt, label, verdict = rollout.prompt, rollout.label, rollout.verdict
        assert verdict
        prompt.pk, prompt.name = None, f"prompt-{number}"
        prompt.save()
        label.pk, label.prompt = None, prompt
        label.save()
        verdict.pk, rollout.pk = None, f"rol_{number:020}"
        rollout.verdict = None
        rollout.prompt, rollout.label = prompt, label
        rollout.save(force_insert=True)
        verdict.rollout = rollout
        verdict.save()
        rollout.verdict = verdict
        rollout.save(update_fields=["verdict"])
