"""The fenced blocks of the documentation, and a shell to type them into.

Commands stand in blocks of `console` (a prompt `$ ` or, for root, `# `, and beneath what is printed) or of `sh`, which are pasted whole.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.process.server import HOST

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "sdk/README.md",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")),
]
SHELLS = ("console", "sh", "bash")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_A_CLONE = ("manage.py", "sdk", "docs", "deploy", "Makefile", "pyproject.toml", "requirements-dev.txt")
HEREDOC = re.compile(r"<<-?'?(\w+)'?")
END = "\x04end of a block "


@dataclass(frozen=True, slots=True)
class Block:
    """lead: the last line of text before it."""

    page: str
    line: int
    language: str
    text: str
    lead: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command of a console with what is said to be printed; a pasted block is one command that shows nothing."""
        if self.language != "console":
            return [(self.text, "")]
        return list(_typed(self.text.splitlines()))


def blocks_of(page: str) -> list[Block]:
    """In the order of the page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2], _lead(text[: found.start()]))
        for found in FENCED.finditer(text)
    ]


def shell_blocks(page: str) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in SHELLS]


def _lead(before: str) -> str:
    return before.rstrip().rpartition("\n")[2]


def _typed(lines: list[str]) -> Iterator[tuple[str, str]]:
    command: list[str] = []
    shown: list[str] = []
    until = ""
    for line in lines:
        if until:
            command.append(line)
            until = "" if line == until else until
        elif line.startswith(("$ ", "# ")):
            if command:
                yield "\n".join(command), "\n".join(shown)
            command, shown = [line[2:]], []
            until = found[1] if (found := HEREDOC.search(line)) else ""
        else:
            shown.append(line)
    yield "\n".join(command), "\n".join(shown)


class Shell:
    """A bash in which one block after the other is pasted, as into a terminal; stops at the first that fails.

    printed: all that its screen would show.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._in: IO[str] = process.stdin  # type: ignore[assignment]  # both are pipes
        self._out: IO[str] = process.stdout  # type: ignore[assignment]
        self._pasted = 0
        self.printed = ""

    def run(self, text: str) -> str:
        """What is printed until it has ended, errors too. Fails when a command of it does."""
        self._pasted += 1
        end = f"{END}{self._pasted}"
        with suppress(BrokenPipeError):
            self._in.write(f"{text}\nprintf '\\n{end}\\n'\n")
            self._in.flush()
        before = len(self.printed)
        for line in self._out:
            if line.strip() == end:
                return self.printed[before:].removesuffix("\n")
            self.printed += line
        raise AssertionError(f"It ended with status {self._process.wait()}:\n{text}\n{self.printed[before:]}")


@contextmanager
def shell(folder: Path, environment: Mapping[str, str]) -> Iterator[Shell]:
    """In a folder that looks like a clone that has been set up. Whatever is started in it ends with it."""
    folder.mkdir(exist_ok=True)
    for name in IN_A_CLONE:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Shell(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


def at(text: str, *, port: int) -> str:
    """The page's server is another one here."""
    return text.replace(f"{HOST}:8000", f"{HOST}:{port}")
