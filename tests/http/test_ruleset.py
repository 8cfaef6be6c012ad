"""`GET /ruleset`: everything that a client needs to assign by itself, what has changed since, and waiting for it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Event, Thread
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from registry.models import ApiKey, Prompt
from registry.services import archive_prompt, revoke_key
from rollout.serving import snapshot_cache, waiting
from rollout.serving.responses import Response
from rollout.serving.ruleset_endpoint import get_ruleset
from tests import make
from tests.served import SALT, change, make_prompt, make_rollout, point

pytestmark = pytest.mark.django_db

Client = Callable[..., Response]


@pytest.fixture
def prompt() -> Prompt:
    return make_prompt()


@pytest.fixture
def get(prompt: Prompt) -> Client:
    """A client with a key; `etag` is sent as If-None-Match."""
    authorization = f"Bearer {make.key('read')}"
    snapshot_cache.cache.refresh()

    def get(query: str = "", *, etag: str = "", **request: str) -> Response:
        given = {"method": "GET", "authorization": authorization, "if_none_match": etag} | request
        return get_ruleset(query=query, **given)

    return get


def body(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


def header(response: Response, name: str) -> str:
    return dict(response.headers).get(name, "")


def digest_of(prompts: dict[str, Any]) -> str:
    """As docs/reference/ruleset.md has it."""
    return sha256("".join(f"{name} {prompts[name]['digest']}\n" for name in sorted(prompts)).encode()).hexdigest()[:20]


# What is answered


def test_complete__labels_rollouts_and_the_versions_they_serve(prompt: Prompt, get: Client) -> None:
    rollout = make_rollout(prompt, weight_bp=500)
    snapshot_cache.cache.refresh()

    response = get()

    found = body(response)
    rules = found["prompts"]["order-extractor"]
    assert response.status == 200
    assert found["since"] is None
    assert rules["archived"] is False
    assert rules["labels"] == {
        "production": {
            "version": "v2.2",
            "rollout": {
                "id": rollout.pk,
                "salt": SALT,
                "step": 0,
                "weight_bp": 500,
                "control": "v2.2",
                "canary": "v2.3",
            },
        },
        "latest": {"version": "v2.3", "rollout": None},
    }
    assert set(rules["versions"]) == {"v2.2", "v2.3"}
    assert rules["versions"]["v2.3"] == {
        "name": "order-extractor",
        "version": "v2.3",
        "ordinal": 2,
        "ref": "order-extractor@v2.3",
        "type": "text",
        "template": "Extract {{ order }}, 2.3",
        "variables": ["order"],
        "config": {"model": "gpt-4o-mini"},
        "input_schema": None,
        "response_schema": None,
        "sha256": rules["versions"]["v2.3"]["sha256"],
    }
    assert found["digest"] == digest_of(found["prompts"])
    assert header(response, "ETag") == f'"{found["digest"]}"'
    assert header(response, "Content-Type") == "application/json"


def test_labels__only_those_and_what_they_serve(prompt: Prompt, get: Client) -> None:
    make_prompt("other")
    snapshot_cache.cache.refresh()

    prompts = body(get("label=production"))["prompts"]

    assert {name: list(rules["labels"]) for name, rules in prompts.items()} == {
        "order-extractor": ["production"],
        "other": ["production"],
    }
    assert list(prompts["order-extractor"]["versions"]) == ["v2.2"]
    assert set(body(get("label=production&label=latest"))["prompts"]["other"]["labels"]) == {"production", "latest"}
    assert body(get("label=nobodys"))["prompts"]["other"]["labels"] == {}


def test_archived__said_without_labels(prompt: Prompt, get: Client) -> None:
    archive_prompt(prompt=prompt, actor=make.ANNA)
    snapshot_cache.cache.refresh()

    assert body(get())["prompts"]["order-extractor"]["archived"] is True


def test_since__only_what_changed_and_the_digest_of_all(prompt: Prompt, get: Client) -> None:
    make_prompt("other")
    snapshot_cache.cache.refresh()
    before = body(get())

    point(prompt, "production", "2.3")
    snapshot_cache.cache.refresh()
    changes = body(get(f"since={before['generation']}"))

    assert (changes["since"], list(changes["prompts"])) == (before["generation"], ["order-extractor"])
    assert changes["generation"] > before["generation"]
    assert changes["digest"] == digest_of({**before["prompts"], **changes["prompts"]}) == body(get())["digest"]


def test_since__a_generation_of_the_future__everything(get: Client) -> None:
    found = body(get("since=999999"))

    assert (found["since"], list(found["prompts"])) == (None, ["order-extractor"])


def test_digest__other_label_changed__the_same(prompt: Prompt, get: Client) -> None:
    before = body(get("label=production"))["digest"]

    point(prompt, "staging", "2.3")
    snapshot_cache.cache.refresh()

    assert body(get("label=production"))["digest"] == before
    assert body(get())["digest"] != before


def test_digest__any_rule_changes__another(prompt: Prompt, get: Client) -> None:
    rollout = make_rollout(prompt, weight_bp=500)
    digests = []
    for fields in ({"weight_bp": 501}, {"step": 1}, {"status": "paused"}, {"salt": "0" * 32}):
        change(rollout, **fields)
        snapshot_cache.cache.refresh()
        digests.append(body(get())["digest"])

    assert digests[1] == digests[2]  # a paused rollout goes on splitting
    assert len(set(digests)) == 3


def test_etag__same_content__304_without_body(get: Client) -> None:
    etag = header(get(), "ETag")

    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = get(etag=given)
        assert (response.status, response.body, header(response, "ETag")) == (304, b"", etag)
    assert get(etag='"other"').status == 200


def test_warm__no_sql(get: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert get("label=production&since=0").status == 200


def test_head__no_body(get: Client) -> None:
    response = get(method="HEAD")

    assert (response.status, response.body) == (200, b"")
    assert header(response, "Content-Length") == str(len(get().body))


@pytest.mark.parametrize(
    ("query", "request_values", "status", "code", "named"),
    [
        ("", {"authorization": ""}, 401, "missing_key", "Bearer"),
        ("", {"authorization": "Bearer ser_wrong"}, 401, "unknown_key", "key"),
        ("", {"method": "POST"}, 405, "method_not_allowed", "POST"),
        ("lable=production", {}, 400, "unknown_parameter", "lable"),
        ("since=1&since=2", {}, 400, "repeated_parameter", "since"),
        ("since=-1", {}, 422, "invalid", "since"),
        ("since=x", {}, 422, "invalid", "since"),
        ("since=" + "9" * 30, {}, 422, "invalid", "since"),
        ("wait=31", {}, 422, "invalid", "wait"),
        ("wait=1.5", {}, 422, "invalid", "wait"),
        ("wait=", {}, 422, "invalid", "wait"),
        ("label=%FF", {}, 400, "malformed_query", "UTF-8"),
    ],
)
def test_refusal__problem_document_that_names_it(
    get: Client, query: str, request_values: dict[str, str], status: int, code: str, named: str
) -> None:
    response = get(query, **request_values)

    assert (response.status, body(response)["code"]) == (status, code)
    assert named in body(response)["detail"]


def test_key_without_read__403(get: Client) -> None:
    ingester = f"Bearer {make.key('ingest')}"
    snapshot_cache.cache.refresh()

    assert get(authorization=ingester).status == 403


# Waiting


@contextmanager
def asking(get: Client, query: str, etag: str) -> Iterator[list[Response]]:
    """A client in a thread of its own that is waiting for its answer; afterwards it has one."""
    answers: list[Response] = []
    thread = Thread(target=lambda: answers.append(get(query, etag=etag)))
    begun = Event()
    wait_for_change = snapshot_cache.cache.wait_for_change
    snapshot_cache.cache.wait_for_change = lambda *given: begun.set() or wait_for_change(*given)  # type: ignore
    thread.start()
    assert begun.wait(10)
    try:
        yield answers
    finally:
        thread.join(10)
        assert not thread.is_alive()


def test_wait__change__answered_at_once_with_it(prompt: Prompt, get: Client) -> None:
    first = get()

    with asking(get, f"since={body(first)['generation']}&wait=30", header(first, "ETag")) as answers:
        assert answers == []
        point(prompt, "production", "2.3")
        snapshot_cache.cache.refresh()

    assert body(answers[0])["prompts"]["order-extractor"]["labels"]["production"]["version"] == "v2.3"


def test_wait__change_of_another_label__goes_on_waiting(prompt: Prompt, get: Client) -> None:
    first = get("label=production")

    with asking(get, "label=production&wait=30", header(first, "ETag")) as answers:
        point(prompt, "staging", "2.3")
        snapshot_cache.cache.refresh()
        assert answers == []
        point(prompt, "production", "2.3")
        snapshot_cache.cache.refresh()

    assert answers[0].status == 200


def test_wait__time_is_over__304(get: Client) -> None:
    assert get("wait=1", etag=header(get(), "ETag")).status == 304


def test_wait__another_tag__answered_at_once(get: Client) -> None:
    assert get("wait=30", etag='"other"').status == 200
    assert get("wait=30").status == 200


def test_wait__key_revoked_meanwhile__401(get: Client) -> None:
    with asking(get, "wait=30", header(get(), "ETag")) as answers:
        revoke_key(key=ApiKey.objects.get(), actor=make.ANNA)
        snapshot_cache.cache.refresh()

    assert answers[0].status == 401


def test_wait__no_room__304_at_once(get: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    etag = header(get(), "ETag")

    with asking(get, "wait=30", etag) as answers:
        for _ in range(waiting.MOST_WAITING - 1):
            assert waiting._places.acquire(blocking=False)
        try:
            assert get("wait=30", etag=etag).status == 304
        finally:
            waiting._places.release(waiting.MOST_WAITING - 1)
        assert answers == []
        make_prompt("another")
        snapshot_cache.cache.refresh()


def test_wait__web_server_stops__sent_away(get: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_closed", bytearray(1))
    etag = header(get(), "ETag")

    with asking(get, "wait=30", etag) as answers:
        waiting.close()
        snapshot_cache.cache._send_away()  # as the refresher does, which looks ten times a second

    assert answers[0].status == 304
    assert get("wait=30", etag=etag).status == 304  # and nobody waits from now on
