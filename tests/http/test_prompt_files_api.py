"""Prompts as files over REST: what one registry exports, another imports."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from registry import api_files
from registry.models import Event, Prompt, PromptVersion
from tests import make

pytestmark = pytest.mark.django_db

PROMPTS = "/api/v1/prompts"
PROMPT = f"{PROMPTS}/order-extractor"
IMPORT = f"{PROMPTS}/import"


@pytest.fixture
def api() -> Client:
    """A client that may write."""
    return Client(headers={"Authorization": f"Bearer {make.key('write')}"})


@pytest.fixture
def exported(api: Client) -> dict[str, Any]:
    """A prompt of two versions, the first in production."""
    prompt = make.prompt()
    make.label(make.version(prompt, "2.2", config={"model": "gpt-4o-mini"}))
    make.version(prompt, template=make.TEXT + " Be exact.")
    found: dict[str, Any] = api.get(f"{PROMPT}/export").json()
    return found


def bring_in(api: Client, data: Any, query: str = "", **options: Any) -> Any:
    return api.post(IMPORT + query, data, content_type="application/json", **options)


def test_export__all_versions_as_they_were_published_and_the_labels(exported: dict[str, Any]) -> None:
    first = exported["versions"][0]

    assert {name: exported[name] for name in ("format", "name", "description", "tags", "labels")} == {
        "format": "serinus-prompt-1",
        "name": "order-extractor",
        "description": "",
        "tags": [],
        "labels": {"production": "v2.2"},
    }
    assert [version["version"] for version in exported["versions"]] == ["v2.2", "v2.3"]
    assert first == {
        "version": "v2.2",
        "ordinal": 1,
        "notes": "as discussed",
        "type": "text",
        "template": make.TEXT,
        "config": {"model": "gpt-4o-mini"},
        "input_schema": None,
        "response_schema": None,
        "sha256": PromptVersion.objects.get(ordinal=1).sha256,
        "author": "user:anna",
        "published_at": first["published_at"],
    }


def test_import__under_another_name__all_is_there_but_labels_only_when_told(
    api: Client, exported: dict[str, Any]
) -> None:
    copy = exported | {"name": "copy"}

    first = bring_in(api, copy)
    moved = bring_in(api, copy, "?move_labels=true")
    again = bring_in(api, copy, "?move_labels=true")

    published = [{"version": "v2.2", "ordinal": 1}, {"version": "v2.3", "ordinal": 2}]
    assert (first.status_code, first.json()) == (
        200,
        {
            "prompt": "copy",
            "created": True,
            "changed": True,
            "versions": [version | {"outcome": "published"} for version in published],
            "labels": {"production": "left"},
            "differs": [],
        },
    )
    assert (moved.json()["changed"], moved.json()["labels"]) == (True, {"production": "moved"})
    assert again.json() == {
        "prompt": "copy",
        "created": False,
        "changed": False,
        "versions": [version | {"outcome": "unchanged"} for version in published],
        "labels": {"production": "unchanged"},
        "differs": [],
    }
    assert api.get(f"{PROMPTS}/copy/labels/production").json()["version"] == "v2.2"


def test_import__number_with_another_text__409_names_it(api: Client, exported: dict[str, Any]) -> None:
    other = exported["versions"][1] | {"template": make.TEXT + " Be quick."}
    del other["sha256"]
    events = Event.objects.count()

    refused = bring_in(api, exported | {"versions": [exported["versions"][0], other]})

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "version_differs")
    assert problem["errors"] == [
        {
            "field": "versions[1]",
            "code": "version_differs",
            "message": "order-extractor@v2.3 has another content here",
        }
    ]
    assert Event.objects.count() == events


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ([], 422, ""),
        ({"name": "order-extractor"}, 422, "format"),
        ({"format": "serinus-prompt-1", "name": "a"}, 422, "versions"),
        ({"format": "serinus-prompt-1", "name": "a", "versions": [{}]}, 422, "versions[0].notes"),
        (b"{", 400, None),
        (b'{"format": "serinus-prompt-1", "name": ' + b"[" * 300 + b"]" * 300 + b', "versions": []}', 422, "name"),
        (gzip.compress(b" " * 2**20), 413, None),
    ],
    ids=["array", "no format", "no versions", "no notes", "no JSON", "deep", "too large"],
)
def test_import__hostile__a_problem_with_the_path(
    api: Client, settings: Any, body: Any, status: int, field: str | None
) -> None:
    settings.MAX_DECOMPRESSED_BYTES = 2**16
    encoding = {"Content-Encoding": "gzip"} if isinstance(body, bytes) and body[:2] == b"\x1f\x8b" else {}

    refused = bring_in(api, body, headers=encoding)

    assert (refused.status_code, refused["Content-Type"]) == (status, "application/problem+json")
    assert refused.json()["errors"][:1] == [] if field is None else refused.json()["errors"][0]["field"] == field
    assert not Prompt.objects.exists()


def test_import__more_versions_than_a_request_should_publish__refused(
    api: Client, exported: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_files, "MOST_VERSIONS", 1)

    refused = bring_in(api, exported | {"name": "copy"})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "versions")
    assert "import_prompts" in refused.json()["detail"]


def test_import__query_that_is_none__refused_by_name(api: Client, exported: dict[str, Any]) -> None:
    for query, field in (("?move_label=true", "move_label"), ("?move_labels=perhaps", "move_labels")):
        refused = bring_in(api, exported, query)

        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


def test_import__a_prompt_of_that_name__read_and_changed_at_its_address(api: Client) -> None:
    unknown = api.get(IMPORT)
    make.prompt("import")

    changed = api.patch(IMPORT, {"tags": ["a"]}, content_type="application/json")

    assert (unknown.status_code, changed.status_code) == (404, 200)
    assert (api.get(IMPORT).json()["name"], api.get(IMPORT).json()["tags"]) == ("import", ["a"])
    assert json.loads(api.get(f"{IMPORT}/export").content)["name"] == "import"


def test_export_and_import__scopes__read_exports_and_write_imports(exported: dict[str, Any]) -> None:
    reader = Client(headers={"Authorization": f"Bearer {make.key('read')}"})

    assert reader.get(f"{PROMPT}/export").status_code == 200
    assert bring_in(reader, exported).status_code == 403
    assert Client().get(f"{PROMPT}/export").status_code == 401
