"""The draft over REST: read, saved from the revision that was read, published."""

from typing import Any

import pytest
from django.test import Client

from registry.models import Draft, PromptVersion
from tests import make

pytestmark = pytest.mark.django_db

DRAFT = "/api/v1/prompts/order-extractor/draft"
TEXT = {"type": "text", "template": make.TEXT, "notes": "as discussed"}


@pytest.fixture
def api() -> Client:
    """A client that may write."""
    return Client(headers={"Authorization": f"Bearer {make.key('write')}"})


def put(api: Client, body: Any, **headers: str) -> Any:
    return api.put(DRAFT, body, content_type="application/json", headers=headers)


def publish(api: Client, body: Any, **headers: str) -> Any:
    return api.post(f"{DRAFT}/publish", body, content_type="application/json", headers=headers)


def test_draft__saved_and_read__with_its_revision_as_etag(api: Client) -> None:
    make.prompt()

    first = put(api, TEXT, **{"If-None-Match": "*"})
    second = put(api, TEXT | {"template": "{{ unfinished", "notes": ""}, **{"If-Match": first["ETag"]})

    read = api.get(DRAFT)
    assert (first.status_code, first["ETag"]) == (200, '"1"')
    assert (read["ETag"], read.json()) == ('"2"', second.json())
    assert second.json() == {
        "type": "text",
        "template": "{{ unfinished",
        "config": {},
        "input_schema": None,
        "response_schema": None,
        "notes": "",
        "revision": 2,
        "updated_at": second.json()["updated_at"],
        "updated_by": "key:app",
    }


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"revision": 1}, {}),
        ({}, {"If-Match": '"1"'}),
        ({}, {"If-Match": 'W/"1"'}),
        ({"revision": None}, {}),
        ({}, {"If-None-Match": "*"}),
    ],
)
def test_put__from_a_revision_that_is_over__409_with_both_texts(api: Client, body: Any, headers: Any) -> None:
    prompt = make.prompt()
    make.draft(prompt, "The first")
    make.draft(prompt, "The stored one", revision=1)

    refused = put(api, TEXT | body, **headers)

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "stale_draft")
    assert (problem["yours"]["template"], problem["yours"]["notes"]) == (make.TEXT, "as discussed")
    assert (problem["stored"]["template"], problem["stored"]["revision"]) == ("The stored one", 2)
    assert Draft.objects.get().template == "The stored one"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({}, {}, 428, "precondition_required"),
        ({}, {"If-Match": "*"}, 428, "precondition_required"),
        ({}, {"If-Match": '"one"'}, 400, "malformed_if_match"),
        ({}, {"If-Match": '"1", "2"'}, 400, "malformed_if_match"),
        ({}, {"If-Match": '"' + "9" * 5000 + '"'}, 400, "malformed_if_match"),
        ({"revision": 1}, {"If-Match": '"one"'}, 400, "malformed_if_match"),
        ({"revision": 1}, {"If-Match": '"2"'}, 400, "revisions_differ"),
        ({"revision": 0}, {}, 422, "invalid"),
        ({"revision": "newest"}, {}, 422, "invalid"),
    ],
)
def test_put_and_publish__without_a_usable_revision__refused(
    api: Client, body: Any, headers: Any, status: int, code: str
) -> None:
    make.draft(make.prompt())

    for refused in (put(api, TEXT | body, **headers), publish(api, body, **headers)):
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert Draft.objects.get().revision == 1


def test_put__none_in_the_body_and_one_in_the_header__refused(api: Client) -> None:
    make.draft(make.prompt())

    refused = put(api, TEXT | {"revision": None}, **{"If-Match": '"1"'})

    assert (refused.status_code, refused.json()["code"]) == (400, "revisions_differ")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (TEXT | {"type": "poem"}, "type"),
        (TEXT | {"config": {"a": "\0"}}, "config.a"),
        (TEXT | {"author": "me"}, "author"),
        ({"type": "text"}, "template"),
    ],
)
def test_put__what_no_draft_can_hold__422_names_the_field(api: Client, body: Any, field: str) -> None:
    make.prompt()

    refused = put(api, body, **{"If-None-Match": "*"})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert not Draft.objects.exists()


def test_publish__the_revision_that_was_read__a_version_and_the_text_stays(api: Client) -> None:
    make.draft(make.prompt())

    published = publish(api, {"version": "2.3"}, **{"If-Match": '"1"'})

    assert (published.status_code, published["Location"]) == (201, "/api/v1/prompts/order-extractor/versions/v2.3")
    assert (published.json()["ref"], published.json()["bump"]) == ("order-extractor@v2.3", None)
    assert PromptVersion.objects.get().notes == "as discussed"
    assert (api.get(DRAFT).json()["template"], api.get(DRAFT)["ETag"]) == (make.TEXT, '"2"')


def test_publish__another_saved_meanwhile__409_and_nothing_is_published(api: Client) -> None:
    prompt = make.prompt()
    make.draft(prompt)
    make.draft(prompt, "Nobody has seen this", revision=1)

    refused = publish(api, {"revision": 1})

    assert (refused.status_code, refused.json()["code"]) == (409, "stale_draft")
    assert refused.json()["stored"]["template"] == "Nobody has seen this"
    assert not PromptVersion.objects.exists()


def test_publish__where_there_is_none_yet__428(api: Client) -> None:
    make.draft(make.prompt())

    assert publish(api, {}, **{"If-None-Match": "*"}).status_code == 428


def test_draft__where_there_is_none__404(api: Client) -> None:
    make.prompt()

    for answer in (api.get(DRAFT), publish(api, {"revision": 1})):
        assert (answer.status_code, answer.json()["code"]) == (404, "no_draft")
