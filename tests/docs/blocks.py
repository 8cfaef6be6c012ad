"""The fenced blocks of the documentation, and a shell to type them into.

Commands stand in blocks of `console`, each after `$ ` (or, for root, `# `) and above what it prints, or of `sh`, which
are pasted whole.
"""

import os
import re
import signal
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
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
SHELLS = ("console", "sh", "bash")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<'?(\w+)'?$")
IN_A_CLONE = ("manage.py", "sdk", "docs", "deploy", "Makefile")
END = "\x04 block"


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
        """Each command with what is said to be printed; a block that is pasted whole is one, and shows nothing."""
        return list(_typed(self.text.splitlines())) if self.language == "console" else [(self.text, "")]


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
    command, shown, until = "", "", ""
    for line in lines:
        if until:
            command += f"\n{line}"
            until = "" if line == until else until
        elif line.startswith(("$ ", "# ")):
            if command:
                yield command, shown
            command, shown = line[2:], ""
            until = found[1] if (found := HEREDOC.search(line)) else ""
        else:
            shown += f"{line}\n"
    yield command, shown


class Shell:
    """A bash in which one block after the other is pasted, as into a terminal.

    printed: all that its screen would show.
    """

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self.printed = ""
        self._in, self._out = stdin, stdout
        self._in.write("set -o pipefail; trap 'failed=yes' ERR\n")

    def run(self, text: str) -> str:
        """What is printed until it has ended, errors too. Fails when any command of it does."""
        before = len(self.printed)
        self._in.write(f"failed=no\n{text}\nprintf '\\n{END} %s\\n' $failed\n")
        self._in.flush()
        for line in self._out:
            if line.startswith(END):
                assert line.endswith("no\n"), f"A command of it failed:\n{text}\n{self.printed[before:]}"
                return self.printed[before:].removesuffix("\n")
            self.printed += line
        raise AssertionError(f"It ended the shell:\n{text}\n{self.printed[before:]}")


@contextmanager
def shell(folder: Path, environment: Mapping[str, str]) -> Iterator[Shell]:
    """In a folder that looks like a clone that has been set up. Whatever is started in it ends with it."""
    for name, place in {".venv": Path(sys.prefix), **{name: ROOT / name for name in IN_A_CLONE}}.items():
        if not (folder / name).exists():
            (folder / name).symlink_to(place)
    with subprocess.Popen(
        "bash",
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Shell(process.stdin, process.stdout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def at(text: str, *, port: int) -> str:
    """The page's server is another one here."""
    return text.replace(f"{HOST}:8000", f"{HOST}:{port}")
