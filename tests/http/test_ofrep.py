"""Flag evaluation by OpenFeature's protocol (OFREP) through Django. Every answer is held against the specification."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from jsonschema import ValidationError
from pytest_django import DjangoAssertNumQueries, Settings

from common.errors import Unavailable
from registry import services
from registry.models import ApiKey
from rollout.core.assignment import bucket, unit_bucket
from rollout.serving import ofrep, snapshot_cache
from tests import make
from tests.ofrep import BULK, JSON, assert_conforms, evaluation, validator
from tests.served import CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT, SALT, make_prompt, make_rollout, point

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "ofrep.md").read_text()
FLAG = f"{BULK}/order-extractor"
VALUE = {
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
}


class Provider:
    """Sends what OpenFeature's providers send."""

    def __init__(self, **headers: str) -> None:
        self.client = Client(headers=headers)

    def evaluate(self, path: str = FLAG, /, if_none_match: str = "", **context: Any) -> HttpResponse:
        return self.post(path, {"context": context}, if_none_match=if_none_match)

    def post(
        self, path: str, body: object, content_type: str = JSON, *, if_none_match: str = "", **headers: str
    ) -> HttpResponse:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers |= {"If-None-Match": if_none_match} if if_none_match else {}
        response = self.client.post(path, sent, content_type=content_type, headers=headers)
        assert_conforms(path, response.status_code, response.headers, response.content)
        return response


@pytest.fixture
def provider(db: None) -> Provider:
    """With a key, of a service where a rollout of production runs at 5 %, and staging points at v2.3."""
    prompt = make_prompt()
    point(prompt, "staging", "2.3")
    make_rollout(prompt)
    return new_provider()


def new_provider(scope: str = "read") -> Provider:
    key = make.key(scope)
    snapshot_cache.cache.refresh()
    return Provider(Authorization=f"Bearer {key}")


def parsed(response: HttpResponse) -> Any:
    return json.loads(response.content)


def failure(response: HttpResponse) -> tuple[int, str, str]:
    """Status, code and details."""
    found = parsed(response)
    return response.status_code, found["errorCode"], found["errorDetails"]


# One flag


def test_flag__unit_in_canary__split_with_every_member_and_header(
    provider: Provider, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = provider.evaluate(targetingKey=CANARY_AT_5_PERCENT)

    found = parsed(response)
    rollout_id = found["metadata"]["rollout"]
    exposure = f"{rollout_id}:0:canary:{unit_bucket(SALT, CANARY_AT_5_PERCENT)}"
    assert len(found["value"].pop("sha256")) == 64
    assert found == {
        "key": "order-extractor",
        "value": VALUE,
        "reason": "SPLIT",
        "variant": "v2.3",
        "metadata": {
            "label": "production",
            "sticky": True,
            "rollout": rollout_id,
            "arm": "canary",
            "step": 0,
            "weight_bp": 500,
            "exposure": exposure,
            "gen_ai.prompt.name": "order-extractor",
            "gen_ai.prompt.version": "v2.3",
            "serinus.label": "production",
            "serinus.exposure": exposure,
        },
    }
    assert response["Cache-Control"] == "private, no-cache"
    assert response["Vary"] == "Authorization, X-API-Key"
    assert response["X-Request-Id"]
    assert "Serinus-Stale" not in response.headers


def test_flag__value__as_get_prompts_answers_it(provider: Provider) -> None:
    answer = provider.client.get("/prompts/order-extractor", {"unit": CONTROL_AT_5_PERCENT}).json()

    found = parsed(provider.evaluate(targetingKey=CONTROL_AT_5_PERCENT))

    assert found["value"] == {name: answer[name] for name in found["value"]}
    assert answer.keys() - found["value"].keys() == {"label", "reason", "sticky", "rollout", "trace"}
    assert answer["trace"].items() <= found["metadata"].items()
    assert (found["variant"], found["metadata"]["arm"]) == ("v2.2", "control")


def test_flag__1000_units__split_as_the_rule_says(provider: Provider) -> None:
    for number in range(1000):
        found = parsed(provider.evaluate(targetingKey=f"user-{number}"))

        arm = "canary" if bucket(SALT, f"user-{number}") < 500 else "control"
        assert (found["metadata"]["arm"], found["variant"]) == (arm, {"canary": "v2.3", "control": "v2.2"}[arm])


def test_flag__label_without_rollout__static_and_nothing_of_a_rollout(provider: Provider) -> None:
    found = parsed(provider.evaluate(targetingKey="user-1", label="staging"))

    assert (found["reason"], found["variant"]) == ("STATIC", "v2.3")
    assert found["metadata"] == {
        "label": "staging",
        "sticky": True,
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.3",
        "serinus.label": "staging",
    }


@pytest.mark.parametrize("written", ["2.3", "v2.3", "2"])
def test_flag__version__pinned_past_the_rollout_and_of_no_label(provider: Provider, written: str) -> None:
    found = parsed(provider.evaluate(targetingKey=CONTROL_AT_5_PERCENT, version=written, label="no such"))

    assert (found["reason"], found["variant"]) == ("TARGETING_MATCH", "v2.3")
    assert found["metadata"] == {
        "sticky": True,
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.3",
    }


@pytest.mark.parametrize("context", [{}, {"targetingKey": ""}, {"targetingKey": None, "label": None, "version": None}])
def test_flag__no_unit__drawn_and_not_sticky(provider: Provider, context: dict[str, None]) -> None:
    found = [parsed(provider.evaluate(**context)) for _ in range(400)]

    assert {each["reason"] for each in found} == {"SPLIT"}
    assert not any(each["metadata"]["sticky"] for each in found)
    # Binomial(400, 0.05): no canary, or more than 60, comes once in 10^8 runs.
    assert 0 < sum(each["metadata"]["arm"] == "canary" for each in found) <= 60


@pytest.mark.parametrize("unit", ["Jürgen 😀", "nul \0", "x" * 100_000])
def test_flag__any_text__is_a_unit(provider: Provider, unit: str) -> None:
    found = parsed(provider.evaluate(targetingKey=unit))

    assert found["metadata"]["exposure"].endswith(f":{unit_bucket(SALT, unit)}")


def test_flag__half_a_character__is_hashed_as_its_escape(provider: Provider) -> None:
    found = parsed(provider.post(FLAG, rb'{"context": {"targetingKey": "\ud83d"}}'))

    in_group = unit_bucket(SALT, r"\ud83d")
    assert found["metadata"]["exposure"].endswith(f":{in_group}")


def test_flag__members_that_are_not_ours__let_through(provider: Provider) -> None:
    context = {"targetingKey": "user-1", "plan": {"name": "free"}, "ages": [1, 2.5, None, True]}

    response = provider.post(FLAG, {"context": context, "flagSet": "mine"})

    assert response.status_code == 200


# Failures


def test_flag__unknown__404(provider: Provider) -> None:
    response = provider.evaluate(f"{BULK}/order-extractr", targetingKey="user-1")

    assert parsed(response) == {
        "key": "order-extractr",
        "errorCode": "FLAG_NOT_FOUND",
        "errorDetails": "There is no prompt 'order-extractr'",
    }
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("sent", "key"),
    [("a/b", "a/b"), ("a%00b", "a\0b"), ("%F0%9F%98%80", "😀"), ("x" * 5000, "x" * 5000), ("..", "..")],
)
def test_flag__key_that_is_no_name__404_that_repeats_it(provider: Provider, sent: str, key: str) -> None:
    response = provider.evaluate(f"{BULK}/{sent}", targetingKey="user-1")

    assert failure(response)[:2] == (404, "FLAG_NOT_FOUND")
    assert parsed(response)["key"] == key


def test_flag__label_that_the_prompt_lacks__404(provider: Provider) -> None:
    response = provider.evaluate(targetingKey="user-1", label="canary")

    assert failure(response) == (404, "FLAG_NOT_FOUND", "order-extractor has no label 'canary'")


def test_flag__archived__404(db: None) -> None:
    services.archive_prompt(prompt=make_prompt(), actor=make.ANNA)

    response = new_provider().evaluate(targetingKey="user-1")

    assert failure(response) == (404, "FLAG_NOT_FOUND", "order-extractor is archived")


@pytest.mark.parametrize(
    ("context", "details"),
    [
        ({"version": "9.9"}, "order-extractor has no version '9.9'"),
        ({"version": "newest"}, "version: expected a version such as 2.3"),
        ({"version": ""}, "version: expected a version such as 2.3"),
        ({"version": 2.3}, "context.version: expected a string, got a number"),
        ({"targetingKey": 42}, "context.targetingKey: expected a string, got a number"),
        ({"label": ["production"]}, "context.label: expected a string, got an array"),
        (
            {"targetingKey": True, "label": {}},
            "context.targetingKey: expected a string, got a boolean; context.label: expected a string, got an object",
        ),
    ],
)
def test_flag__context_that_cannot_be_meant__400(provider: Provider, context: dict[str, Any], details: str) -> None:
    status, code, told = failure(provider.evaluate(**context))

    assert (status, code) == (400, "INVALID_CONTEXT")
    assert told.startswith(details)


@pytest.mark.parametrize("path", [FLAG, BULK])
@pytest.mark.parametrize("body", [{}, {"context": None}, {"context": []}, {"context": "x"}, [], [{"context": {}}], 1])
def test_both__no_context__400(provider: Provider, path: str, body: object) -> None:
    assert failure(provider.post(path, body)) == (400, "INVALID_CONTEXT", "context: expected an object")


@pytest.mark.parametrize("path", [FLAG, BULK])
@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"context=1",
        b'{"context": {}',
        b'{"context": {}} {}',
        b'{"context": {"age": NaN}}',
        b'{"context": {"age": ' + b"9" * 5000 + b"}}",
        b'{"context": "\xff"}',
        '{"context": {}}'.encode("utf-16"),
        b"\0",
        b'{"context": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_001,
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_both__not_json__400(provider: Provider, path: str, body: bytes) -> None:
    status, code, details = failure(provider.post(path, body))

    assert (status, code) == (400, "PARSE_ERROR")
    assert details.startswith("The body is not JSON in UTF-8")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_both__not_declared_as_json__400(provider: Provider, content_type: str) -> None:
    for path in (FLAG, BULK):
        status, code, details = failure(provider.post(path, {"context": {}}, content_type))

        assert (status, code) == (400, "PARSE_ERROR")
        assert details == f"Content-Type: expected application/json, got {content_type!r}"


def test_both__declared_with_a_charset__taken(provider: Provider) -> None:
    for path in (FLAG, BULK):
        assert provider.post(path, {"context": {}}, "Application/JSON; charset=utf-8").status_code == 200


def test_both__body_too_large__413(provider: Provider, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = 1024

    for path in (FLAG, BULK):
        status, code, details = failure(provider.evaluate(path, targetingKey="x" * 1024))

        assert (status, code) == (413, "PARSE_ERROR")
        assert "1024 bytes" in details


def test_flag__failure_that_quotes_the_context__details_cut(provider: Provider) -> None:
    _, _, details = failure(provider.evaluate(label="x" * 100_000))

    assert len(details) == ofrep.LONGEST_DETAILS


@pytest.mark.parametrize("path", [FLAG, BULK])
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_both__other_methods__405_even_with_csrf_checks(path: str, method: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)(path)

    assert (response.status_code, response["Allow"]) == (405, "POST")
    if method != "head":
        assert_conforms(path, response.status_code, response.headers, response.content)


# Keys, and the state of the process


@pytest.mark.parametrize("path", [FLAG, BULK])
def test_both__without_key_or_with_a_wrong_one__401(db: None, path: str) -> None:
    new_provider()

    for stranger in (Provider(), Provider(Authorization="Bearer ser_wrong"), Provider(**{"X-API-Key": "ser_wrong"})):
        response = stranger.evaluate(path, targetingKey="user-1")

        assert failure(response)[:2] == (401, "GENERAL")
        assert response["WWW-Authenticate"] == 'Bearer realm="serinus"'


def test_both__revoked_key__401(provider: Provider) -> None:
    services.revoke_key(key=ApiKey.objects.get(), actor=make.ANNA)
    snapshot_cache.cache.refresh()

    for path in (FLAG, BULK):
        assert provider.evaluate(path, targetingKey="user-1").status_code == 401


def test_both__wrong_scope__403(db: None) -> None:
    collector = new_provider("ingest")

    for path in (FLAG, BULK):
        assert failure(collector.evaluate(path, targetingKey="user-1"))[:2] == (403, "GENERAL")


@pytest.mark.parametrize("header", ["X-API-Key", "x-api-key"])
def test_both__key_in_the_other_header__taken(provider: Provider, header: str) -> None:
    key = make.key()
    snapshot_cache.cache.refresh()

    for path in (FLAG, BULK):
        assert Provider(**{header: key}).evaluate(path, targetingKey="user-1").status_code == 200


def test_both__stranger__told_before_the_body_is_read(db: None) -> None:
    new_provider()

    for path in (FLAG, BULK):
        assert Provider().post(path, b"not JSON").status_code == 401


@pytest.mark.parametrize("path", [FLAG, BULK])
def test_both__cold_process__503_and_in_how_many_seconds_to_retry(db: None, path: str) -> None:
    assert failure(Provider().evaluate(path))[:2] == (503, "GENERAL")


def test_flag__pinned_version_not_in_memory_and_database_away__503(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("database_away", "away")

    monkeypatch.setattr(snapshot_cache.cache, "pinned", away)

    assert failure(provider.evaluate(version="2.3")) == (503, "GENERAL", "away")


def test_both__stale__said_with_its_age_in_failures_too(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed = time.monotonic()
    monkeypatch.setattr(snapshot_cache.cache, "_clock", lambda: confirmed + 61.5)

    for path in (FLAG, BULK, f"{BULK}/unknown"):
        response = provider.evaluate(path, targetingKey="user-1")

        assert (response["Serinus-Stale"], response["Age"]) == ("true", "61")


def test_both__something_unforeseen__500_with_details(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ofrep, "parse_json", None)
    provider.client.raise_request_exception = False

    for path in (FLAG, BULK):
        response = provider.client.post(path, "{}", content_type=JSON)

        validator(BULK, 500).validate(response.json())
        assert (response.status_code, response.json()["errorCode"]) == (500, "GENERAL")
        assert response.json()["errorDetails"] == "Something failed that should not have; nothing was changed"


# All flags at once


def test_bulk__every_prompt_of_the_label_by_name_as_one_by_one(
    provider: Provider, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_prompt("greeter")
    make.version(make.prompt("unlabelled"), "1.0")
    services.archive_prompt(prompt=make_prompt("archived"), actor=make.ANNA)
    snapshot_cache.cache.refresh()

    with django_assert_num_queries(0):
        response = provider.evaluate(BULK, targetingKey=CANARY_AT_5_PERCENT)

    one_by_one = [
        parsed(provider.evaluate(f"{BULK}/{name}", targetingKey=CANARY_AT_5_PERCENT))
        for name in ("greeter", "order-extractor")
    ]
    assert parsed(response) == {"flags": one_by_one}
    assert [(flag["reason"], flag["variant"]) for flag in one_by_one] == [("STATIC", "v2.2"), ("SPLIT", "v2.3")]
    assert response["Cache-Control"] == "private, no-cache"


def test_bulk__label__only_the_prompts_that_have_it(provider: Provider) -> None:
    make_prompt("greeter")
    snapshot_cache.cache.refresh()

    staging, nobodys = (parsed(provider.evaluate(BULK, label=label)) for label in ("staging", "no-such"))

    assert [(flag["key"], flag["metadata"]["label"]) for flag in staging["flags"]] == [("order-extractor", "staging")]
    assert nobodys == {"flags": []}


def test_bulk__version__refused_because_it_is_one_prompts(provider: Provider) -> None:
    status, code, details = failure(provider.evaluate(BULK, version="2.3"))

    assert (status, code) == (400, "INVALID_CONTEXT")
    assert details.startswith("context.version: a version is one prompt's")


def test_bulk__if_none_match__304_until_something_changes(provider: Provider) -> None:
    etag = provider.evaluate(BULK, targetingKey="user-1")["ETag"]

    same = provider.evaluate(BULK, if_none_match=f'"other", W/{etag}', targetingKey="user-1")
    make_prompt("greeter")
    snapshot_cache.cache.refresh()
    changed = provider.evaluate(BULK, if_none_match=etag, targetingKey="user-1")

    assert (same.status_code, same["ETag"]) == (304, etag)
    assert "Content-Type" not in same.headers
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize("context", [{"targetingKey": "user-2"}, {"targetingKey": "user-1", "plan": "free"}, {}])
def test_bulk__another_context__never_304_though_the_flags_are_the_same(db: None, context: dict[str, str]) -> None:
    make_prompt()
    provider = new_provider()
    before = provider.evaluate(BULK, targetingKey="user-1")

    response = provider.evaluate(BULK, if_none_match=before["ETag"], **context)

    assert response.status_code == 200
    assert response.content == before.content


# What is written about it


def test_reference_page__example__has_the_members_of_an_evaluation(provider: Provider) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    shown, found = json.loads(example), parsed(provider.evaluate(targetingKey=CANARY_AT_5_PERCENT))

    for part in ("value", "metadata"):
        assert list(shown.pop(part)) == list(found.pop(part))
    assert list(shown) == list(found)


def test_reference_page__names_every_reason_and_every_failure() -> None:
    reasons = set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))
    failures = {
        (int(status), code)
        for statuses, code in re.findall(r"^\| ([\d, ]+) \| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
        for status in statuses.split(", ")
    }

    general = {(status, "GENERAL") for status in (401, 403, 405, 500, 503)}
    assert reasons == set(ofrep.REASONS.values())
    assert failures == {*ofrep.FAILURES.values(), *general}


# The specification


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "LABEL"},
        {"value": None},
        {"metadata": {"rollout": {"id": "rol_1"}}},
        {"metadata": {"label": None}},
        {"variant": 1},
        {"key": None},
    ],
)
def test_specification__wrong_evaluation__seen(wrong: dict[str, Any]) -> None:
    of_a_flag = validator(BULK + "/{key}", 200)

    of_a_flag.validate(evaluation())
    with pytest.raises(ValidationError):
        of_a_flag.validate(evaluation(**wrong))
