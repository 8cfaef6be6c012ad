"""Files of prompts: what is written comes back, and what a hostile file could do is refused before it is done."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadRequest, Invalid, TooLarge
from registry.file_formats import parse_yaml, read_file, written

STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30) | st.text(
    "\n\r\t :#-{}[]|>'\"\\%@!&*?=~<a1.\x7f\x85\u2028\ufeff\U0001f424", max_size=30
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STORABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STORABLE, inner, max_size=4),
    max_leaves=12,
)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@given(data=JSON)
def test_written__read_again__the_same(suffix: str, tmp_path_factory: Any, data: Any) -> None:
    path = tmp_path_factory.getbasetemp() / f"prompt.{suffix}"
    path.write_text(written(data, "json" if suffix == "json" else "yaml"), encoding="utf-8", newline="")

    assert read_file(path) == data


def test_yaml__several_lines__written_as_such() -> None:
    assert written({"template": "Hello\n  {{ name }}\n"}, "yaml") == "template: |\n  Hello\n    {{ name }}\n"


def test_yaml__the_same_object_twice__written_twice() -> None:
    shared = {"a": 1}

    assert parse_yaml(written([shared, shared], "yaml").encode()) == [shared, shared]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "line 2: aliases are not read"),
        ("a: &a\n  b: *a", "line 2: aliases are not read"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: tags are not read"),
        ("a: !!binary aGk=", "tags are not read"),
        ("a: ! x", "tags are not read"),
        ("1: a", "expected texts as keys"),
        ("yes: a", "expected texts as keys"),
        ("[a]: b", "expected texts as keys"),
        ("{a: 1}: b", "expected texts as keys"),
        ("<<: {a: 1}", "expected texts as keys"),
        ("a: 1\na: 2", "line 2: the key a is there twice"),
        ("- " * 200 + "a", "levels of nesting"),
        ("[" * 100_000, "nesting|depth"),
        ("a: [", "line"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("a: \0", "not YAML"),
        ("a: =", "line 1"),
    ],
    ids=lambda text: text[:20],
)
def test_yaml__what_is_not_read__refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why) as refused:
        parse_yaml(text.encode())

    assert refused.value.code == "malformed_yaml"


def test_yaml__not_utf_8__refused() -> None:
    with pytest.raises(BadRequest):
        parse_yaml("é".encode("latin-1"))


def test_yaml__a_date__stays_the_text_that_it_is() -> None:
    assert parse_yaml(b"notes: 2026-01-31\nat: 2026-01-31T14:05:00Z") == {
        "notes": "2026-01-31",
        "at": "2026-01-31T14:05:00Z",
    }


def test_file__larger_than_a_body_may_be__refused(tmp_path: Path, settings: Any) -> None:
    settings.MAX_DECOMPRESSED_BYTES = 10
    (tmp_path / "a.json").write_text('"123456789"')

    with pytest.raises(TooLarge):
        read_file(tmp_path / "a.json")


def test_file__of_another_kind__refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"\.json, \.yaml, \.yml"):
        read_file(tmp_path / "a.txt")


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', "[" * 100_000], ids=lambda text: text[:10])
def test_json__malformed__refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)

    with pytest.raises(BadRequest):
        read_file(tmp_path / "a.json")
