"""The pages for people, as a browser gets them."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from common.clock import now
from registry import services as registry
from rollout import services
from rollout.models import Delivery, Rollout
from rollout.webhooks.services import create_endpoint
from tests import rollouts as given
from tests.pages import read_strictly
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

REFRESH = '<noscript><meta http-equiv="refresh" content="5"></noscript>'
PLAIN = str.maketrans("\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}\N{EN DASH}\N{MULTIPLICATION SIGN}", "  -x")
HARM = {"control": (1900, 34), "canary": (100, 30)}  # 1.8 % against 30 %: one look is enough


def words(html: str) -> str:
    """The text between the tags, with plain spaces and signs."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).translate(PLAIN).split())


def section(page: HttpResponse, heading: str) -> str:
    """The words of the section that is labelled by this id, or none."""
    found = re.search(f'<section aria-labelledby="{heading}">.*?</section>', html_of(page), re.DOTALL)
    return words(found[0]) if found else ""


def html_of(page: HttpResponse) -> str:
    return page.content.decode()


def rolled_back(name: str = "order-extractor") -> Rollout:
    rollout = given.rollout(name)
    given.observe(rollout, "error_rate", control=(1900, 19), canary=(100, 1))
    given.observe(rollout, "hallucination", **HARM)
    return given.look_now(rollout)


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_status__no_data__says_what_to_do_first(client: Client) -> None:
    page = client.get("/")

    assert page.status_code == 200
    assert "No rollout was started yet" in words(html_of(page))
    assert "manage.py create_key" in words(html_of(page))
    assert "curl -s -H" in words(html_of(page))
    assert '"template": "Greet {{ name }}."' in html_of(page)
    assert REFRESH in html_of(page)


def test_status__no_data__its_commands_lead_to_a_rollout(client: Client) -> None:
    key = registry.issue_key(name="me", scopes=["read", "ingest", "write", "admin"], actor=ANNA)[1]
    page = unescape(html_of(client.get("/")))

    commands = re.findall(r"^api (\S+)(?: -X (\S+))? -d '(.*?)'", page, re.MULTILINE)
    for path, method, body in commands:
        answer = client.generic(
            method or "POST",
            f"/api/v1/{path}",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code in {200, 201}, answer.content

    assert len(commands) == 5
    assert "greeter v1.0 → v1.1 · production" in section(client.get("/"), "active")


def test_status__active_rollout__at_a_glance(client: Client) -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(950, 9), canary=(50, 1))
    given.look_now(rollout)

    page = client.get("/")

    assert REFRESH in html_of(page)
    assert f'href="/rollouts/{rollout.pk}"' in html_of(page)
    active = section(page, "active")
    for shown in ("order-extractor", "v1.0 → v1.1", "production", "canary gets 5 %", "No harm found yet"):
        assert shown in active
    assert "Still missing: The hold of step 1 of 2 is not served yet. 47 of at least 100 units" in active
    assert "Nothing needs attention, 1 rollout is active" in words(html_of(page))


def test_status__rolled_back__needs_attention_for_a_day_and_is_listed_among_the_ended(client: Client) -> None:
    rollout = rolled_back()

    page = client.get("/")
    Rollout.objects.filter(pk=rollout.pk).update(ended_at=now() - timedelta(hours=25))
    a_day_later = client.get("/")

    assert "Rolled back by the verdict: hallucination 30.0 % against 1.8 %. Everyone got v1.0 back" in section(
        page, "attention"
    )
    assert "hallucination 30.0 % against 1.8 %" in section(page, "ended")
    assert section(a_day_later, "attention") == ""
    assert "Rolled back" in section(a_day_later, "ended")


def test_status__held__needs_attention_and_says_by_what(client: Client) -> None:
    rollout = given.rollout(auto_rollback=False)
    given.observe(rollout, "hallucination", **HARM)
    given.look_now(rollout)

    page = client.get("/")

    assert "Held: harm found. hallucination 30.0 % against 1.8 %. The plan leaves the rollback to a person" in section(
        page, "attention"
    )
    assert "1 rollout needs attention" in words(html_of(page))


def test_status__dead_deliveries__counted_with_a_link_to_the_admin(client: Client) -> None:
    create_endpoint(url="https://hooks.example/", actor=ANNA)
    given.rollout()
    Delivery.objects.update(status="dead", dead_reason="retries_used_up", next_attempt_at=None)

    page = client.get("/")

    assert f"{Delivery.objects.count()} webhook delivery is dead" in section(page, "attention")
    assert 'href="/admin/rollout/delivery/?status__exact=dead"' in html_of(page)


def test_status__ended__outcome_why_and_who(client: Client) -> None:
    cancelled = given.rollout("greeter")
    services.cancel(rollout_id=cancelled.pk, reason="wrong draft published", actor=ANNA)

    page = client.get("/")

    assert "Cancelled by anna: “wrong draft published” - 0 s" in section(page, "ended")
    assert section(page, "attention") == ""


def test_pages__names_from_outside_never_become_markup(client: Client) -> None:
    hostile = "<script>alert('x')</script><b>"
    rollout = given.rollout(metrics=[{"name": "error_rate"}])
    services.pause(rollout_id=rollout.pk, reason=hostile, actor=ANNA)
    ended = given.rollout("ended")
    services.cancel(rollout_id=ended.pk, reason=hostile, actor=ANNA)

    pages = [client.get(path) for path in ("/", f"/rollouts/{rollout.pk}", f"/rollouts/{ended.pk}")]

    for page in pages:
        read_strictly(page)
        assert "<b>" not in html_of(page)
        assert "alert(" in html_of(page)


def test_pages__show_no_prompt_text_and_no_notes(client: Client) -> None:
    rollout = rolled_back()

    for path in ("/", f"/rollouts/{rollout.pk}"):
        page = html_of(client.get(path))
        assert "Extract the order" not in page
        assert "a better way" not in page


def test_pages__well_formed_with_headings_in_order_and_no_inline_script_or_style(client: Client) -> None:
    empty = client.get("/")
    rollout = rolled_back()
    given.rollout("running")

    for page in (empty, client.get("/"), client.get(f"/rollouts/{rollout.pk}"), client.get("/rollouts/none")):
        read_strictly(page)
        assert '<html lang="en">' in html_of(page)


def test_pages__post__405(client: Client) -> None:
    assert client.post("/").status_code == 405


def test_pages__never_cached(client: Client) -> None:
    assert "no-store" in client.get("/")["Cache-Control"]


def test_login__asked_for_when_the_pages_are_not_open__and_then_back(client: Client, settings: Settings) -> None:
    settings.STATUS_PAGES = "login"
    rollout = given.rollout()
    User.objects.create_user("anna", password="correct horse", is_staff=True)

    refused = client.get(f"/rollouts/{rollout.pk}")
    back = client.post(refused["Location"], {"username": "anna", "password": "correct horse"})

    assert refused.status_code == 302
    assert refused["Location"] == f"/admin/login/?next=/rollouts/{rollout.pk}"
    assert client.get("/rollouts/unknown").status_code == 404
    assert back["Location"] == f"/rollouts/{rollout.pk}"
    assert client.get(back["Location"]).status_code == 200


def test_login__stranger__learns_nothing_about_what_exists(client: Client, settings: Settings) -> None:
    settings.STATUS_PAGES = "login"

    assert client.get("/").status_code == 302
    assert client.get("/rollouts/unknown").status_code == 302
