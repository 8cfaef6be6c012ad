"""The admin of webhooks as the person on call reads it: health in words, newest deliveries, replays that ask first."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import strip_tags

from common.clock import now
from rollout.models import Delivery, DeliveryAttempt, WebhookEndpoint
from rollout.webhooks.services import create_endpoint, disable_endpoint
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

WEBHOOKS = "/admin/rollout/webhookendpoint/"
DELIVERIES = "/admin/rollout/delivery/"


@pytest.fixture
def anna(client: Client) -> Client:
    """A person who may do everything."""
    client.force_login(User.objects.create_superuser("anna"))
    return client


def text_of(page: Any) -> str:
    return " ".join(strip_tags(page.content.decode()).split())


def told(rollouts: int = 1) -> WebhookEndpoint:
    """An endpoint to which the starts of so many rollouts are to be delivered."""
    endpoint = create_endpoint(url="https://hooks.example/", events=["rollout.started"], actor=ANNA)
    for number in range(rollouts):
        given.rollout(f"prompt-{number}")
    return endpoint


def dead(endpoint: WebhookEndpoint) -> list[Delivery]:
    ended = {"status": "dead", "dead_reason": "retries_used_up", "attempts": 15, "next_attempt_at": None}
    endpoint.deliveries.update(**ended)
    return list(endpoint.deliveries.all())


def failing(endpoint: WebhookEndpoint) -> None:
    since = now().replace(hour=0, minute=5, second=0)
    WebhookEndpoint.objects.update(failing_since=since, consecutive_failures=7)


def delivering(endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.update(last_success_at=now())


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (lambda endpoint: None, "nothing was sent yet, 2 pending"),
        (delivering, "delivers, 2 pending"),
        (failing, "failing since 00:05:00 UTC, 7 attempts, 2 pending"),
        (dead, "nothing was sent yet, 2 dead"),
        (lambda endpoint: disable_endpoint(endpoint_id=endpoint.pk, actor=ANNA), "disabled: by user:anna, 2 dead"),
    ],
)
def test_health__in_words__in_the_list_and_on_the_page(anna: Client, happened: Any, words: str) -> None:
    endpoint = told(rollouts=2)
    happened(endpoint)

    assert words in text_of(anna.get(WEBHOOKS))
    assert words in text_of(anna.get(f"{WEBHOOKS}{endpoint.pk}/change/"))


def test_page__shows_the_newest_deliveries_with_their_attempts(anna: Client) -> None:
    endpoint = told()
    delivery = endpoint.deliveries.get()
    at = now() - timedelta(minutes=1)
    DeliveryAttempt.objects.create(delivery=delivery, number=1, attempted_at=at, duration_ms=212, http_status=503)

    page = anna.get(f"{WEBHOOKS}{endpoint.pk}/change/")

    assert f"{DELIVERIES}{delivery.pk}/change/" in page.content.decode()
    assert "answered 503 after 212 ms" in text_of(page)
    assert "Waiting" in text_of(page)


def test_page__who_may_not_view_deliveries__sees_none(client: Client) -> None:
    endpoint = told()
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_webhookendpoint"))
    client.force_login(user)

    page = client.get(f"{WEBHOOKS}{endpoint.pk}/change/")

    assert page.status_code == 200
    assert "The newest deliveries" not in text_of(page)
    assert client.get(f"{DELIVERIES}{endpoint.deliveries.get().pk}/change/").status_code == 403


def test_replay_of_what_is_dead__says_how_much_that_is(anna: Client) -> None:
    endpoint = told(rollouts=3)
    dead(endpoint)

    assert "Everything that is dead, 3 of it, is sent again" in text_of(anna.get(f"{WEBHOOKS}{endpoint.pk}/replay/"))


def test_replay_of_one__offered_on_its_page__asks_and_does_it(anna: Client) -> None:
    (delivery,) = dead(told())
    address = f"{DELIVERIES}{delivery.pk}/replay/"

    offered = anna.get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()
    asked = anna.get(address)
    done = anna.post(address, follow=True)

    delivery.refresh_from_db()
    assert address in offered
    assert "rollout.started of prompt-0 to https://hooks.example/: Dead" in text_of(asked)
    assert "is being sent again." in text_of(done)
    assert delivery.status == "pending"
    assert address not in anna.get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()


def test_replay_of_several__asks_before_it_does_it(anna: Client) -> None:
    chosen = dead(told(rollouts=3))[:2]
    body = {"action": "replay", "_selected_action": [delivery.pk for delivery in chosen]}

    asked = anna.post(DELIVERIES, body)
    still = list(Delivery.objects.values_list("status", flat=True))
    anna.post(DELIVERIES, body | {"confirmed": "yes"})

    assert "Replay 2 deliveries" in text_of(asked)
    assert asked.content.decode().count('name="_selected_action"') == 2
    assert still == ["dead"] * 3
    assert sorted(Delivery.objects.values_list("status", flat=True)) == ["dead", "pending", "pending"]


def test_replay__without_the_right__neither_offered_nor_done(client: Client) -> None:
    (delivery,) = dead(told())
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_delivery"))
    client.force_login(user)

    assert "/replay/" not in client.get(f"{DELIVERIES}{delivery.pk}/change/").content.decode()
    assert client.get(f"{DELIVERIES}{delivery.pk}/replay/").status_code == 403
    assert client.post(f"{DELIVERIES}{delivery.pk}/replay/").status_code == 403
    delivery.refresh_from_db()
    assert delivery.status == "dead"


@pytest.mark.parametrize("may", [False, True])
def test_delivery__what_was_sent_and_the_whole_address__for_those_who_may_see_such(client: Client, may: bool) -> None:
    endpoint = create_endpoint(url="https://hooks.example/secret-path", events=["rollout.started"], actor=ANNA)
    given.rollout()
    (delivery,) = dead(endpoint)
    more = ["view_webhookendpoint", "view_promptversion"] if may else []
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_delivery", "change_delivery", *more]))
    client.force_login(user)

    own, asked, listed = (
        client.get(f"{DELIVERIES}{address}") for address in (f"{delivery.pk}/change/", f"{delivery.pk}/replay/", "")
    )

    for page in (own, asked, listed):
        assert "hooks.example" in text_of(page)
        assert ("secret-path" in text_of(page)) == may
    assert ("&quot;type&quot;:&quot;rollout.started&quot;" in own.content.decode()) == may
    search = client.get(DELIVERIES, {"q": endpoint.url}).content.decode()
    assert (delivery.pk in search.replace("_5F", "_")) == may  # nor can it be found out


def test_rotate__the_page_says_until_when_the_old_secret_signs(anna: Client) -> None:
    endpoint = told()

    rotated = anna.post(f"{WEBHOOKS}{endpoint.pk}/rotate/", {"keep_old_for": "24"})

    endpoint.refresh_from_db()
    ((_, until),) = endpoint.kept_at(now())
    assert f"signs too until {until:%Y-%m-%d %H:%M} UTC" in text_of(rotated)
    assert f"{until:%Y-%m-%d %H:%M} UTC" in text_of(anna.get(f"{WEBHOOKS}{endpoint.pk}/change/"))


def test_pages__queries_do_not_grow_with_what_there_is(anna: Client, django_assert_max_num_queries: Any) -> None:
    endpoint = told(rollouts=8)

    with django_assert_max_num_queries(8):
        anna.get(f"{WEBHOOKS}{endpoint.pk}/change/")
    with django_assert_max_num_queries(6):
        anna.get(DELIVERIES)
    with django_assert_max_num_queries(6):
        anna.get(WEBHOOKS)


@pytest.mark.parametrize(
    ("listed", "offered"), [(WEBHOOKS, "/replay/"), (DELIVERIES, "/replay/"), ("/admin/rollout/rollout/", "/pause")]
)
def test_link_of_a_list__whose_id_is_quoted_in_it__leads_to_what_may_be_done(
    anna: Client, listed: str, offered: str
) -> None:
    dead(told())
    (link,) = set(re.findall(rf'<a href="({listed}[^"]+/change/[^"]*)"', anna.get(listed).content.decode()))

    assert "_5F" in link
    assert offered in anna.get(link).content.decode()
