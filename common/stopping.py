"""When is a process that works on and on to stop? When SIGTERM or SIGINT says so; it may finish what it is doing."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


def until_told(run: Callable[[threading.Event], None]) -> None:
    """Call it, in the main thread, with what is set as soon as the process is told to stop."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    run(stopping)
