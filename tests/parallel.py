"""Functions run at the same time, each on a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from django.db import connection

from common.errors import Conflict


def start(function: Callable[[], Any]) -> "Future[Any]":
    """Runs the function in a new thread; `result(timeout)` of the answer raises what the function raised."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)
        finally:
            connection.close()

    threading.Thread(target=run, daemon=True).start()
    return future


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """What each piece of work returned, or its Conflict; all begun at the same moment."""
    barrier = threading.Barrier(len(work))

    def run(piece: Callable[[], Any]) -> Any:
        barrier.wait(timeout=30)
        try:
            return piece()
        except Conflict as conflict:
            return conflict

    futures = [start(partial(run, piece)) for piece in work]
    return [future.result(timeout=60) for future in futures]
