"""docs/reference/errors.md lists every code of a problem document with its status, and none that is gone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rest_framework import exceptions

from common import errors

ROOT = Path(__file__).resolve().parents[2]
OURS = ("common", "config", "registry", "observability", "rollout")
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
STATUS = {kind.__name__: kind.status for kind in (errors.DomainError, *errors.DomainError.__subclasses__())}

COMPUTED = {
    ("common/rest.py", "str(error.get_codes())"): [],  # of the key's own refusals, which are raised in registry/keys.py
    ("common/rest.py", "error.default_code"): [
        (kind.status_code, kind.default_code) for kind in (exceptions.MethodNotAllowed, exceptions.NotAcceptable)
    ],
    ("registry/services/imports.py", "error.code"): [],  # raised once more, with a longer path
    ("rollout/serving/responses.py", "f'{errors[0].code}_parameter'"): [
        (400, "unknown_parameter"),
        (400, "repeated_parameter"),
    ],
}
"""Codes that do not stand where they are raised, by file and expression."""

Code = tuple[int, str]


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in (path for name in OURS for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(ROOT)), node


def raised() -> set[Code]:
    found: set[Code] = set()
    for file, call in calls():
        match call.func:
            case ast.Name(id=kind) if kind in STATUS and call.args:
                found.update(codes(file, call, STATUS[kind]))
            case ast.Attribute(value=ast.Name(id="Invalid"), attr="field"):
                found.add((422, "invalid"))
            case ast.Attribute(value=ast.Name(id="Invalid"), attr="fields"):
                found.add((422, keyword(call, "code") or "invalid"))
    return found


def codes(file: str, call: ast.Call, status: int) -> list[Code]:
    code = call.args[0]
    if isinstance(code, ast.Constant):
        return [(int(keyword(call, "status") or status), code.value)]
    return COMPUTED[file, ast.unparse(code)]


def keyword(call: ast.Call, name: str) -> str:
    """The value of a keyword as it is written; empty where there is none."""
    written = [word.value.value for word in call.keywords if word.arg == name and isinstance(word.value, ast.Constant)]
    return str(written[0]) if written else ""


def of_fields() -> set[str]:
    """Codes of single fields, where they stand as such."""
    found: set[str] = set()
    for _, call in calls():
        match call:
            case ast.Call(func=ast.Name(id="FieldError"), args=[_, ast.Constant(value=code), *_]):
                found.add(code)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="Invalid"), attr="field")):
                found.add(keyword(call, "code") or "invalid")
            case ast.Call(func=ast.Attribute(attr="ErrorDetail"), args=[_, ast.Constant(value=code)]):
                found.add(code)
    return found


def test_errors_page__names_every_code_with_its_status_once() -> None:
    listed = [(int(status), code) for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE)]

    assert sorted(listed) == sorted(raised())


def test_errors_page__names_the_codes_of_fields() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == of_fields()


@pytest.mark.parametrize(("file", "expression"), COMPUTED)
def test_errors_page__codes_that_are_computed__are_still(file: str, expression: str) -> None:
    assert any(place == file and call.args and ast.unparse(call.args[0]) == expression for place, call in calls())
