import logging
from contextlib import suppress
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks
from standardwebhooks import Webhook, WebhookVerificationError

from registry.events import EVENT_TYPES
from registry.models import AuditEntry
from rollout.models import WebhookEndpoint
from rollout.webhooks import services
from rollout.webhooks.fan_out import deliver_new_events
from tests import make
from tests.make import ANNA
from tests.webhooks.stage import Received, Receiver, delivery_of, happen, record, work

pytestmark = pytest.mark.django_db
URL = "https://hooks.example/serinus"


def client_with(*scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {make.key(*scopes)}"})


@pytest.fixture
def client() -> Client:
    return client_with("admin")


def create(client: Client, **body: Any) -> Any:
    return client.post("/api/v1/webhooks", body, content_type="application/json")


def test_create__url_alone__201_with_the_secret_and_all_events(client: Client) -> None:
    response = create(client, url=URL)

    assert response.status_code == 201
    body = response.json()
    assert body.pop("secret").startswith("whsec_")
    assert body.pop("id").startswith("whk_")
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "url": URL,
        "events": None,
        "description": "",
        "format": "standard",
        "created_by": "key:app",
        "previous_secret_until": None,
        "disabled_at": None,
        "disabled_reason": "",
        "health": {
            "last_success_at": None,
            "last_failure_at": None,
            "failing_since": None,
            "consecutive_failures": 0,
            "pending": 0,
            "dead": 0,
        },
    }


def test_create__chosen_events_and_description__answered(client: Client) -> None:
    body = create(client, url=URL, events=["rollout.rolled_back"], description="on call").json()

    assert (body["events"], body["description"]) == (["rollout.rolled_back"], "on call")


def test_create__what_was_answered_as_all_events__taken_as_all_events(client: Client) -> None:
    assert create(client, url=URL, events=None).json()["events"] is None


@pytest.mark.parametrize(
    "url", ["http://receiver:8080/hook", "http://127.0.0.1:9/", "https://[2606:4700::1111]/?a=b", "http://8.8.8.8/"]
)
def test_create__url_of_a_name_or_an_address_that_may_be_reached__taken(client: Client, url: str) -> None:
    assert create(client, url=url).status_code == 201


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "https://[::1]/", "http://0xa9fea9fe/latest", "http://127.2:80/"])
def test_create__address_that_is_not_public__422_that_names_the_setting(client: Client, url: str) -> None:
    problem = create(client, url=url).json()

    assert (problem["status"], problem["errors"][0]["code"]) == (422, "address_refused")
    assert "SERINUS_WEBHOOK_ALLOW" in problem["detail"]


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example", "ftp://hooks.example/", "http://", "http:///path", "file:///etc/passwd"),
        *("http://hooks.example:port/", "http://hooks.example:99999/", "http://hooks.example:0/", "http://[::1/"),
        *(
            "http://hooks.example/a b",
            "http://hooks.example/\nx",
            "http://hooks.example/\x00",
            "http://h\u00f6\u00f6ks/",
        ),
        *("http://anna:secret@hooks.example/", "http://anna@hooks.example/", "http://@hooks.example/"),
        "http://hooks.example/" + "a" * 2000,
    ],
)
def test_create__url_that_cannot_be_used__422_naming_the_field(client: Client, url: str) -> None:
    response = create(client, url=url)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "url"
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"events": ["rollout.exploded"]}, "events"),
        ({"events": []}, "events"),
        ({"events": "rollout.rolled_back"}, "events"),
        ({"events": [5]}, "events"),
        ({"description": "x" * 201}, "description"),
        ({"secret": "whsec_mine"}, "secret"),
        ({"format": "teams"}, "format"),
    ],
)
def test_create__wrong_field__422_naming_it(client: Client, wrong: dict[str, Any], field: str) -> None:
    response = create(client, url=URL, **wrong)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith(field)


def test_create__unknown_event__says_which_are_known(client: Client) -> None:
    detail = create(client, url=URL, events=["rollout.exploded"]).json()["detail"]

    assert "rollout.exploded" in detail
    assert all(known in detail for known in EVENT_TYPES)


def test_list_and_one__without_secret_newest_first_in_pages(client: Client, clock: time_machine.Traveller) -> None:
    ids = []
    for _ in range(3):
        ids.insert(0, create(client, url=URL).json()["id"])
        clock.shift(1)

    first = client.get("/api/v1/webhooks", {"limit": 2}).json()
    rest = client.get("/api/v1/webhooks", {"limit": 2, "cursor": first["next"]}).json()
    one = client.get(f"/api/v1/webhooks/{ids[0]}").json()

    assert [item["id"] for item in first["items"] + rest["items"]] == ids
    assert rest["next"] is None
    assert one == first["items"][0]
    assert "secret" not in one


def test_patch__some_fields__the_others_stay(client: Client, endpoint: WebhookEndpoint) -> None:
    address = f"/api/v1/webhooks/{endpoint.id}"

    first = client.patch(address, {"events": ["label.moved"], "format": "slack"}, content_type="application/json")
    second = client.patch(address, {"url": URL, "description": "on call"}, content_type="application/json")
    third = client.patch(address, {"events": None}, content_type="application/json")

    assert [response.status_code for response in (first, second, third)] == [200, 200, 200]
    body = second.json()
    assert (body["url"], body["events"], body["format"]) == (URL, ["label.moved"], "slack")
    assert body["description"] == "on call"
    assert "secret" not in body
    assert third.json()["events"] is None


@pytest.mark.parametrize(
    "wrong", [{"url": "http://10.0.0.1/"}, {"events": []}, {"events": ["x"]}, {"format": "x"}, {"disabled_at": None}]
)
def test_patch__wrong__422_and_nothing_changed(
    client: Client, endpoint: WebhookEndpoint, wrong: dict[str, Any]
) -> None:
    body = {"description": "changed", **wrong}

    response = client.patch(f"/api/v1/webhooks/{endpoint.id}", body, content_type="application/json")

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith(next(iter(wrong)))
    endpoint.refresh_from_db()
    assert endpoint.description == ""


@pytest.mark.parametrize("body", [{}, {"events": None, "description": ""}, {"format": "standard"}])
def test_patch__as_it_is_already__no_entry(client: Client, endpoint: WebhookEndpoint, body: dict[str, Any]) -> None:
    response = client.patch(f"/api/v1/webhooks/{endpoint.id}", body, content_type="application/json")

    assert response.status_code == 200
    assert not AuditEntry.objects.filter(action="webhook.changed").exists()


def test_changes__undone__not_logged(endpoint: WebhookEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    with suppress(KeyError), transaction.atomic():
        services.change_endpoint(endpoint_id=endpoint.pk, description="on call", actor=ANNA)
        services.replay_all(endpoint_id=endpoint.pk, status="dead", actor=ANNA)
        services.disable_endpoint(endpoint_id=endpoint.pk, actor=ANNA)
        raise KeyError

    assert not [record for record in caplog.records if record.name == services.__name__]


def test_changes__committed__logged(
    endpoint: WebhookEndpoint,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    caplog.set_level(logging.INFO)

    with django_capture_on_commit_callbacks(execute=True):
        services.change_endpoint(endpoint_id=endpoint.pk, description="on call", actor=ANNA)
        services.replay_all(endpoint_id=endpoint.pk, status="dead", actor=ANNA)
        services.disable_endpoint(endpoint_id=endpoint.pk, actor=ANNA)

    said = [record.getMessage() for record in caplog.records if record.name == services.__name__]
    assert said == ["webhook.changed", "webhook.replayed", "webhook.disabled"]


def test_patch__other_events__what_happened_before_is_told_as_it_was_wanted_then(
    client: Client, endpoint: WebhookEndpoint
) -> None:
    before = record("label.moved")

    client.patch(f"/api/v1/webhooks/{endpoint.id}", {"events": ["version.published"]}, content_type="application/json")
    record("label.moved")
    deliver_new_events()

    assert list(endpoint.deliveries.values_list("event", flat=True)) == [before.sequence]


def rotate(client: Client, endpoint: WebhookEndpoint, **body: Any) -> Any:
    return client.post(f"/api/v1/webhooks/{endpoint.id}/rotate", body, content_type="application/json")


def believers(secrets: list[str], received: Received) -> list[bool]:
    """By secret: whether a receiver that knows only it believes the message, by the independent implementation."""

    def believes(secret: str) -> bool:
        try:
            Webhook(secret).verify(received.body, received.headers)
        except WebhookVerificationError:
            return False
        return True

    return [believes(secret) for secret in secrets]


def test_rotate__both_secrets_sign_until_24_hours_are_over(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    old = endpoint.secret

    body = rotate(client, endpoint).json()
    happen()
    work()
    clock.shift(24 * 3600)
    happen()
    work()

    assert body["secret"] not in {"", old}
    assert body["previous_secret_until"] == "2026-03-02T12:00:00Z"
    during, after = receiver.received
    assert during.headers["webhook-signature"].count("v1,") == 2
    clock.move_to(during.timestamp)  # the package refuses a message of another day
    assert believers([old, body["secret"]], during) == [True, True]
    clock.move_to(after.timestamp)
    assert believers([old, body["secret"]], after) == [False, True]
    shown = client.get(f"/api/v1/webhooks/{endpoint.id}")
    assert body["secret"] not in shown.content.decode()
    assert shown.json()["previous_secret_until"] is None  # it is over


def test_rotate__asked_again_as_the_answer_was_lost__the_secret_that_the_receiver_knows_still_signs(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    for _ in range(2):
        rotate(client, endpoint)
    happen()

    work()

    assert believers([endpoint.secret], receiver.received[0]) == [True]


def test_rotate__many_times__a_few_secrets_are_kept(client: Client, endpoint: WebhookEndpoint) -> None:
    for _ in range(services.MOST_KEPT + 2):
        rotate(client, endpoint)

    endpoint.refresh_from_db()
    assert len(endpoint.previous_secrets) == services.MOST_KEPT


def test_rotate__keep_nothing__only_the_new_secret_signs(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    old, first = endpoint.secret, rotate(client, endpoint, keep_old_for="7d").json()

    second = rotate(client, endpoint, keep_old_for="0").json()
    happen()
    work()

    assert second["previous_secret_until"] is None
    secrets = [old, first["secret"], second["secret"]]
    assert believers(secrets, receiver.received[0]) == [False, False, True]


@pytest.mark.parametrize("written", ["31d", "soon", "-1s", "", None])
def test_rotate__wrong_time__422_and_the_secret_stays(client: Client, endpoint: WebhookEndpoint, written: Any) -> None:
    response = rotate(client, endpoint, keep_old_for=written)

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "keep_old_for")
    old = endpoint.secret
    endpoint.refresh_from_db()
    assert endpoint.secret == old


def test_enable__told_again_of_what_happens_from_then_on(client: Client, endpoint: WebhookEndpoint) -> None:
    client.delete(f"/api/v1/webhooks/{endpoint.id}")
    record("label.moved")

    enabled = [client.post(f"/api/v1/webhooks/{endpoint.id}/enable") for _ in range(2)]
    after = happen()
    deliver_new_events()

    assert [(response.status_code, response.json()["disabled_at"]) for response in enabled] == [(200, None)] * 2
    assert list(endpoint.deliveries.values_list("event", flat=True)) == [after.sequence]


def test_health__counts_of_each_webhook_in_as_many_queries_as_of_one(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver, django_assert_max_num_queries: Any
) -> None:
    receiver.answers(410)
    happen()
    happen()
    work()
    services.create_endpoint(url=URL, actor=ANNA)
    happen()

    with django_assert_max_num_queries(3):
        newer, older = client.get("/api/v1/webhooks").json()["items"]

    assert (newer["health"]["pending"], newer["health"]["dead"]) == (1, 0)
    assert (older["health"]["pending"], older["health"]["dead"]) == (0, 2)
    assert older["health"]["consecutive_failures"] == 1
    assert older["health"]["last_failure_at"] == older["health"]["failing_since"] is not None


def test_deliveries__by_status__only_those(client: Client, endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    happen()
    work()
    receiver.answers(410)
    dead = happen()
    work()
    address = f"/api/v1/webhooks/{endpoint.id}/deliveries"

    items = client.get(address, {"status": "dead"}).json()["items"]

    assert [item["event_id"] for item in items] == [dead.id]
    assert len(client.get(address).json()["items"]) == 2
    assert client.get(address, {"status": "lost"}).status_code == 422
    assert client.get(address, {"state": "dead"}).status_code == 422


def test_replay_all__dead__each_once_more_in_order_of_what_happened(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    delivered = happen()
    work()
    events = [happen() for _ in range(3)]
    services.disable_endpoint(endpoint_id=endpoint.id, actor=ANNA)
    services.enable_endpoint(endpoint_id=endpoint.id, actor=ANNA)

    response = client.post(f"/api/v1/webhooks/{endpoint.id}/replay?status=dead")
    work()

    assert (response.status_code, response.json()) == (200, {"replayed": 3})
    assert [received.id for received in receiver.received] == [event.id for event in (delivered, *events)]


def test_replay_all__since__what_was_made_from_then_on(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    happen()
    clock.shift(60)
    later = happen()
    work()
    client.post(f"/api/v1/webhooks/{endpoint.id}/replay?since=2026-03-01T12:01:00Z")

    work()

    assert [received.id for received in receiver.received][2:] == [later.id]


@pytest.mark.parametrize("query", ["", "?status=pending", "?status=lost", "?since=soon", "?until=2026-03-01T12:00:00Z"])
def test_replay_all__neither_or_nonsense__422(client: Client, endpoint: WebhookEndpoint, query: str) -> None:
    assert client.post(f"/api/v1/webhooks/{endpoint.id}/replay{query}").status_code == 422


def test_replay_all__disabled__409(client: Client, endpoint: WebhookEndpoint) -> None:
    client.delete(f"/api/v1/webhooks/{endpoint.id}")

    response = client.post(f"/api/v1/webhooks/{endpoint.id}/replay?status=dead")

    assert (response.status_code, response.json()["code"]) == (409, "webhook_disabled")


def test_delete__disabled_with_its_history(client: Client, endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    work_off = happen()
    work()
    pending = happen()

    first, again = (client.delete(f"/api/v1/webhooks/{endpoint.id}").status_code for _ in range(2))

    assert first == again == 204
    body = client.get(f"/api/v1/webhooks/{endpoint.id}").json()
    assert body["disabled_at"] is not None
    assert body["disabled_reason"] == "by key:app"
    assert delivery_of(work_off).status == "delivered"
    assert (delivery_of(pending).status, delivery_of(pending).dead_reason) == ("dead", "endpoint_disabled")


def test_deliveries__newest_first_with_their_attempts(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    receiver.answers(500, 204)
    older = happen("rollout.started")
    work()
    clock.shift(1)
    newer = happen("rollout.rolled_back")
    work()

    items = client.get(f"/api/v1/webhooks/{endpoint.id}/deliveries").json()["items"]

    assert [item["event_id"] for item in items] == [newer.id, older.id]
    assert [item["sequence"] for item in items] == [newer.sequence, older.sequence]
    assert [item["event_type"] for item in items] == ["rollout.rolled_back", "rollout.started"]
    assert [item["status"] for item in items] == ["delivered", "pending"]
    assert items[0]["next_attempt_at"] is None
    assert items[0]["delivered_at"] == "2026-03-01T12:00:01Z"
    assert items[1]["next_attempt_at"].startswith("2026-03-01T12:00:0")
    attempt = items[1]["attempts"][0]
    assert attempt.pop("duration_ms") >= 0
    assert attempt == {"number": 1, "attempted_at": "2026-03-01T12:00:00Z", "http_status": 500, "error": ""}


@pytest.mark.parametrize("deliveries", [1, 7])
def test_deliveries__any_number__the_same_few_queries(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver, deliveries: int, django_assert_num_queries: Any
) -> None:
    for _ in range(deliveries):
        happen()
    work()

    with django_assert_num_queries(4):  # the key, the endpoint, its deliveries with events, their attempts
        client.get(f"/api/v1/webhooks/{endpoint.id}/deliveries")


def test_replay__delivered__pending_and_sent_again(
    client: Client, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    event = happen()
    work()

    response = client.post(f"/api/v1/webhooks/{endpoint.id}/deliveries/{delivery_of(event).pk}/replay")
    work()

    assert response.status_code == 200
    assert (response.json()["status"], response.json()["event_type"]) == ("pending", "rollout.rolled_back")
    assert [received.id for received in receiver.received] == [event.id, event.id]


def test_replay__pending__409(client: Client, endpoint: WebhookEndpoint) -> None:
    delivery = delivery_of(happen())

    response = client.post(f"/api/v1/webhooks/{endpoint.id}/deliveries/{delivery.pk}/replay")

    assert (response.status_code, response.json()["code"]) == (409, "delivery_pending")


def test_replay__webhook_disabled__409(client: Client, endpoint: WebhookEndpoint) -> None:
    delivery = delivery_of(happen())
    services.disable_endpoint(endpoint_id=endpoint.id, actor=ANNA)

    response = client.post(f"/api/v1/webhooks/{endpoint.id}/deliveries/{delivery.pk}/replay")

    assert (response.status_code, response.json()["code"]) == (409, "webhook_disabled")


def test_replay__delivery_of_another_webhook__404(client: Client, endpoint: WebhookEndpoint) -> None:
    delivery = delivery_of(happen())
    other = services.create_endpoint(url=URL, actor=ANNA)

    response = client.post(f"/api/v1/webhooks/{other.id}/deliveries/{delivery.pk}/replay")

    assert (response.status_code, response.json()["code"]) == (404, "unknown_delivery")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("get", ""), ("patch", ""), ("delete", ""), ("get", "/deliveries"), ("post", "/deliveries/dlv_0/replay")),
        *(("post", "/rotate"), ("post", "/enable"), ("post", "/replay?status=dead")),
    ],
)
def test_any__unknown_webhook__404(client: Client, method: str, path: str) -> None:
    response = client.generic(method.upper(), f"/api/v1/webhooks/whk_0{path}")

    assert (response.status_code, response.json()["code"]) == (404, "unknown_webhook")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("get", ""), ("head", ""), ("options", ""), ("post", "")),
        *(("get", "/whk_0"), ("head", "/whk_0"), ("patch", "/whk_0"), ("delete", "/whk_0")),
        *(("post", "/whk_0/rotate"), ("post", "/whk_0/enable"), ("post", "/whk_0/replay")),
        *(("get", "/whk_0/deliveries"), ("head", "/whk_0/deliveries"), ("post", "/whk_0/deliveries/dlv_0/replay")),
    ],
)
def test_any__every_scope_but_admin__403(method: str, path: str) -> None:
    response = getattr(client_with("read", "write", "ingest"), method)(f"/api/v1/webhooks{path}")

    assert response.status_code == 403


def test_any__no_key__401() -> None:
    assert Client().get("/api/v1/webhooks").status_code == 401
