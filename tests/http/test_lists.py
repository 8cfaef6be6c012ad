"""Every list of the API is `{"items", "next"}` and read page by page, and says so when it is asked wrongly."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.generics import ListAPIView

from common.rest import CursorPages
from tests import make

pytestmark = pytest.mark.django_db

PROMPTS = "/api/v1/prompts"


@pytest.fixture
def api() -> Client:
    return Client(headers={"Authorization": f"Bearer {make.key('admin')}"})


def list_views(patterns: Any = None) -> Iterator[Any]:
    for found in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(found, URLResolver):
            yield from list_views(found.url_patterns)
        elif isinstance(found, URLPattern):
            view = getattr(found.callback, "view_class", None)
            if view is not None and issubclass(view, ListAPIView):
                yield view


def test_lists__every_one__has_cursors_and_a_largest_page() -> None:
    views = list(list_views())

    assert len(views) >= 10
    assert [view for view in views if not issubclass(view.pagination_class, CursorPages)] == []
    assert {view.pagination_class.max_page_size for view in views} == {500}


@pytest.mark.parametrize("path", [PROMPTS, "/api/v1/rollouts", "/api/v1/webhooks", "/api/v1/calls", "/api/v1/scores"])
@pytest.mark.parametrize("limit", ["x", "0", "-1", "501", "1.5", "", "٣", "9" * 5000])
def test_list__limit_that_is_none__400_says_which_are(api: Client, path: str, limit: str) -> None:
    refused = api.get(path, {"limit": limit})

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (400, "malformed_limit")
    assert [error["field"] for error in problem["errors"]] == ["limit"]
    assert "from 1 to 500" in problem["detail"]


@pytest.mark.parametrize("limit", ["1", "500"])
def test_list__limit_in_range__taken(api: Client, limit: str) -> None:
    assert api.get(PROMPTS, {"limit": limit}).status_code == 200


@pytest.mark.parametrize("path", [PROMPTS, f"{PROMPTS}/order-extractor/versions"])
def test_list__unknown_parameter__refused_by_name(api: Client, path: str) -> None:
    make.prompt()

    refused = api.get(path, {"tags": "orders"})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "tags")


def names(api: Client, **query: str) -> list[str]:
    return [item["name"] for item in api.get(PROMPTS, query).json()["items"]]


def test_prompts__filters__by_name_tag_and_archive(api: Client) -> None:
    for name, tags in [("orders", ["shop"]), ("order-mail", ["shop", "mail"]), ("greeter", ['a"b', "é%"])]:
        make.services.create_prompt(name=name, tags=tags, actor=make.ANNA)
    make.services.archive_prompt(prompt=make.prompt("old-orders"), actor=make.ANNA)

    assert names(api) == ["greeter", "order-mail", "orders"]
    assert names(api, name_contains="order") == ["order-mail", "orders"]
    assert names(api, name_contains="ORDER-") == ["order-mail"]  # the same on both databases
    assert names(api, name_contains="_") == names(api, name_contains="%") == []
    assert names(api, tag="shop") == ["order-mail", "orders"]
    assert names(api, tag="shop", name_contains="mail") == ["order-mail"]
    assert names(api, tag='a"b') == names(api, tag="é%") == ["greeter"]
    assert names(api, tag="sho") == []
    assert names(api, archived="true") == ["old-orders"]
    assert names(api, archived="false", name_contains="old") == []


def test_prompts__filtered__next_goes_on_with_the_filter(api: Client) -> None:
    for name in ("a-1", "b", "a-2"):
        make.prompt(name)

    page = api.get(PROMPTS, {"name_contains": "a-", "limit": "1"}).json()
    rest = api.get(PROMPTS, {"name_contains": "a-", "limit": "1", "cursor": page["next"]}).json()

    assert [item["name"] for item in page["items"] + rest["items"]] == ["a-2", "a-1"]
    assert rest["next"] is None


def test_versions__filters__by_content_author_and_time(api: Client) -> None:
    prompt = make.prompt()
    first, second = make.version(prompt), make.version(prompt, template=make.TEXT + " Be exact.")

    def found(**query: str) -> list[str]:
        answer = api.get(f"{PROMPTS}/order-extractor/versions", query).json()
        return [item["version"] for item in answer["items"]]

    assert found(sha256=first.sha256) == ["v1.0"]
    assert found(author="user:anna") == ["v1.1", "v1.0"]
    assert found(author="user:berta") == []
    assert found(since=second.published_at.isoformat()) == ["v1.1"]
