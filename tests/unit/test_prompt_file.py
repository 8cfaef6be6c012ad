"""A prompt's file is read whole or refused with the path of everything that is wrong, whoever wrote it."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.content import Content
from registry.core.problems import ProblemsFound
from registry.core.prompt_file import FORMAT, PromptFile, read_prompt_file
from registry.core.versions import SemVer

VERSION: dict[str, Any] = {"version": "2.3", "type": "text", "template": "Hello", "notes": "first"}
FILE: dict[str, Any] = {"format": FORMAT, "name": "greeter", "versions": [VERSION]}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def problems(data: Any) -> list[tuple[str, str]]:
    with pytest.raises(ProblemsFound) as found:
        read_prompt_file(data)
    return [(problem.field, problem.code) for problem in found.value.problems]


def test_read__only_what_is_needed__the_rest_has_its_default() -> None:
    read = read_prompt_file(FILE)

    assert (read.name, read.description, read.tags, read.labels) == ("greeter", "", (), {})
    assert (read.versions[0].number, read.versions[0].content) == (SemVer(2, 3, 0), Content("text", "Hello"))


def test_read__all_of_it() -> None:
    written = FILE | {
        "description": "Greets",
        "tags": ["a"],
        "labels": {"production": "v2.3"},
        "versions": [VERSION | {"ordinal": 7, "sha256": Content("text", "Hello").sha256, "author": "user:anna"}],
    }

    read = read_prompt_file(written)

    assert (read.description, read.tags, read.labels) == ("Greets", ("a",), {"production": SemVer(2, 3, 0)})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], [("", "invalid")]),
        ({}, [("format", "invalid")]),
        (FILE | {"name": None}, [("name", "invalid")]),
        (FILE | {"name": "a\0"}, [("name", "invalid_text")]),
        (FILE | {"nmae": "a"}, [("nmae", "unknown")]),
        (FILE | {"\ud800": "a"}, [("?", "unknown")]),
        (FILE | {"description": ["a"]}, [("description", "invalid")]),
        (FILE | {"tags": "a"}, [("tags", "invalid")]),
        (FILE | {"tags": ["a", 1]}, [("tags[1]", "invalid")]),
        (FILE | {"versions": {}}, [("versions", "invalid")]),
        (FILE | {"versions": ["a"]}, [("versions[0]", "invalid")]),
        (FILE | {"labels": ["production"]}, [("labels", "invalid")]),
        (FILE | {"labels": {"production": 2.3}}, [("labels.production", "invalid")]),
        (FILE | {"labels": {"production": "2.4"}}, [("labels.production", "unknown_version")]),
        (FILE | {"labels": {"\ud800": "2.3"}}, [("labels.?", "invalid_text")]),
        (FILE | {"versions": [VERSION, VERSION]}, [("versions[1].version", "duplicate")]),
    ],
)
def test_read__wrong__names_the_path(data: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(data) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"version": 2.3}, [("version", "invalid")]),
        ({"version": "7"}, [("version", "invalid")]),
        ({"version": "newest"}, [("version", "invalid")]),
        ({"notes": None}, [("notes", "invalid")]),
        ({"ordinal": "1"}, [("ordinal", "invalid")]),
        ({"ordinal": True}, [("ordinal", "invalid")]),
        ({"ordinal": 0}, [("ordinal", "invalid")]),
        ({"type": "poem"}, [("type", "invalid")]),
        ({"type": ["text"]}, [("type", "invalid")]),
        ({"autor": "me"}, [("autor", "unknown")]),
        ({"sha256": "0" * 64}, [("sha256", "content_changed")]),
        ({"sha256": None}, [("sha256", "content_changed")]),
        ({"config": {"a": "\ud800"}}, [("config.a", "invalid_text")]),
        ({"config": {"a": float("inf")}}, [("config.a", "invalid_number")]),
        ({"notes": 1, "type": 2}, [("notes", "invalid"), ("type", "invalid")]),
    ],
)
def test_read__wrong_version__names_its_path(fields: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(FILE | {"versions": [VERSION | fields]}) == [
        (f"versions[0].{name}", code) for name, code in expected
    ]


def test_read__ordinals_that_do_not_go_up__refused() -> None:
    versions = [VERSION | {"ordinal": 2}, VERSION | {"version": "2.4", "ordinal": 2}]

    assert problems(FILE | {"versions": versions}) == [("versions[1].ordinal", "invalid")]


def test_read__endless_nesting__refused() -> None:
    nested: Any = "a"
    for _ in range(900):
        nested = [nested]

    for hostile in (nested, FILE | {"name": nested}, FILE | {"versions": [VERSION | {"type": nested}]}):
        assert problems(hostile)
    assert problems(FILE | {"versions": [VERSION | {"config": nested}]})[0][1] == "too_deep"


@given(st.sampled_from([*FILE, "labels", "tags", "description", *VERSION, "ordinal", "config"]), ANYTHING)
def test_read__anything_in_any_place__read_or_refused(field: str, value: Any) -> None:
    in_version = field in VERSION or field in {"ordinal", "config"}
    data = FILE | ({"versions": [VERSION | {field: value}]} if in_version else {field: value})

    with suppress(ProblemsFound):
        assert isinstance(read_prompt_file(data), PromptFile)
