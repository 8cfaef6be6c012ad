"""What is wrong with a draft, in words at the field of the form that it is about."""

import re
import string
from collections.abc import Iterable, Mapping

from registry.core.problems import Problem

WORD = string.ascii_lowercase + "_"


def by_field(problems: Iterable[Problem]) -> Mapping[str, list[str]]:
    """The field of the form, `` for none of them, and what is told there: `message 2: line 3: unknown variable …`."""
    told: dict[str, list[str]] = {}
    for problem in problems:
        rest = problem.field.lstrip(WORD)
        told.setdefault(problem.field.removesuffix(rest), []).append(_place(rest) + problem.message)
    return told


def _place(path: str) -> str:
    message = re.match(r"\[(\d+)\]", path)
    place = f"message {int(message[1]) + 1}" if message else path.lstrip(".")
    return f"{place}: " if place else ""
