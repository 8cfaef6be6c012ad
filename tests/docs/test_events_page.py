"""docs/reference/events has a schema and an example of every type, and real events are as they say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from rest_framework.renderers import JSONRenderer

from registry.events import EVENT_TYPES, event_json
from registry.models import Event
from rollout.webhooks.fan_out import payload_of
from tests.acts import ACTS, LOOKS, Act

REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference"
PARTS = "rollout.json"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in (REFERENCE / "events").glob("*.json")}
KNOWN = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items())
TELLING = [*(act for act in ACTS if act.events and not act.name), *LOOKS]  # those with names the looks do as well


def validator(type_: str) -> Draft202012Validator:
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(SCHEMAS[f"{type_}.json"], registry=KNOWN, format_checker=checker)


def undescribed(value: Any, schema: Any, path: str = "") -> list[str]:
    """Paths of members that the schema says nothing of, as far as it names members at all."""
    if reference := schema.get("$ref"):
        file, _, part = reference.partition("#/$defs/")
        return undescribed(value, SCHEMAS[file or PARTS]["$defs"][part], path)
    if isinstance(value, list):
        return [found for item in value for found in undescribed(item, schema.get("items", {}), f"{path}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = [f"{path}.{name}" for name in value if name not in schema["properties"]]
    for name, inner in schema["properties"].items():
        found += undescribed(value[name], inner, f"{path}.{name}") if name in value else []
    return found


def test_files__one_for_each_type__legal_schemas() -> None:
    assert set(SCHEMAS) == {f"{type_}.json" for type_ in EVENT_TYPES} | {PARTS}
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_example__every_type__follows_its_schema_and_misses_nothing_it_requires(type_: str) -> None:
    schema = SCHEMAS[f"{type_}.json"]
    (example,) = schema["examples"]

    assert list(validator(type_).iter_errors(example)) == []
    assert undescribed(example, schema) == []
    for name in schema["properties"]["data"]["required"]:
        data = {key: value for key, value in example["data"].items() if key != name}
        assert not validator(type_).is_valid(example | {"data": data})


def test_page__names_each_type_with_what_its_schema_says() -> None:
    page = (REFERENCE / "events.md").read_text()

    rows = re.findall(r"^\| \[`(.+?)`\]\(events/(.+?)\) \| (.+) \|$", page, re.MULTILINE)

    assert rows == [(type_, f"{type_}.json", SCHEMAS[f"{type_}.json"]["description"]) for type_ in EVENT_TYPES]


@pytest.mark.django_db
@pytest.mark.parametrize("act", TELLING, ids=str)
def test_real_event__as_webhook_and_as_pulled__follows_its_schema_which_describes_it_whole(act: Act) -> None:
    before = act.given()

    act.do(before)

    event = Event.objects.order_by("sequence").last()
    assert event
    pulled = json.loads(JSONRenderer().render(event_json(event)))
    for body in (json.loads(payload_of(event)), pulled):
        assert list(validator(event.type).iter_errors(body)) == []
        assert undescribed(body, SCHEMAS[f"{event.type}.json"]) == []


@pytest.mark.django_db
def test_rolled_back__by_a_verdict__carries_what_the_person_on_call_needs() -> None:
    act = LOOKS[0]
    act.do(act.given())

    data = Event.objects.get(type="rollout.rolled_back").data

    verdict, transition = data["transition"]["verdict"], data["transition"]
    guilty = next(metric for metric in verdict["metrics"] if metric["name"] in verdict["guilty"])
    assert (guilty["control"]["n"], guilty["canary"]["n"]) == (19_000, 1_000)
    assert guilty["interval"][0] < guilty["difference"] < guilty["interval"][1]
    assert guilty["difference"] == pytest.approx(guilty["canary"]["estimate"] - guilty["control"]["estimate"])
    assert verdict["log_e_harm"] >= verdict["log_threshold"] > 0
    assert (transition["step"], transition["from_weight_bp"], transition["to_weight_bp"]) == (0, 500, 0)
    assert (data["rollout"]["control"], data["rollout"]["canary"]) == ("v1.0", "v1.1")
    assert "-Extract the order, way 0" in data["diff"]["template"]
    assert [len(ids) for ids in data["traces"].values()] == [1, 1]
    assert data["rollout"]["url"].endswith(f"/rollouts/{data['rollout']['id']}")
