"""Checks: pass, fail with what failed, or missing; whatever an output does to them."""

import time
from typing import Any

import pytest

from observability.judging.evaluating import Judgement, Material, Missed, evaluate
from observability.models import EvaluatorVersion

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


def material(output: str | None, *, asked: str | None = "an order", schema: Any = None) -> Material:
    return Material(asked, output, (), "stop", schema)


def check(written: dict[str, Any], given: Material) -> Judgement | Missed:
    return evaluate(EvaluatorVersion(kind="check", config=written), given, deadline_s=5)


@pytest.mark.parametrize(
    ("written", "output", "reason"),
    [
        ({"check": "json_schema", "schema": SCHEMA}, '{"total": 1}', None),
        ({"check": "json_schema", "schema": SCHEMA}, '{"total": "a secret"}', "schema: $.total: type"),
        ({"check": "json_schema", "schema": SCHEMA}, "{}", "schema: $: required"),
        ({"check": "json_schema", "schema": SCHEMA}, "sorry", "schema: it is not JSON"),
        ({"check": "pattern", "pattern": "ORD-[0-9]+"}, "your ORD-7", None),
        ({"check": "pattern", "pattern": "^ORD-[0-9]+$"}, "your ORD-7", "does not match the pattern"),
        ({"check": "pattern", "pattern": "(?i)as an ai", "matches": False}, "As an AI I", "which it must not"),
        ({"check": "pattern", "pattern": "(?i)as an ai", "matches": False}, "Here you are", None),
        ({"check": "length", "most": 3}, "four", "4 characters, at most 3 expected"),
        ({"check": "length", "least": 3, "unit": "words"}, "only two", "2 words, at least 3 expected"),
        ({"check": "length", "least": 2, "most": 2, "unit": "words"}, "only two", None),
        ({"check": "length", "least": 1}, "", "0 characters, at least 1 expected"),
        ({"check": "required_fields", "fields": ["id", "total.eur"]}, '{"id": 0, "total": {"eur": 1}}', None),
        (
            {"check": "required_fields", "fields": ["id", "total.eur"]},
            '{"id": null, "total": 4}',
            "lacks id, total.eur",
        ),
        ({"check": "required_fields", "fields": ["id"]}, "[1]", "lacks id"),
        ({"check": "required_fields", "fields": ["id"]}, "id", "it is not JSON"),
    ],
)
def test_check__output__passes_or_says_what_failed(written: dict[str, Any], output: str, reason: str | None) -> None:
    found = check(written, material(output))

    assert isinstance(found, Judgement)
    assert (found.value, found.label) == ((1, "pass") if reason is None else (0, "fail"))
    assert reason is None or reason in str(found.reason)
    assert "a secret" not in str(found.reason)
    assert (found.model, found.cost_usd) == (None, None)


@pytest.mark.parametrize(("output", "label"), [('{"total": 1}', "pass"), ("{}", "fail")])
def test_check__schema_of_the_version__used(output: str, label: str) -> None:
    found = check({"check": "json_schema"}, material(output, schema=SCHEMA))

    assert isinstance(found, Judgement)
    assert found.label == label


def test_check__version_without_a_schema__missing() -> None:
    found = check({"check": "json_schema"}, material("{}"))

    assert isinstance(found, Missed)
    assert (found.missing, found.try_again) == ("failed", False)


@pytest.mark.parametrize(("asked", "missing"), [("an order", "no_output"), (None, "no_text")])
def test_check__no_output__missing_and_no_zero(asked: str | None, missing: str) -> None:
    found = check({"check": "length", "least": 1}, material(None, asked=asked))

    assert isinstance(found, Missed)
    assert (found.missing, found.try_again) == (missing, False)


@pytest.mark.parametrize(
    ("written", "output"),
    [
        ({"check": "pattern", "pattern": "(a+)+$"}, "a" * 100_000 + "b"),
        ({"check": "pattern", "pattern": "(.*a){20}"}, "b" * 100_000),
        ({"check": "required_fields", "fields": ["a"]}, "[" * 100_000),
    ],
)
def test_check__output_that_would_hang_others__within_two_seconds(written: dict[str, Any], output: str) -> None:
    started = time.monotonic()

    found = check(written, material(output))

    assert isinstance(found, Judgement)
    assert found.label == "fail"
    assert time.monotonic() - started < 2


def test_check__schema_that_costs_too_much__missing_and_no_zero() -> None:
    schema = {"$defs": {"a": {"anyOf": [{"items": {"$ref": "#/$defs/a"}}] * 12}}, "$ref": "#/$defs/a"}

    found = check({"check": "json_schema", "schema": schema}, material("[[[[[[[[1]]]]]]]]"))

    assert isinstance(found, Missed | Judgement)
    assert not (isinstance(found, Judgement) and found.label == "fail")
