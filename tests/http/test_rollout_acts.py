"""Acting on a rollout, as a person does: a page that says what will happen, a reason, a button."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client

from rollout import services
from rollout.models import Rollout
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

PLAIN = str.maketrans("\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}", "  ")
ACTS = ("start", "pause", "resume", "promote", "rollback", "cancel")


@pytest.fixture
def anna(client: Client) -> Client:
    """A person who may do everything."""
    client.force_login(User.objects.create_superuser("anna"))
    return client


def somebody(client: Client, *rights: str) -> Client:
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def act(client: Client, rollout: Rollout, name: str, **fields: Any) -> HttpResponse:
    given = {"reason": "as agreed", "revision": rollout.revision} | fields
    return client.post(f"/rollouts/{rollout.pk}/{name}", given)


def words_of(page: HttpResponse) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", page.content.decode())).translate(PLAIN).split())


def messages_of(page: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(page.wsgi_request)]  # type: ignore[attr-defined]  # test client's


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pause", "The canary stays where it is: 5 % of units keep v1.1 until somebody resumes it; harm still rolls"),
        ("promote", "Everyone will get v1.1: the label production moves to it at once, and the rollout ends."),
        ("rollback", "Everyone will get v1.0 back at once, and the rollout ends. What v1.1 says counts as rolled back"),
        ("cancel", "Everyone will get v1.0 back at once, not v1.1, and the rollout ends without a judgement of it."),
    ],
)
def test_running__asks_for_the_reason_and_says_what_will_happen(anna: Client, name: str, said: str) -> None:
    rollout = given.rollout()

    page = anna.get(f"/rollouts/{rollout.pk}/{name}")

    assert said in words_of(page)
    assert "No evidence yet. 5 % of units get v1.1 since" in words_of(page)
    assert "Reason, kept in the history" in words_of(page)
    assert f'name="revision" value="{rollout.revision}"' in page.content.decode()
    assert "no-store" in page["Cache-Control"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("start", "5 % of units will get v1.1, the others v1.0; the plan goes on from there by itself."),
        ("cancel", "Nobody is given v1.1, and the rollout ends without a judgement of it."),
    ],
)
def test_draft__says_what_will_happen(anna: Client, name: str, said: str) -> None:
    rollout = given.rollout(start=False)

    assert said in words_of(anna.get(f"/rollouts/{rollout.pk}/{name}"))


def test_paused__says_what_resuming_does(anna: Client) -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.pk, actor=ANNA)

    page = anna.get(f"/rollouts/{rollout.pk}/resume")

    assert "5 % of units keep v1.1, and the plan goes on with what was left of this step's hold." in words_of(page)


def test_state_does_not_allow_it__no_button(anna: Client) -> None:
    rollout = given.rollout()

    page = anna.get(f"/rollouts/{rollout.pk}/resume")

    assert "Nothing: this is not possible in the state that it is in." in words_of(page)
    assert "<textarea" not in page.content.decode()
    assert "<button>Resume" not in page.content.decode()


def test_confirmed__goes_through_the_service_as_the_person(anna: Client) -> None:
    rollout = given.rollout()

    done = act(anna, rollout, "rollback", reason="customers complain")
    told = anna.get(done["Location"])

    rollout.refresh_from_db()
    transition = rollout.transitions.first()
    assert done["Location"] == f"/rollouts/{rollout.pk}"
    assert '<p class="notice safe">order-extractor v1.0 → v1.1: Rolled back.</p>' in told.content.decode()
    assert rollout.status == "rolled_back"
    assert transition is not None
    assert (transition.actor, transition.reason, transition.cause) == ("user:anna", "customers complain", "by_hand")


def test_confirmed__noted_in_the_history_of_the_admin(anna: Client) -> None:
    rollout = given.rollout()

    act(anna, rollout, "pause", reason="lunch")

    entry = LogEntry.objects.get(object_id=rollout.pk)
    assert (entry.user.get_username(), entry.change_message) == ("anna", "Pause: lunch")


def test_every_act(anna: Client) -> None:
    rollout = given.rollout(start=False)

    seen = []
    for name in ("start", "pause", "resume", "promote"):
        act(anna, rollout, name)
        rollout.refresh_from_db()
        seen.append(rollout.status)
    another = given.rollout("another")
    act(anna, another, "cancel")
    another.refresh_from_db()

    assert [*seen, another.status] == ["running", "paused", "running", "promoted", "cancelled"]


def test_no_reason__asked_again(anna: Client) -> None:
    rollout = given.rollout()

    page = act(anna, rollout, "pause", reason=" ")

    rollout.refresh_from_db()
    assert page.status_code == 200
    assert "Reason: This field is required." in words_of(page)
    assert rollout.status == "running"


def test_stale_revision__says_what_has_changed_and_keeps_the_reason(anna: Client) -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.pk, reason="lunch", actor=ANNA)

    refused = act(anna, rollout, "promote")

    rollout.refresh_from_db()
    text = words_of(refused)
    assert "Nothing was changed. The rollout has changed: it is at revision 3, not 2." in text
    assert "Held: paused. Since" in text
    assert "Paused by anna: “lunch”" in text
    assert "Started at 5 %" not in text
    assert "as agreed</textarea>" in refused.content.decode()
    assert 'name="revision" value="3"' in refused.content.decode()
    assert rollout.status == "paused"


def test_stale_revision__confirmed_once_more__done(anna: Client) -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.pk, actor=ANNA)
    act(anna, rollout, "promote")

    act(anna, rollout, "promote", revision=3)

    rollout.refresh_from_db()
    assert rollout.status == "promoted"


def test_ended_meanwhile__shows_the_end_and_no_button(anna: Client) -> None:
    rollout = given.rollout()
    services.cancel(rollout_id=rollout.pk, reason="wrong draft", actor=ANNA)

    refused = act(anna, rollout, "rollback")

    assert "Cancelled by anna: “wrong draft”" in words_of(refused)
    assert "as agreed</textarea>" in refused.content.decode()
    assert '<button class="danger">' not in refused.content.decode()


@pytest.mark.parametrize("revision", ["", "x", "-1", "9" * 30, "9" * 6000])
def test_revision_that_is_none__asked_again(anna: Client, revision: str) -> None:
    rollout = given.rollout()

    refused = act(anna, rollout, "pause", revision=revision)

    rollout.refresh_from_db()
    assert refused.status_code == 200
    assert "Nothing was changed." in words_of(refused)
    assert (rollout.status, rollout.revision) == ("running", 2)


@pytest.mark.parametrize("path", ["rol_unknown/pause", "rol_unknown/explode"])
def test_unknown__404(anna: Client, path: str) -> None:
    assert anna.get(f"/rollouts/{path}").status_code == 404
    assert anna.post(f"/rollouts/{path}").status_code == 404


def test_stranger__sent_to_the_login(client: Client) -> None:
    rollout = given.rollout()

    assert act(client, rollout, "rollback")["Location"] == f"/admin/login/?next=/rollouts/{rollout.pk}/rollback"
    rollout.refresh_from_db()
    assert rollout.status == "running"


@pytest.mark.parametrize(
    ("permission", "acts"),
    [
        ("start_rollout", {"start"}),
        ("promote_rollout", {"promote"}),
        ("steer_rollout", {"pause", "resume", "rollback", "cancel"}),
        ("change_rollout", set()),
        ("view_rollout", set()),
    ],
)
def test_rights__each_act_takes_its_own(client: Client, permission: str, acts: set[str]) -> None:
    rita, rollout = somebody(client, permission), given.rollout()

    allowed = {name for name in ACTS if rita.get(f"/rollouts/{rollout.pk}/{name}").status_code == 200}
    refused = {act(rita, rollout, name).status_code for name in set(ACTS) - acts}

    rollout.refresh_from_db()
    assert allowed == acts
    assert refused == {403}
    assert rollout.revision == 2


def test_hostile_reason__never_markup(anna: Client) -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.pk, reason="<script>alert('x')</script>", actor=ANNA)

    seen = [anna.get(f"/rollouts/{rollout.pk}/resume"), act(anna, rollout, "resume", reason="<script>alert('y')")]

    assert all("<script>alert" not in page.content.decode() for page in seen)
