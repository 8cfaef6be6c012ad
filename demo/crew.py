"""Threads that start and end together."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType


class Crew:
    """Runs each task in a thread until `stopping` is set. What a thread raises, the next `check` raises.

    A task looks at `stopping` at least every second; leaving the context sets it and waits for all threads.
    """

    def __init__(self) -> None:
        self.stopping = Event()
        self._pool = ThreadPoolExecutor(max_workers=32)
        self._tasks: list[Future[None]] = []

    def start(self, task: Callable[[], None]) -> None:
        self._tasks.append(self._pool.submit(task))

    def check(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._pool.shutdown()
