"""An answer of the measured endpoint, kept in a file for the servers that give it back without any work."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "ANSWER_FILE"
"""The setting that tells a server where the answer is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """headers: without those that the HTTP server itself adds."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def sizes(self) -> tuple[int, dict[str, int], int]:
        """What must be the same for answers to be compared: the status, and how long each header and the body are."""
        return self.status, {name: len(value) for name, value in self.headers.items()}, len(self.body)

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))


def given_answer() -> Answer:
    return Answer(**json.loads(Path(os.environ[FILE]).read_text()))
