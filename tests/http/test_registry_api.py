from typing import Any

import pytest
import time_machine
from django.test import Client

from registry import services
from registry.models import AuditEntry
from tests import make

pytestmark = pytest.mark.django_db

PROMPTS = "/api/v1/prompts"
PROMPT = f"{PROMPTS}/order-extractor"
VERSION = {"type": "text", "template": make.TEXT, "notes": "first"}


@pytest.fixture
def api() -> Client:
    """A client that may write."""
    return Client(headers={"Authorization": f"Bearer {make.key('write')}"})


def post(api: Client, path: str, body: Any) -> Any:
    return api.post(path, body, content_type="application/json")


def put(api: Client, path: str, body: Any) -> Any:
    return api.put(path, body, content_type="application/json")


def test_prompts__made_read_and_listed(api: Client) -> None:
    made = post(api, PROMPTS, {"name": "order-extractor", "description": "Reads orders", "tags": ["orders"]})

    prompt = made.json()
    assert (made.status_code, made["Location"]) == (201, PROMPT)
    assert prompt["created_at"].endswith("Z")
    assert prompt == {
        "name": "order-extractor",
        "description": "Reads orders",
        "tags": ["orders"],
        "labels": {},
        "created_at": prompt["created_at"],
        "created_by": "key:app",
        "archived_at": None,
    }
    assert api.get(PROMPT).json() == prompt
    assert api.get(PROMPTS).json() == {"items": [prompt], "next": None}


def test_prompts__listed_newest_first_page_by_page_in_bounded_queries(
    api: Client, django_assert_max_num_queries: Any
) -> None:
    for name in ("a", "b", "c"):
        prompt = make.prompt(name)
        make.label(make.version(prompt))

    with django_assert_max_num_queries(4):  # the key, the prompts, their labels, the labels' versions
        page = api.get(PROMPTS, {"limit": 2}).json()
    rest = api.get(PROMPTS, {"limit": 2, "cursor": page["next"]}).json()

    assert [item["name"] for item in page["items"]] == ["c", "b"]
    assert page["items"][0]["labels"] == {"latest": "v1.0", "production": "v1.0"}
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["a"], None)


def test_versions__published_and_read_with_the_fields_of_serving(api: Client) -> None:
    make.prompt()
    body = VERSION | {
        "config": {"model": "gpt-4o-mini"},
        "input_schema": {"properties": {"order_text": {"type": "string"}}},
        "response_schema": {"type": "object"},
    }

    published = post(api, f"{PROMPT}/versions", body)
    version = api.get(f"{PROMPT}/versions/1.0").json()

    assert (published.status_code, published["Location"]) == (201, f"{PROMPT}/versions/v1.0")
    assert published.json() == {
        "version": "v1.0",
        "ordinal": 1,
        "ref": "order-extractor@v1.0",
        "sha256": version["sha256"],
        "bump": None,
        "contract_changes": [],
    }
    assert version == body | {
        "name": "order-extractor",
        "version": "v1.0",
        "ordinal": 1,
        "ref": "order-extractor@v1.0",
        "variables": ["order_text"],
        "sha256": version["sha256"],
        "notes": "first",
        "author": "key:app",
        "published_at": version["published_at"],
    }
    assert api.get(f"{PROMPT}/versions/1").json() == version
    assert api.get(f"{PROMPT}/versions").json() == {"items": [version], "next": None}


def test_versions__chat__comes_back_as_it_was_sent(api: Client) -> None:
    make.prompt()
    template = [{"role": "system", "content": "Hi {{ name }}"}, {"type": "placeholder", "name": "history"}]

    post(api, f"{PROMPT}/versions", {"type": "chat", "template": template, "notes": "first"})

    version = api.get(f"{PROMPT}/versions/1").json()
    assert (version["type"], version["template"], version["variables"]) == ("chat", template, ["name", "history"])


def test_versions__next_one__tells_bump_and_changes(api: Client) -> None:
    make.version(make.prompt(), "2.2")

    published = post(api, f"{PROMPT}/versions", VERSION | {"template": make.TEXT + " {{ shop }}"}).json()

    assert (published["version"], published["ordinal"], published["bump"]) == ("v3.0", 2, "major")
    assert published["contract_changes"] == [
        {"code": "variable_added", "bump": "major", "detail": "the required variable shop was added"},
        {"code": "template_changed", "bump": "minor", "detail": "the template's text changed"},
    ]


def test_versions__too_small_a_bump__problem_with_the_reasons(api: Client) -> None:
    make.version(make.prompt(), "2.2")

    refused = post(api, f"{PROMPT}/versions", VERSION | {"template": "No variable", "bump": "minor"})

    problem = refused.json()
    assert (refused.status_code, refused["Content-Type"]) == (422, "application/problem+json")
    assert (problem["code"], problem["smallest_bump"], problem["base"]) == ("bump_too_small", "major", "v2.2")
    assert problem["errors"] == [
        {"field": "bump", "code": "variable_removed", "message": "the required variable order_text was removed"}
    ]


@pytest.mark.parametrize(
    ("body", "status", "code", "fields"),
    [
        (VERSION | {"version": "2.2"}, 409, "version_exists", []),
        (VERSION | {"version": "2.3", "bump": "minor"}, 422, "invalid", ["version"]),
        (VERSION | {"bump": "huge"}, 422, "invalid", ["bump"]),
        (VERSION | {"version": "3"}, 422, "invalid", ["version"]),
        (VERSION | {"notes": ""}, 422, "invalid", ["notes"]),
        (VERSION | {"type": "poem"}, 422, "invalid", ["type"]),
        (VERSION | {"template": "As {{"}, 422, "invalid", ["template"]),
        (VERSION | {"template": None}, 422, "invalid", ["template"]),
        (VERSION | {"config": "gpt"}, 422, "invalid", ["config"]),
        (VERSION | {"config": {"a": "\0"}}, 422, "invalid", ["config.a"]),
        (VERSION | {"response_schema": {"type": "nonsense"}}, 422, "invalid", ["response_schema.type"]),
        (VERSION | {"author": "me"}, 422, "invalid", ["author"]),
        ({}, 422, "invalid", ["type", "template", "notes"]),
        ([], 422, "invalid", [""]),
        (b"{", 400, "malformed_json", []),
        (b'{"config": NaN}', 400, "malformed_json", []),
        (b'{"notes": "\\ud800", "type": "text", "template": "a"}', 422, "invalid", ["notes"]),
        (b'{"notes": "a", "type": "text", "template": "\\ud800"}', 422, "invalid", ["template"]),
        (b'{"notes": "a", "type": "text", "template": "a", "config": {"\\ud800": 1}}', 422, "invalid", ["config"]),
    ],
)
def test_versions__wrong_request__problem_names_the_field(
    api: Client, body: Any, status: int, code: str, fields: list[str]
) -> None:
    make.version(make.prompt(), "2.2")

    refused = post(api, f"{PROMPT}/versions", body)

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (status, code)
    assert [error["field"] for error in problem["errors"]] == fields


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_versions__endless_nesting__refused(api: Client, depth: int) -> None:
    make.prompt()
    body = '{"type": "text", "template": "a", "notes": "a", "config": {"a": ' + "[" * depth + "]" * depth + "}}"

    refused = post(api, f"{PROMPT}/versions", body.encode())

    assert refused.status_code in {400, 422}


def test_versions__endless_body__refused(api: Client, settings: Any) -> None:
    make.prompt()
    settings.MAX_BODY_BYTES = 1024

    refused = post(api, f"{PROMPT}/versions", VERSION | {"template": "a" * 1024})

    assert (refused.status_code, refused["Content-Type"]) == (413, "application/problem+json")


def test_diff__unified_of_template_and_config(api: Client) -> None:
    prompt = make.prompt()
    make.version(prompt, "2.2", config={"temperature": 0})
    make.version(prompt, "2.3", template=make.TEXT + "\nBe exact.", config={"temperature": 1})

    diff = api.get(f"{PROMPT}/diff", {"from": "2.2", "to": "2"}).json()

    assert (diff["from"], diff["to"]) == ("v2.2", "v2.3")
    assert diff["template"].splitlines()[-2:] == [f" {make.TEXT}", "+Be exact."]
    assert diff["template"].startswith("--- order-extractor@v2.2\n+++ order-extractor@v2.3\n")
    assert '-    "temperature": 0' in diff["config"]


def test_diff__versions_not_given__problem_names_the_parameter(api: Client) -> None:
    make.prompt()

    refused = api.get(f"{PROMPT}/diff", {"from": ""})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "from")


def test_labels__moved_read_and_listed(api: Client) -> None:
    make.version(make.prompt(), "2.2")

    moved = put(api, f"{PROMPT}/labels/production", {"version": "2.2", "reason": "go"})

    label = moved.json()
    assert (moved.status_code, label) == (
        200,
        {
            "prompt": "order-extractor",
            "label": "production",
            "version": "v2.2",
            "ordinal": 1,
            "ref": "order-extractor@v2.2",
            "rollout": None,
            "updated_at": label["updated_at"],
        },
    )
    assert api.get(f"{PROMPT}/labels/production").json() == label
    assert [item["label"] for item in api.get(f"{PROMPT}/labels").json()["items"]] == ["production", "latest"]
    assert put(api, f"{PROMPT}/labels/production", {"version": "2.2", "reason": "again"}).json() == label


@pytest.mark.parametrize(
    ("label", "body", "status", "code"),
    [
        ("held", {"version": "2.2", "reason": "go"}, 409, "rollout_active"),
        ("staging", {"version": "9.9", "reason": "go"}, 404, "unknown_version"),
        ("staging", {"version": "2.2"}, 422, "invalid"),
        ("staging", {"version": "2.2", "reason": " "}, 422, "invalid"),
        ("latest", {"version": "2.2", "reason": "go"}, 422, "invalid"),
        ("UPPER", {"version": "2.2", "reason": "go"}, 422, "invalid"),
    ],
)
def test_labels__move_refused(api: Client, label: str, body: Any, status: int, code: str) -> None:
    held = make.label(make.version(make.prompt(), "2.2"), "held")
    services.hold_label(label_id=held.pk, rollout_id="rol_1")

    refused = put(api, f"{PROMPT}/labels/{label}", body)

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (status, code)
    assert problem.get("rollout") == ("rol_1" if label == "held" else None)


def test_history__newest_first_and_what_was_in_force_at_a_moment(api: Client) -> None:
    prompt = make.prompt()
    first, second = make.version(prompt, "2.2"), make.version(prompt, "2.3")
    for minute, version in ((0, first), (10, second)):
        with time_machine.travel(f"2026-01-31T14:{minute:02}:00Z", tick=False):
            make.label(version)
    path = f"{PROMPT}/labels/production/history"

    moves = api.get(path).json()["items"]

    assert moves == [
        {
            "from": "v2.2",
            "to": "v2.3",
            "reason": "it is ready",
            "actor": "user:anna",
            "moved_at": "2026-01-31T14:10:00Z",
        },
        {"from": None, "to": "v2.2", "reason": "it is ready", "actor": "user:anna", "moved_at": "2026-01-31T14:00:00Z"},
    ]
    in_force = {
        at: api.get(path, {"at": at}).json() for at in ("2026-01-31T14:05:00Z", "2026-01-31T14:10", "2025-01-01")
    }
    assert in_force == {
        "2026-01-31T14:05:00Z": {"items": moves[1:], "next": None},
        "2026-01-31T14:10": {"items": moves[:1], "next": None},
        "2025-01-01": {"items": [], "next": None},
    }


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01T00:00:00Z", ""])
def test_history__no_moment__problem_says_how_to_write_one(api: Client, at: str) -> None:
    make.label(make.version(make.prompt()))

    refused = api.get(f"{PROMPT}/labels/production/history", {"at": at})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "at")
    assert "2026-01-31T14:05:00Z" in refused.json()["detail"]


def test_render__label_or_version_with_defaults(api: Client) -> None:
    prompt = make.prompt()
    schema = {"properties": {"name": {}, "tone": {"default": "polite"}}}
    make.label(make.version(prompt, template="Dear {{ name }}"))
    make.version(prompt, template="Dear {{ name }}, be {{ tone }}", input_schema=schema)

    by_label = post(api, f"{PROMPT}/render", {"variables": {"name": "Ada"}})
    by_version = post(api, f"{PROMPT}/render", {"variables": {"name": "Ada", "other": 1}, "version": "2"})

    assert by_label.json() == {
        "version": "v1.0",
        "ref": "order-extractor@v1.0",
        "type": "text",
        "rendered": "Dear Ada",
    }
    assert by_version.json()["rendered"] == "Dear Ada, be polite"


def test_render__large_value_in_very_many_places__refused_with_the_limit(api: Client) -> None:
    make.label(make.version(make.prompt(), template="{{ x }}" * 10_000))

    refused = post(api, f"{PROMPT}/render", {"variables": {"x": "y" * 2000}})
    fitting = post(api, f"{PROMPT}/render", {"variables": {"x": "y"}})

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"], error["code"]) == (422, "variables", "too_long")
    assert error["message"] == "the rendered text would have 20000000 characters, and 10000000 are the most"
    assert fitting.json()["rendered"] == "y" * 10_000


def test_render__missing_variables__problem_names_them(api: Client) -> None:
    make.label(make.version(make.prompt()))

    refused = post(api, f"{PROMPT}/render", {"variables": {}})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "variables.order_text")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{PROMPTS}/other", "unknown_prompt"),
        (f"{PROMPTS}/other/versions", "unknown_prompt"),
        (f"{PROMPT}/versions/9.9", "unknown_version"),
        (f"{PROMPT}/versions/newest", "unknown_version"),
        (f"{PROMPT}/diff?from=1&to=9", "unknown_version"),
        (f"{PROMPT}/labels/other", "unknown_label"),
        (f"{PROMPT}/labels/other/history", "unknown_label"),
        (f"{PROMPT}/nothing", "unknown_address"),
    ],
)
def test_unknown__not_found_and_says_what(api: Client, path: str, code: str) -> None:
    make.version(make.prompt())

    answer = api.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_archived__gone_and_no_longer_listed(api: Client) -> None:
    services.archive_prompt(prompt=make.prompt(), actor=make.ANNA)

    assert api.get(PROMPT).status_code == 410
    assert post(api, f"{PROMPT}/versions", VERSION).status_code == 410
    assert api.get(PROMPTS).json()["items"] == []


def test_scopes__read_may_read_and_preview_only() -> None:
    make.label(make.version(make.prompt()))
    reader = Client(headers={"Authorization": f"Bearer {make.key('read')}"})
    ingester = Client(headers={"Authorization": f"Bearer {make.key('ingest')}"})

    assert reader.get(PROMPT).status_code == 200
    assert post(reader, f"{PROMPT}/render", {"variables": {"order_text": "1 pie"}}).status_code == 200
    assert post(reader, PROMPTS, {"name": "other"}).json()["code"] == "wrong_scope"
    assert post(reader, f"{PROMPT}/versions", VERSION).status_code == 403
    assert put(reader, f"{PROMPT}/labels/production", {"version": "1", "reason": "go"}).status_code == 403
    assert ingester.get(PROMPTS).status_code == 403
    assert Client().get(PROMPTS).status_code == 401


def patch(api: Client, body: Any) -> Any:
    return api.patch(PROMPT, body, content_type="application/json")


def test_prompt__changed__only_what_is_named(api: Client) -> None:
    post(api, PROMPTS, {"name": "order-extractor", "description": "Reads orders", "tags": ["orders"]})

    tagged = patch(api, {"tags": []})
    described = patch(api, {"description": ""})

    assert (tagged.status_code, tagged.json()["description"], tagged.json()["tags"]) == (200, "Reads orders", [])
    assert (described.json(), described.json()["description"]) == (api.get(PROMPT).json(), "")


@pytest.mark.parametrize("body", [{}, {"description": "Reads orders"}, {"tags": ["orders"]}])
def test_prompt__changed_to_what_it_is__no_entry(api: Client, body: Any) -> None:
    post(api, PROMPTS, {"name": "order-extractor", "description": "Reads orders", "tags": ["orders"]})

    assert patch(api, body).status_code == 200
    assert not AuditEntry.objects.filter(action="prompt.changed").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": "other"}, "name"), ({"tags": "orders"}, "tags"), ({"description": None}, "description")],
)
def test_prompt__change_refused__names_the_field(api: Client, body: Any, field: str) -> None:
    make.prompt()

    refused = patch(api, body)

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


def test_archive__with_a_reason__gone_until_it_is_taken_back(api: Client) -> None:
    make.label(make.version(make.prompt()))

    archived = post(api, f"{PROMPT}/archive", {"reason": "replaced by another"})
    meanwhile = api.get(PROMPT)
    again = post(api, f"{PROMPT}/archive", {"reason": "replaced by another"})
    back = post(api, f"{PROMPT}/unarchive", {"reason": "needed after all"})

    assert (archived.status_code, archived.json()["archived_at"][-1]) == (200, "Z")
    assert [meanwhile.status_code, again.status_code] == [410, 410]
    assert (back.status_code, back.json()) == (200, api.get(PROMPT).json())
    assert back.json()["archived_at"] is None


@pytest.mark.parametrize("action", ["archive", "unarchive"])
def test_archive__without_a_reason__refused(api: Client, action: str) -> None:
    make.prompt()

    refused = post(api, f"{PROMPT}/{action}", {})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "reason")


def test_archive__while_a_rollout_holds_a_label__409(api: Client) -> None:
    held = make.label(make.version(make.prompt()))
    services.hold_label(label_id=held.pk, rollout_id="rol_1")

    refused = post(api, f"{PROMPT}/archive", {"reason": "old"})

    assert (refused.status_code, refused.json()["rollout"]) == (409, "rol_1")


def move(api: Client, version: str, if_match: str, label: str = "production") -> Any:
    body = {"version": version, "reason": "go"}
    headers = {"If-Match": if_match}
    return api.put(f"{PROMPT}/labels/{label}", body, content_type="application/json", headers=headers)


def test_labels__moved_from_the_revision_that_was_read(api: Client) -> None:
    prompt = make.prompt()
    make.label(make.version(prompt, "2.2"))
    make.version(prompt, "2.3")
    read = api.get(f"{PROMPT}/labels/production")

    moved = move(api, "2.3", read["ETag"])
    late = move(api, "2.2", read["ETag"])

    assert (read["ETag"], moved.status_code, moved["ETag"]) == ('"1"', 200, '"2"')
    assert (late.status_code, late.json()["code"]) == (409, "stale_label")
    assert (late.json()["version"], late.json()["revision"]) == ("v2.3", 2)
    assert move(api, "2.3", '"1"').status_code == 409  # where it points already, but that was not seen


def test_labels__expected_where_there_is_none__409_and_none_is_made(api: Client) -> None:
    make.version(make.prompt(), "2.2")

    refused = move(api, "2.2", '"1"', label="staging")

    assert (refused.status_code, refused.json()["code"], refused.json()["version"]) == (409, "stale_label", None)
    assert api.get(f"{PROMPT}/labels/staging").status_code == 404
    assert move(api, "2.2", '"x"').json()["code"] == "malformed_if_match"
