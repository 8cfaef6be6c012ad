"""What the core finds wrong, and what a person left out, as domain errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import FieldError, Invalid
from registry.core.problems import ProblemsFound


@contextmanager
def problems_refused() -> Iterator[None]:
    """Problems that the core finds become an Invalid that names each field."""
    try:
        yield
    except ProblemsFound as found:
        errors = [FieldError(problem.field, problem.code, problem.message) for problem in found.problems]
        raise Invalid("invalid", str(found), errors=errors) from found


def required_text(field: str, text: str, expected: str) -> str:
    """The text without the white space around it. Raises Invalid when nothing is left."""
    if not text.strip():
        raise Invalid.field(field, expected, code="blank")
    return text.strip()
