"""The admin of rollouts and webhooks, as a person uses it."""

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from registry import audit
from registry.models import AuditEntry
from rollout import services
from rollout.models import Delivery, DeliveryAttempt, Rollout, WebhookEndpoint
from rollout.webhooks.services import create_endpoint, disable_endpoint
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

ROLLOUTS = "/admin/rollout/rollout/"
WEBHOOKS = "/admin/rollout/webhookendpoint/"
DELIVERIES = "/admin/rollout/delivery/"


@pytest.fixture
def anna(client: Client) -> Client:
    """A person who may do everything."""
    client.force_login(User.objects.create_superuser("anna"))
    return client


@pytest.fixture
def reader(client: Client) -> Client:
    """A person who may look at everything and change nothing."""
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


def messages_of(page: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(page.wsgi_request)]  # type: ignore[attr-defined]  # test client's


def words_of(page: HttpResponse) -> str:
    return " ".join(strip_tags(page.content.decode()).split())


def dead_delivery() -> Delivery:
    create_endpoint(url="https://hooks.example/", actor=ANNA)
    rollout = given.rollout()
    Delivery.objects.update(status="dead", dead_reason="retries_used_up", attempts=15, next_attempt_at=None)
    delivery = Delivery.objects.get(event__data__rollout__id=rollout.pk)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, attempted_at=delivery.created_at, duration_ms=212, http_status=503
    )
    return delivery


def test_rollout__shown_with_its_plan__not_editable_and_transitions_on_its_page_alone(anna: Client) -> None:
    rollout = given.rollout()

    page = anna.get(f"{ROLLOUTS}{rollout.pk}/change/")

    assert page.status_code == 200
    assert "order-extractor v1.0 → v1.1" in page.content.decode()
    assert "No evidence yet" in page.content.decode()
    assert "&quot;look_every_s&quot;: 1" in page.content.decode()
    assert "by_hand" not in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert f'href="/rollouts/{rollout.pk}"' in page.content.decode()


@pytest.mark.parametrize(
    ("status", "offered"),
    [("running", {"pause", "promote", "rollback", "cancel"}), ("draft", {"start", "cancel"})],
)
def test_rollout__offers_what_its_state_allows(anna: Client, status: str, offered: set[str]) -> None:
    rollout = given.rollout(start=status != "draft")

    page = anna.get(f"{ROLLOUTS}{quote(rollout.pk)}/change/").content.decode()  # as the list links there

    for name in ("start", "pause", "resume", "promote", "rollback", "cancel"):
        assert (f'href="/rollouts/{rollout.pk}/{name}"' in page) == (name in offered)


def test_reader__sees_everything_and_may_change_nothing(reader: Client) -> None:
    delivery = dead_delivery()
    rollout = Rollout.objects.get()
    webhook = WebhookEndpoint.objects.get()

    for path in (f"{ROLLOUTS}{rollout.pk}", f"{WEBHOOKS}{webhook.pk}", f"{DELIVERIES}{delivery.pk}"):
        page = reader.get(f"{path}/change/")
        assert page.status_code == 200
        assert f"/rollouts/{rollout.pk}/" not in page.content.decode()
        assert "/disable/" not in page.content.decode()
    for act_on_it in ("disable", "enable", "replay", "edit", "rotate"):
        assert reader.post(f"{WEBHOOKS}{webhook.pk}/{act_on_it}/").status_code == 403
    assert reader.get(f"{WEBHOOKS}add/").status_code == 403
    replay(reader, delivery)
    delivery.refresh_from_db()
    assert delivery.status == "dead"


def test_verdicts__of_one_rollout_with_their_numbers(anna: Client) -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(950, 9), canary=(50, 1))
    given.look_now(rollout)
    other = given.rollout("other")

    mine = anna.get("/admin/rollout/verdict/", {"rollout__id__exact": rollout.pk})
    others = anna.get("/admin/rollout/verdict/", {"rollout__id__exact": other.pk})
    one = anna.get(f"/admin/rollout/verdict/{rollout.verdict_id}/change/")

    assert "The hold of step 1 of 2 is not served yet." in mine.content.decode()
    assert "0 verdicts" in others.content.decode()
    assert "&quot;log_e_harm&quot;" in one.content.decode()


def test_webhook__add__made_by_the_service_and_its_secret_shown_once(anna: Client) -> None:
    page = anna.post(f"{WEBHOOKS}add/", {"url": "https://hooks.example/", "events": ["rollout.rolled_back"]})

    webhook = WebhookEndpoint.objects.get()
    assert (webhook.url, webhook.events, webhook.created_by) == (
        "https://hooks.example/",
        ["rollout.rolled_back"],
        "user:anna",
    )
    assert webhook.secret in page.content.decode()
    for later in (anna.get(WEBHOOKS), anna.get(f"{WEBHOOKS}{webhook.pk}/change/")):
        assert later.status_code == 200
        assert webhook.secret not in later.content.decode()


def test_webhook__add__refused__the_reason_stands_at_the_field(anna: Client) -> None:
    page = anna.post(f"{WEBHOOKS}add/", {"url": "ftp://hooks.example/"})

    assert "expected an http or https address" in page.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_webhook__disable__asks_first_then_goes_through_the_service(anna: Client) -> None:
    webhook = create_endpoint(url="https://hooks.example/", actor=ANNA)
    given.rollout()

    asked = anna.get(f"{WEBHOOKS}{webhook.pk}/disable/")
    done = anna.post(f"{WEBHOOKS}{webhook.pk}/disable/")

    webhook.refresh_from_db()
    assert "dead until it is replayed" in asked.content.decode()
    assert messages_of(done) == ["https://hooks.example/ is disabled."]
    assert webhook.disabled_reason == "by user:anna"
    assert set(Delivery.objects.values_list("status", flat=True)) == {"dead"}


def test_webhook__disabled__enabled_again_and_what_was_dead_replayed(anna: Client) -> None:
    webhook = create_endpoint(url="https://hooks.example/", actor=ANNA)
    given.rollout()
    disable_endpoint(endpoint_id=webhook.pk, actor=ANNA)

    done = [messages_of(anna.post(f"{WEBHOOKS}{webhook.pk}/{act}/"))[-1] for act in ("replay", "enable", "replay")]

    assert done == [
        f"The webhook {webhook.pk} is disabled: by user:anna",
        "https://hooks.example/ is enabled.",
        "https://hooks.example/ is being sent again what was dead.",
    ]
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}


def test_webhook__edit__starts_with_what_is_and_changes_it(anna: Client) -> None:
    webhook = create_endpoint(url="https://hooks.example/", events=["label.moved"], actor=ANNA)
    address = f"{WEBHOOKS}{webhook.pk}/edit/"

    asked = anna.get(address).content.decode()
    refused = anna.post(address, {"url": "http://10.0.0.1/"})
    anna.post(address, {"url": "https://other.example/", "description": "on call", "format": "slack"})

    assert "https://hooks.example/" in asked
    assert "SERINUS_WEBHOOK_ALLOW" in refused.content.decode()
    webhook.refresh_from_db()
    assert (webhook.url, webhook.events, webhook.description) == ("https://other.example/", [], "on call")
    assert webhook.format == "slack"


def test_webhook__rotate__the_new_secret_shown_once(anna: Client) -> None:
    webhook = create_endpoint(url="https://hooks.example/", actor=ANNA)

    page = anna.post(f"{WEBHOOKS}{webhook.pk}/rotate/", {"keep_old_for": "24"}).content.decode()

    old = webhook.secret
    webhook.refresh_from_db()
    assert webhook.previous_secrets[0][0] == old
    assert webhook.secret in page
    assert old not in page
    assert webhook.secret not in anna.get(f"{WEBHOOKS}{webhook.pk}/change/").content.decode()


@pytest.fixture
def losing(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A person who may change all of webhooks, until the first change is recorded."""
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="rollout"))
    record = audit.record

    def record_and_lose(**entry: Any) -> None:
        record(**entry)
        if entry["actor"].name == "ben":
            user.user_permissions.clear()

    monkeypatch.setattr(audit, "record", record_and_lose)
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("webhookendpoint/add/", {"url": "https://other.example/"}),
        ("webhookendpoint/{id}/edit/", {"url": "https://other.example/"}),
        ("webhookendpoint/{id}/rotate/", {"keep_old_for": "24"}),
        ("webhookendpoint/{id}/disable/", {}),
        ("webhookendpoint/{id}/replay/", {}),
        ("delivery/", {"action": "replay", "confirmed": "yes"}),
        ("delivery/{delivery}/replay/", {}),
    ],
)
def test_right__taken_away_while_the_change_waits__all_is_undone(
    losing: Client, page: str, form: dict[str, Any]
) -> None:
    delivery = dead_delivery()
    before = (*WebhookEndpoint.objects.values(), *Delivery.objects.values())

    address = f"/admin/rollout/{page.format(id=delivery.endpoint_id, delivery=delivery.pk)}"
    answer = losing.post(address, {**form, "_selected_action": [delivery.pk]})

    assert answer.status_code == 403
    assert "has just been taken away" in words_of(answer)
    assert (*WebhookEndpoint.objects.values(), *Delivery.objects.values()) == before
    assert not AuditEntry.objects.filter(actor="user:ben").exists()


def test_webhook__change_page__its_health_and_what_may_be_done(anna: Client) -> None:
    delivery = dead_delivery()

    page = anna.get(f"{WEBHOOKS}{quote(delivery.endpoint_id)}/change/").content.decode()

    assert [f"/{name}/" in page for name in ("edit", "rotate", "disable", "enable", "replay")] == [
        True,
        True,
        True,
        False,
        True,
    ]
    assert "nothing was sent yet, 1 dead" in page


def replay(client: Client, delivery: Delivery) -> HttpResponse:
    return client.post(DELIVERIES, {"action": "replay", "_selected_action": [delivery.pk], "confirmed": "yes"})


def test_delivery__shows_its_attempts_and_what_was_sent(anna: Client) -> None:
    delivery = dead_delivery()

    page = anna.get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()

    assert "retries used up" in page.lower()
    assert "503" in page
    assert "&quot;type&quot;:&quot;rollout.started&quot;" in page


def test_delivery__replay__tried_again(anna: Client) -> None:
    delivery = dead_delivery()

    done = replay(anna, delivery)

    delivery.refresh_from_db()
    assert messages_of(done)[0].endswith("to hooks.example is being sent again.")
    assert (delivery.status, delivery.attempts) == ("pending", 0)


def test_delivery__replay_to_a_disabled_webhook__says_why_not(anna: Client) -> None:
    delivery = dead_delivery()
    disable_endpoint(endpoint_id=delivery.endpoint_id, actor=ANNA)

    refused = replay(anna, delivery)

    assert "is disabled: by user:anna" in messages_of(refused)[0]


def test_hostile_reason__never_markup(anna: Client) -> None:
    rollout = given.rollout()
    services.pause(rollout_id=rollout.pk, reason="<script>alert('x')</script>", actor=ANNA)

    assert "<script>alert" not in anna.get(f"{ROLLOUTS}{rollout.pk}/change/").content.decode()


def test_lists__number_of_queries_does_not_grow(anna: Client, django_assert_max_num_queries: Any) -> None:
    create_endpoint(url="https://hooks.example/", actor=ANNA)
    for number in range(10):
        given.rollout(f"prompt-{number}")

    for path in (ROLLOUTS, WEBHOOKS, DELIVERIES, "/admin/rollout/verdict/"):
        with django_assert_max_num_queries(7):
            assert anna.get(path).status_code == 200


def test_list__says_state_and_label_and_leads_to_the_page__filtered_by_prompt_label_and_state(
    anna: Client,
) -> None:
    mine, other = given.rollout(), given.rollout("other")
    services.rollback(rollout_id=other.pk, actor=ANNA)

    both = anna.get(ROLLOUTS)
    filters = ({"status": "running"}, {"prompt__id__exact": mine.prompt_id}, {"q": "order-ex"}, {"q": mine.pk})
    found = [anna.get(ROLLOUTS, chosen).content.decode() for chosen in filters]

    assert "Rolled back" in words_of(both)
    assert "No evidence yet" in words_of(both)
    assert f'href="/rollouts/{mine.pk}"' in both.content.decode()
    assert [(f"/rollouts/{mine.pk}" in page, f"/rollouts/{other.pk}" in page) for page in found] == [(True, False)] * 4
    assert f"/rollouts/{other.pk}" in anna.get(ROLLOUTS, {"label": "production"}).content.decode()


@pytest.mark.parametrize("what", ["rollout/delivery", "rollout/verdict", "registry/auditentry"])
def test_long_lists__counted_only_as_far_as_anyone_turns_their_pages(anna: Client, what: str) -> None:
    dead_delivery()

    with CaptureQueriesContext(connection) as captured:
        assert anna.get(f"/admin/{what}/").status_code == 200

    counts = [query["sql"] for query in captured if "COUNT(*)" in query["sql"]]
    assert counts
    assert all("LIMIT 1000" in count for count in counts)


def test_deliveries__searched__by_whole_ids_names_and_addresses(anna: Client) -> None:
    delivery = dead_delivery()
    event = delivery.event

    found = {
        term: f"/{quote(delivery.pk)}/change/" in anna.get(DELIVERIES, {"q": term}).content.decode()
        for term in (delivery.pk, event.id, event.prompt, delivery.endpoint.url, event.prompt[:-1], "nothing")
    }

    assert found == {term: term not in (event.prompt[:-1], "nothing") for term in found}


def test_verdicts__searched__by_a_rollouts_whole_id(anna: Client) -> None:
    rollout = given.rollout()
    given.observe(rollout, "error_rate", control=(950, 9), canary=(50, 1))
    given.look_now(rollout)

    found = {
        term: "1 verdict" in anna.get("/admin/rollout/verdict/", {"q": term}).content.decode()
        for term in (rollout.pk, rollout.pk[:-1])
    }

    assert found == {rollout.pk: True, rollout.pk[:-1]: False}
