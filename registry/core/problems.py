"""What is wrong with something that a person wrote, gathered whole, so that it can be put right in one go."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """field: a path such as `template[1].content`. code: for programs. message: what was expected, and what came."""

    field: str
    code: str
    message: str


class ProblemsFound(ValueError):
    """Raised with everything that is wrong, never with nothing."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in self.problems))
