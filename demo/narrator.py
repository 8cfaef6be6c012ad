"""What the demo says: lines with the time since the start, and one line of progress that is written over."""

import shutil
import time
from typing import TextIO

PLAIN_PROGRESS_EVERY_S = 5.0


class Narrator:
    """On a terminal, progress is one line that is refreshed; elsewhere a line every few seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._started = time.monotonic()
        self._last_progress = 0.0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def title(self, text: str) -> None:
        self._write(f"\n{self._bold(text)}")

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        self._write(f"{minutes:2}:{seconds:02}  {text}")

    def detail(self, text: str) -> None:
        for line in text.splitlines():
            self._write(f"       {line}")

    def progress(self, text: str) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._out.write("\r\x1b[K" + f"       {text}"[: width - 1])
            self._out.flush()
        elif time.monotonic() - self._last_progress >= PLAIN_PROGRESS_EVERY_S:
            self._last_progress = time.monotonic()
            self.say(text)

    def _write(self, text: str) -> None:
        over = "\r\x1b[K" if self._terminal else ""
        self._out.write(f"{over}{text}\n")
        self._out.flush()

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._terminal else text
