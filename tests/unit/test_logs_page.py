"""docs/reference/logs.md lists every event that is logged, and none that is gone."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from registry.events import EVENT_TYPES

ROOT = Path(__file__).resolve().parents[2]
OURS = ("common", "config", "registry", "observability", "rollout")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def test_logs_page__names_every_event_that_is_logged() -> None:
    page = (ROOT / "docs" / "reference" / "logs.md").read_text()
    listed = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", "\n".join(re.findall(r"^\| (.+?) \|", page, re.MULTILINE))))

    assert listed == logged()


def logged() -> set[str]:
    """The event names of all calls of a logger."""
    found: set[str] = set()
    for path in [path for name in OURS for path in (ROOT / name).rglob("*.py")]:
        tree = ast.parse(path.read_text())
        for message in messages(tree):
            names = set(values(message, tree))
            assert names, f"{path.relative_to(ROOT)}:{message.lineno} logs an event that this test cannot name"
            found |= names
    return found


def messages(tree: ast.Module) -> Iterator[ast.expr]:
    """The first argument of each `logger.info(…)` and `partial(logger.info, …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if is_logging(node.func):
                yield node.args[0]
            elif node.args and is_logging(node.args[0]):
                yield node.args[1]


def is_logging(node: ast.expr) -> bool:
    of_logger = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "logger"
    return of_logger and node.attr in LEVELS


def values(message: ast.expr, tree: ast.Module) -> Iterator[str]:
    """Of a literal; the type of an event that is recorded; what a variable of that name is given in the module."""
    match message:
        case ast.Constant(value=str(name)):
            yield name
        case ast.Attribute(attr="type"):
            yield from EVENT_TYPES
        case ast.IfExp(body=one, orelse=other):
            yield from (*values(one, tree), *values(other, tree))
        case ast.JoinedStr(values=parts):
            yield from map("".join, product(*(list(values(part, tree)) for part in parts)))
        case ast.FormattedValue(value=value):
            yield from values(value, tree)
        case ast.Name(id=variable):
            yield from given_to(variable, tree)


def given_to(variable: str, tree: ast.Module) -> Iterator[str]:
    takers = {
        node.name: [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == variable:
                yield from values(value, tree)
            case ast.Call(func=ast.Name(id=function), args=args) if variable in takers.get(function, []):
                place = takers[function].index(variable)
                if place < len(args) and not is_variable(args[place], variable):  # else it is only passed on
                    yield from values(args[place], tree)


def is_variable(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
