"""What may never stand in a log line: keys, webhook secrets, texts of prompts and ids of users, as tests use them."""

import logging
import re

from common.logs import EventFormatter

NEVER_LOGGED = re.compile(
    r"ser_[\w-]{43}"
    r"|whsec_[A-Za-z0-9+/]{16}"
    r"|Extract the order|Extract \{\{|\{\{ ?\w+ ?\}\}"
    r"|\bunit=|\buser-\d|\banna@"
)


def leaks(text: str) -> list[str]:
    """The lines that hold any of it."""
    return [line for line in text.splitlines() if NEVER_LOGGED.search(line)]


class LeakWatch(logging.Handler):
    """Reads what this process logs, as production writes it. found: the lines that hold what they may not."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(EventFormatter())
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found += leaks(self.format(record))
