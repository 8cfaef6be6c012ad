"""Configs of evaluators: what is left out gets its default, and what is wrong is named by its field."""

from typing import Any

import pytest

from observability.core.evaluator_configs import (
    ExternalConfig,
    FieldsCheck,
    JudgeConfig,
    LengthCheck,
    PatternCheck,
    RagasConfig,
    SchemaCheck,
    as_json,
    read_config,
)
from registry.core.problems import ProblemsFound
from registry.core.validation import MAX_DEPTH


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


def deep_in(field: str) -> str:
    """The first place that is too deep; the field is two levels deep itself."""
    return field + ".a" * (MAX_DEPTH - 1)


def problems_of(kind: str, written: Any) -> set[tuple[str, str]]:
    with pytest.raises(ProblemsFound) as found:
        read_config(kind, written)
    return {(problem.field, problem.code) for problem in found.value.problems}


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        (
            "judge",
            {"model": "gpt-4o-mini"},
            JudgeConfig("gpt-4o-mini", "openai", 0, 512, (), "json_schema", {}, 50_000),
        ),
        (
            "judge",
            {"model": "o4", "temperature": None, "max_tokens": None, "parameters": {"max_completion_tokens": 900}},
            JudgeConfig("o4", "openai", None, None, (), "json_schema", {"max_completion_tokens": 900}, 50_000),
        ),
        ("check", {"check": "json_schema"}, SchemaCheck(None)),
        ("check", {"check": "json_schema", "schema": {"type": "object"}}, SchemaCheck({"type": "object"})),
        ("check", {"check": "pattern", "pattern": "^ORD-"}, PatternCheck("^ORD-", matches=True)),
        ("check", {"check": "length", "most": 80, "unit": "words"}, LengthCheck("words", None, 80)),
        ("check", {"check": "length", "least": 0}, LengthCheck("characters", 0, None)),
        ("check", {"check": "required_fields", "fields": ["id", "total.eur"]}, FieldsCheck(("id", "total.eur"))),
        (
            "ragas",
            {"metric": "answer_relevancy", "model": "gpt-4o-mini", "embeddings": "text-embedding-3-small"},
            RagasConfig("answer_relevancy", "gpt-4o-mini", "text-embedding-3-small", "openai", 0, 50_000),
        ),
        (
            "ragas",
            {"metric": "faithfulness", "model": "gpt-4o-mini"},
            RagasConfig("faithfulness", "gpt-4o-mini", None, "openai", 0, 50_000),
        ),
        ("external", {"posted_by": "the support team"}, ExternalConfig("the support team")),
    ],
)
def test_read_config__in_order__with_its_defaults(kind: str, written: Any, read: Any) -> None:
    assert read_config(kind, written) == read


@pytest.mark.parametrize(
    ("kind", "written", "found"),
    [
        ("judge", [], {("config", "invalid")}),
        ("judge", {}, {("config.model", "required")}),
        (
            "judge",
            {"model": "m", "temperature": 3, "max_tokens": True, "colour": "red"},
            {("config.temperature", "invalid"), ("config.max_tokens", "invalid"), ("config.colour", "unknown")},
        ),
        ("judge", {"model": "m", "temperature": float("nan")}, {("config.temperature", "invalid_number")}),
        ("judge", {"model": "m", "labels": ["good", ""]}, {("config.labels", "invalid")}),
        ("judge", {"model": "m", "parameters": {"messages": []}}, {("config.parameters.messages", "invalid")}),
        ("judge", {"model": "m", "response_format": ["text"]}, {("config.response_format", "invalid")}),
        ("check", {"pattern": "x"}, {("config.check", "required")}),
        ("check", {"check": "taste", "salt": 1}, {("config.check", "invalid")}),
        ("check", {"check": "json_schema", "schema": {"type": 1}}, {("config.schema.type", "invalid_schema")}),
        (
            "check",
            {"check": "json_schema", "schema": {"patternProperties": {"^a": {}}}},
            {("config.schema", "invalid")},
        ),
        ("check", {"check": "pattern", "pattern": "(a"}, {("config.pattern", "invalid")}),
        ("check", {"check": "pattern", "pattern": "(?=a)"}, {("config.pattern", "invalid")}),  # RE2 looks nowhere
        ("check", {"check": "length"}, {("config.most", "required")}),
        ("check", {"check": "length", "least": 5, "most": 4}, {("config.most", "invalid")}),
        ("check", {"check": "required_fields", "fields": []}, {("config.fields", "required")}),
        ("check", {"check": "required_fields", "fields": "id"}, {("config.fields", "invalid")}),
        ("ragas", {"metric": "answer_relevancy", "model": "m"}, {("config.embeddings", "required")}),
        ("ragas", {"metric": "faithfulness", "model": "m", "embeddings": "e"}, {("config.embeddings", "invalid")}),
        ("external", {}, {("config.posted_by", "required")}),
        # What no database takes, or what is too deep to be written out.
        ("judge", {"model": "m\0"}, {("config.model", "invalid_text")}),
        ("judge", {"model": "m", "parameters": {"user": "\ud800"}}, {("config.parameters.user", "invalid_text")}),
        ("judge", {"model": "m", "parameters": {"seed": float("nan")}}, {("config.parameters.seed", "invalid_number")}),
        ("judge", {"model": "m", "parameters": nested(500)}, {(deep_in("config.parameters"), "too_deep")}),
        # What equals a default, and is none: an empty check would pass every output, and `matches: 1` none.
        ("check", {"check": ""}, {("config.check", "invalid")}),
        ("check", {"check": "pattern", "pattern": ""}, {("config.pattern", "invalid")}),
        ("check", {"check": "pattern", "pattern": "x", "matches": 1}, {("config.matches", "invalid")}),
        ("judge", {"model": ""}, {("config.model", "invalid")}),
        ("judge", {"model": "m", "temperature": False}, {("config.temperature", "invalid")}),
        ("judge", {"model": "m", "max_tokens": 512.0}, {("config.max_tokens", "invalid")}),
        ("external", {"posted_by": ""}, {("config.posted_by", "invalid")}),
    ],
)
def test_read_config__wrong__field_named(kind: str, written: Any, found: set[tuple[str, str]]) -> None:
    assert problems_of(kind, written) == found


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("judge", {"model": "m", "temperature": None, "labels": ["yes", "no"], "parameters": {"seed": 1}}),
        ("check", {"check": "json_schema"}),
        ("check", {"check": "length", "most": 5}),
        ("ragas", {"metric": "faithfulness", "model": "m"}),
        ("external", {"posted_by": "people"}),
    ],
)
def test_as_json__stored_and_read_again__the_same(kind: str, written: Any) -> None:
    config = read_config(kind, written)

    stored = as_json(config)

    assert as_json(read_config(kind, stored)) == stored
    assert stored.items() >= written.items()
