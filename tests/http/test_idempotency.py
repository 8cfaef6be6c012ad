"""Idempotency-Key: what makes something makes it once, however often it is sent."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from common.clock import now
from observability import retention
from registry import services
from registry.models import ApiKey, Event, IdempotentAnswer, Prompt, PromptVersion
from registry.services import labels
from rollout.models import Rollout, WebhookEndpoint
from tests import make
from tests.parallel import at_once, start

pytestmark = pytest.mark.django_db

PROMPTS = "/api/v1/prompts"
VERSIONS = f"{PROMPTS}/order-extractor/versions"
VERSION = {"type": "text", "template": make.TEXT, "notes": "first"}
WEBHOOK = {"url": "https://hooks.example.org/serinus"}


@pytest.fixture
def api() -> Client:
    """A client that may do everything."""
    return Client(headers={"Authorization": f"Bearer {make.key('admin')}"})


def post(api: Client, path: str, body: Any, key: str | None = "k-1") -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post(path, body, content_type="application/json", headers=headers)


def test_post__sent_again__the_first_answer_and_one_effect(api: Client) -> None:
    make.prompt()

    first, again = (post(api, VERSIONS, VERSION) for _ in range(2))

    assert (again.status_code, again.content, again["Location"]) == (201, first.content, first["Location"])
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert (PromptVersion.objects.count(), Event.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("path", "body", "model", "made"),
    [
        (PROMPTS, {"name": "other"}, Prompt, 2),
        ("/api/v1/rollouts", {"prompt": "order-extractor", "canary": "1.1", "start": False}, Rollout, 1),
        (f"{PROMPTS}/order-extractor/draft/publish", {"revision": 1}, PromptVersion, 3),
    ],
)
def test_post__every_kind_of_thing__made_once(api: Client, path: str, body: Any, model: Any, made: int) -> None:
    prompt = make.prompt()
    make.label(make.version(prompt, "1.0"))
    make.version(prompt, "1.1", template=make.TEXT + " Be exact.")
    make.draft(prompt)

    answers = [post(api, path, body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert model.objects.count() == made


def test_post__body_written_otherwise__the_same_request(api: Client) -> None:
    post(api, PROMPTS, b'{"name": "a", "tags": []}')

    again = post(api, PROMPTS, b'{"tags":[],"name":"a"}', key='"k-1"')

    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")


@pytest.mark.parametrize(("path", "body"), [(PROMPTS, {"name": "b"}), (f"{PROMPTS}?x=1", {"name": "a"})])
def test_post__key_of_another_request__422(api: Client, path: str, body: Any) -> None:
    post(api, PROMPTS, {"name": "a"})

    refused = post(api, path, body)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert Prompt.objects.count() == 1


def test_post__the_key_of_another_api_key__another_request(api: Client) -> None:
    other = Client(headers={"Authorization": f"Bearer {make.key('write')}"})
    post(api, PROMPTS, {"name": "a"})

    assert post(other, PROMPTS, {"name": "b"}).status_code == 201


@pytest.mark.parametrize("key", ["", " ", '"', '"a"b"', "a b", "é", "k" * 256])
def test_post__malformed_key__400(api: Client, key: str) -> None:
    refused = post(api, PROMPTS, {"name": "a"}, key=key)

    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_idempotency_key")
    assert not Prompt.objects.exists()


def test_post__refused__judged_anew_when_it_is_sent_again(api: Client) -> None:
    refused = post(api, VERSIONS, VERSION)
    make.prompt()

    again = post(api, VERSIONS, VERSION)

    assert (refused.status_code, again.status_code) == (404, 201)
    assert "Idempotency-Replayed" not in again


def test_post__too_deep_for_a_fingerprint__refused(api: Client) -> None:
    depth = 1_000
    body = '{"name": "a", "tags": ' + "[" * depth + "]" * depth + "}"

    assert post(api, PROMPTS, body.encode()).status_code in {400, 422}


@pytest.mark.parametrize(
    ("path", "body", "secret", "model"),
    [
        ("/api/v1/webhooks", WEBHOOK, "secret", WebhookEndpoint),
        ("/api/v1/keys", {"name": "checkout", "scopes": ["read"]}, "key", ApiKey),
    ],
)
def test_post__answer_with_a_secret__not_kept_and_not_shown_again(
    api: Client, path: str, body: Any, secret: str, model: Any
) -> None:
    before = model.objects.count()
    made = post(api, path, body).json()

    again = post(api, path, body)

    assert (again.status_code, again.json()["code"]) == (409, "secret_not_shown_again")
    assert again.json()["id"] == made["id"]
    assert made[secret] not in IdempotentAnswer.objects.get().body
    assert model.objects.count() == before + 1


def test_post__a_day_later__a_new_request(api: Client) -> None:
    first = post(api, PROMPTS, {"name": "a"})
    with time_machine.travel(now() + timedelta(hours=25), tick=False):
        later = post(api, PROMPTS, {"name": "b"})
        again = post(api, PROMPTS, {"name": "b"})

    assert [first.status_code, later.status_code, again.status_code] == [201, 201, 201]
    assert again["Idempotency-Replayed"] == "true"


def test_prune__answers_of_a_day_ago__gone(api: Client) -> None:
    post(api, PROMPTS, {"name": "a"})
    with time_machine.travel(now() + timedelta(hours=23), tick=False):
        post(api, PROMPTS, {"name": "b"}, key="k-2")
    with time_machine.travel(now() + timedelta(hours=25), tick=False):
        deleted, _ = retention.prune()

    assert deleted["answers to repeat"] == 1
    assert IdempotentAnswer.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_post__the_effect_fails_half_way__neither_it_nor_an_answer_is_left(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.prompt()
    with monkeypatch.context() as broken:
        broken.setattr(labels, "_point", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            post(api, VERSIONS, VERSION)
    left = PromptVersion.objects.count(), IdempotentAnswer.objects.count()

    again = post(api, VERSIONS, VERSION)

    assert left == (0, 0)
    assert (again.status_code, "Idempotency-Replayed" in again) == (201, False)


@pytest.mark.django_db(transaction=True)
def test_post__eight_at_once_with_one_key__one_effect(api: Client) -> None:
    make.prompt()

    answers = at_once(*[lambda: post(api, VERSIONS, VERSION)] * 8)

    by_status = {answer.status_code for answer in answers}
    assert (PromptVersion.objects.count(), IdempotentAnswer.objects.count()) == (1, 1)
    assert by_status <= {201, 409}
    assert sum("Idempotency-Replayed" not in answer for answer in answers if answer.status_code == 201) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"request_in_progress"}
    assert post(api, VERSIONS, VERSION)["Idempotency-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_post__while_the_first_is_being_answered__told_so_or_made_to_wait(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    create = services.create_prompt

    def slowly(**fields: Any) -> Any:
        begun.set()
        assert may_end.wait(timeout=30)
        return create(**fields)

    monkeypatch.setattr(services, "create_prompt", slowly)
    first = start(lambda: post(api, PROMPTS, {"name": "a"}))
    assert begun.wait(timeout=30)
    second = start(lambda: post(api, PROMPTS, {"name": "a"}))

    if connection.vendor == "postgresql":
        told = second.result(timeout=30)
        assert (told.status_code, told.json()["code"]) == (409, "request_in_progress")
    may_end.set()

    assert first.result(timeout=30).status_code == 201
    if connection.vendor == "sqlite":
        assert second.result(timeout=30)["Idempotency-Replayed"] == "true"
