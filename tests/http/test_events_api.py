"""GET /api/v1/events: in order, without gaps, as soon as there are any, and saying what is gone."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from registry import events
from registry import services as registry
from registry.models import ApiKey, Event
from rollout.serving import event_watch, waiting
from rollout.serving.event_watch import watch
from tests import make
from tests.parallel import start

Get = Callable[..., Any]
Waiter = Callable[..., "Future[Any]"]


@pytest.fixture
def get(client: Client) -> Get:
    """GET /api/v1/events with these parameters, or below it, with a key that may read."""
    _, key = registry.issue_key(name="puller", scopes=["read"], actor=make.ANNA)

    def get(below: str = "", **query: Any) -> Any:
        return client.get(f"/api/v1/events{below}", query, headers={"Authorization": f"Bearer {key}"})

    return get


@pytest.fixture
def moved() -> None:
    """Events 1 and 2 of order-extractor, 3 and 4 of greeter: a version each, and where production is."""
    for name in ("order-extractor", "greeter"):
        make.label(make.version(make.prompt(name)))


@pytest.fixture
def waiter(transactional_db: None, get: Get) -> Iterator[Waiter]:
    """Asks in a thread of its own, and returns once it waits. Afterwards nobody does, and nothing asks for them."""

    def ask(**query: Any) -> "Future[Any]":
        waiting_before = watch._waiting
        answer = start(lambda: get(**query))
        until(lambda: watch._waiting > waiting_before)
        return answer

    yield ask
    until(lambda: not watchers())


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "event-watch"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sequences(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [item["sequence"] for item in answer.json()["items"]]


def happen() -> None:
    with transaction.atomic():
        events.record(type="label.moved", prompt="order-extractor", data={})


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get__without_after__all_from_the_oldest_as_their_webhooks_tell_them(get: Get) -> None:
    answer = get()

    body = answer.json()
    assert sequences(answer) == [1, 2, 3, 4]
    assert (body["next"], body["last"]) == (None, 4)
    assert body["items"][1] == {
        "id": Event.objects.get(sequence=2).id,
        "sequence": 2,
        "type": "label.moved",
        "timestamp": body["items"][1]["timestamp"],
        "prompt": "order-extractor",
        "data": Event.objects.get(sequence=2).data,
    }
    assert body["items"][1]["timestamp"].endswith("Z")


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get__page_by_page__each_once(get: Get) -> None:
    first = get(limit=3)
    second = get(after=first.json()["next"], limit=3)

    assert (sequences(first), first.json()["next"], first.json()["last"]) == ([1, 2, 3], 3, 3)
    assert (sequences(second), second.json()["next"], second.json()["last"]) == ([4], None, 4)
    assert get(after=4).json() == {"items": [], "next": None, "last": 4}


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get__filtered__last_is_past_what_was_left_out(get: Get) -> None:
    assert sequences(get(prompt="order-extractor")) == [1, 2]
    assert sequences(get(type="label.moved")) == [2, 4]
    assert get(prompt="order-extractor", type="label.moved").json()["last"] == 4
    assert get(type="label.moved", limit=1).json()["next"] == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reach", "seen"),
    [
        ({"prompt_prefix": "order"}, [1, 2, 3, 7]),
        ({"labels": ["staging"]}, [3, 7]),
        ({"labels": ["latest"]}, [1, 4, 7]),
        ({"prompt_prefix": "greeter", "labels": ["production"]}, [5]),
        ({}, [1, 2, 3, 4, 5, 6, 7]),
    ],
    ids=str,
)
def test_get__restricted_key__only_what_it_reaches(client: Client, reach: dict[str, Any], seen: list[int]) -> None:
    version = make.version(make.prompt())
    make.label(version)
    make.label(version, "staging")
    make.label(make.version(make.prompt("greeter")))
    with transaction.atomic():
        events.record(type="webhook.disabled", prompt="", data={})
    registry.archive_prompt(prompt=version.prompt, actor=make.ANNA)
    _, key = registry.issue_key(name="puller", scopes=["read"], **reach, actor=make.ANNA)
    headers = {"Authorization": f"Bearer {key}"}

    pulled = client.get("/api/v1/events", headers=headers)
    one_by_one = [
        event.sequence
        for event in Event.objects.order_by("sequence")
        if client.get(f"/api/v1/events/{event.id}", headers=headers).status_code == 200
    ]

    assert sequences(pulled) == one_by_one == seen


@pytest.mark.django_db
def test_get__nothing_has_happened__empty(get: Get) -> None:
    assert get().json() == {"items": [], "next": None, "last": 0}
    assert get(after=0).json() == {"items": [], "next": None, "last": 0}


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get__some_are_gone__says_so_and_where_to_go_on(get: Get) -> None:
    Event.objects.filter(sequence__lte=2).delete()

    refused = get(after=1)

    assert (refused.status_code, refused.json()["code"], refused.json()["oldest"]) == (410, "events_pruned", 3)
    assert "after=2" in refused.json()["detail"]
    assert sequences(get(after=2)) == [3, 4]
    assert sequences(get()) == [3, 4]


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get__all_are_gone__only_the_newest_number_goes_on(get: Get) -> None:
    Event.objects.all().delete()

    assert get(after=3).json()["oldest"] == 5
    assert get(after=4).json() == get().json() == {"items": [], "next": None, "last": 4}


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get__number_that_none_has__409_since_a_backup_was_restored(get: Get) -> None:
    answer = get(after=5, wait=30)

    assert (answer.status_code, answer.json()["code"], answer.json()["newest"]) == (409, "unknown_sequence", 4)


@pytest.mark.django_db
@pytest.mark.usefixtures("moved")
def test_get_one__by_its_id__or_404(get: Get) -> None:
    item = get(limit=1).json()["items"][0]

    assert get(f"/{item['id']}").json() == item
    assert get("/evt_0").json()["code"] == "unknown_event"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        {"after": "-1"},
        {"after": "x"},
        {"after": 2**63},
        {"limit": 0},
        {"limit": 501},
        {"wait": 31},
        {"type": "x"},
        {"a": 1},
    ],
    ids=str,
)
def test_get__wrong_parameter__422_that_names_it(get: Get, query: dict[str, Any]) -> None:
    answer = get(**query)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.django_db
def test_get__key_without_read__403(client: Client) -> None:
    _, key = registry.issue_key(name="app", scopes=["ingest"], actor=make.ANNA)

    assert client.get("/api/v1/events", headers={"Authorization": f"Bearer {key}"}).status_code == 403
    assert client.get("/api/v1/events").status_code == 401


def test_wait__event_comes__answered_with_it_long_before_the_time_is_over(waiter: Waiter) -> None:
    happen()
    answer = waiter(after=1, wait=30)

    happen()
    committed_at = time.monotonic()

    assert sequences(answer.result(30)) == [2]
    assert time.monotonic() - committed_at < 10  # some 0.15 s where nothing else runs


def test_wait__event_of_another_type__waits_on_and_its_number_is_seen(waiter: Waiter) -> None:
    answer = waiter(after=0, wait=1, type="rollout.rolled_back")

    happen()

    assert answer.result(30).json() == {"items": [], "next": None, "last": 1}


def test_wait__key_revoked_meanwhile__401(waiter: Waiter) -> None:
    answer = waiter(after=0, wait=30)

    registry.revoke_key(key=ApiKey.objects.get(), actor=make.ANNA)
    happen()

    assert answer.result(30).status_code == 401


def test_wait__server_stops__answered_empty_at_once(waiter: Waiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_closed", bytearray(1))
    answer = waiter(after=0, wait=30)

    waiting.close()

    assert answer.result(10).json()["items"] == []


def test_wait__many__one_thread_asks_the_database_for_all(waiter: Waiter) -> None:
    answers = [waiter(after=0, wait=30) for _ in range(5)]
    found = len(watchers())

    happen()

    assert [sequences(answer.result(30)) for answer in answers] == [[1]] * 5
    assert found == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_wait__thread_ended_by_a_fault__the_next_to_wait_starts_another(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(event_watch, "newest_sequence", lambda: {}["nothing"])
        first = waiter(after=0, wait=30)
        until(lambda: not watchers())
    second = waiter(after=0, wait=30)

    happen()

    assert [sequences(answer.result(10)) for answer in (first, second)] == [[1], [1]]


@pytest.mark.django_db
def test_wait__no_place__answered_empty_at_once(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting._places, "acquire", lambda blocking: False)
    begun_at = time.monotonic()

    answer = get(wait=30)

    assert answer.json()["items"] == []
    assert time.monotonic() - begun_at < 10
