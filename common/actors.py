"""Who did something: an API key, a person, or Serinus itself. Stored as text such as `key:demo` or `user:anna`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    kind: Literal["key", "user", "system"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


EVALUATOR = Actor("system", "evaluator")
SENDER = Actor("system", "webhooks")
COMMAND_LINE = Actor("system", "command line")
